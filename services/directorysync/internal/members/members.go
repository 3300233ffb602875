// Package members keeps the members of a group in shards, each small enough for a message: a member is in the
// shard that its id's hash says, so that a change rewrites one shard however large the group is.
//
// A group begins with one shard. When one grows too large all are split in two: shard i keeps what the longer hash
// leaves it, shard i plus the number of shards gets the rest. Shard 0 says how many there are, and while they are
// being split, how many there will be, so that whoever finds a split that was broken off does it again. Each
// step adds before it removes: the shards together hold every member at any time.
//
// It is pure.
package members

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/directorysync/internal/object"
)

const (
	// MaxShard is the most members of a shard (design.md §2). A split aims at no more than goodShard.
	MaxShard  = 1000
	goodShard = 600
	// MaxShards bounds the shards of a group.
	MaxShards = 1 << 14
	// Kind is the kind token of shards.
	Kind = "group_members"
)

// Hash places an id. Subjects depend on it: it never changes.
func Hash(id string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.ToLower(id)))
	sum := h.Sum32()
	// FNV's low bits alone are weak: fold the others in.
	sum ^= sum >> 16
	sum *= 0x7feb352d
	return sum ^ sum>>15
}

// ShardOf returns the shard of a member among n, a power of two.
func ShardOf(member string, n uint32) uint32 { return Hash(member) & (n - 1) }

// ID is a shard's object id.
func ID(group string, shard uint32) string {
	return group + "-" + strconv.FormatUint(uint64(shard), 10)
}

// ParseID is the inverse of ID.
func ParseID(id string) (group string, shard uint32, ok bool) {
	i := strings.LastIndexByte(id, '-')
	if i <= 0 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(id[i+1:], 10, 32)
	return id[:i], uint32(n), err == nil
}

// Layout is in how many shards a group's members are: Shards, and on the way to SplittingTo if that is not 0.
type Layout struct{ Shards, SplittingTo uint32 }

// LayoutOf reads shard 0; nil or a tombstone is a group without members.
func LayoutOf(first *directoryv1.GroupMembers) Layout {
	return Layout{max(first.GetShards(), 1), first.GetSplittingTo()}
}

// Needed returns the shards that references touch, in order, each once.
func (l Layout) Needed(references []object.Reference) []uint32 {
	var all []uint32
	for _, r := range references {
		all = append(all, ShardOf(r.Member.GetId(), l.Shards))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Apply returns the members of each shard that differs after the references have begun and ended one after the other.
// shards has those that are needed; one that is missing is empty.
func (l Layout) Apply(shards map[uint32][]*directoryv1.Member, references []object.Reference) map[uint32][]*directoryv1.Member {
	byShard := map[uint32][]object.Reference{}
	for _, r := range references {
		shard := ShardOf(r.Member.GetId(), l.Shards)
		byShard[shard] = append(byShard[shard], r)
	}
	different := map[uint32][]*directoryv1.Member{}
	for shard, own := range byShard {
		after := object.Apply(shards[shard], own)
		if !slices.EqualFunc(shards[shard], after, equal) {
			different[shard] = after
		}
	}
	return different
}

func equal(a, b *directoryv1.Member) bool {
	return a.GetId() == b.GetId() && a.GetKind() == b.GetKind()
}

// Grown returns how many shards a group needs if its largest has so many members: as many as it has if that is few
// enough.
func (l Layout) Grown(largest int) uint32 {
	n := l.Shards
	if largest <= MaxShard {
		return n
	}
	for largest > goodShard && n < MaxShards {
		largest = (largest + 1) / 2
		n *= 2
	}
	return n
}

// Split sorts the members of the shards that share the shard i's hash among l.Shards into those of l.SplittingTo.
func (l Layout) Split(i uint32, all []*directoryv1.Member) map[uint32][]*directoryv1.Member {
	parts := map[uint32][]*directoryv1.Member{}
	for shard := i; shard < l.SplittingTo; shard += l.Shards {
		parts[shard] = nil
	}
	for _, m := range all {
		shard := ShardOf(m.GetId(), l.SplittingTo)
		parts[shard] = append(parts[shard], m)
	}
	return parts
}

// Union returns the members of several shards, each once, in order of id.
func Union(shards ...[]*directoryv1.Member) []*directoryv1.Member {
	var all []object.Reference
	for _, shard := range shards {
		for _, m := range shard {
			all = append(all, object.Reference{Member: m})
		}
	}
	return object.Apply(nil, all)
}
