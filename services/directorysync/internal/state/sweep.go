package state

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/entraflow/entraflow/pkg/bus"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/proto/subject"
	"github.com/entraflow/entraflow/services/directorysync/internal/members"
	"github.com/entraflow/entraflow/services/directorysync/internal/object"
)

// sweepAtOnce is how many states are compared at once.
const sweepAtOnce = 128

// Census remembers what a whole reading of a collection had, in 8 bytes each. It has one user.
type Census struct {
	seed     maphash.Seed
	objects  []uint64
	links    []uint64
	complete bool
}

// NewCensus returns an empty census.
func NewCensus() *Census { return &Census{seed: maphash.MakeSeed()} }

// Count takes note of what a page had. An object that is removed is not there.
func (c *Census) Count(seen []object.Seen) {
	for i := range seen {
		if seen[i].Removed != "" {
			continue
		}
		c.Note(seen[i].ID)
		for relation, references := range seen[i].Relations() {
			for _, r := range references {
				if !r.Removed {
					c.links = append(c.links, c.hash(relation, seen[i].ID, r.Member.GetId()))
				}
			}
		}
	}
}

// Note takes note of one object.
func (c *Census) Note(id string) { c.objects = append(c.objects, c.hash("", id, "")) }

func (c *Census) hash(relation, id, member string) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.WriteString(relation)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(id)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(member)
	return h.Sum64()
}

// Complete ends the census: the reading came to its end.
func (c *Census) Complete() {
	slices.Sort(c.objects)
	slices.Sort(c.links)
	c.complete = true
}

func (c *Census) has(id string) bool {
	_, ok := slices.BinarySearch(c.objects, c.hash("", id, ""))
	return ok
}

func (c *Census) hasLink(relation, id, member string) bool {
	_, ok := slices.BinarySearch(c.links, c.hash(relation, id, member))
	return ok
}

var errIncomplete = errors.New("the reading is not complete")

// Sweep makes tombstones of the objects of a kind that a complete census does not have, and takes out of the others the
// members, owners and managers that it does not have in them. It returns how many states were written.
func (s *Store) Sweep(ctx context.Context, kind string, c *Census, date time.Time) (written int, err error) {
	if !c.complete {
		return 0, fmt.Errorf("sweeping %s: %w", kind, errIncomplete)
	}
	missing, err := s.known(ctx, kind, func(id string) bool { return !c.has(id) })
	if err != nil {
		return 0, err
	}
	for ids := range slices.Chunk(missing, sweepAtOnce) {
		vanished := make([]object.Seen, len(ids))
		for i, id := range ids {
			vanished[i] = object.Seen{ID: id, Removed: object.RemovedVanished, Date: date}
		}
		n, err := s.Apply(ctx, kind, vanished)
		written += n
		if err != nil {
			return written, err
		}
	}
	if !object.HasRelations(kind) {
		return written, nil
	}
	n, err := s.sweepRelations(ctx, kind, c, date)
	if written += n; err != nil || kind != "group" {
		return written, err
	}
	n, err = s.sweepMembers(ctx, c, date)
	return written + n, err
}

// sweepRelations takes out of objects what they are related to no more: owners of groups, managers of users.
func (s *Store) sweepRelations(ctx context.Context, kind string, c *Census, date time.Time) (written int, err error) {
	known, err := s.known(ctx, kind, c.has)
	if err != nil {
		return 0, err
	}
	for ids := range slices.Chunk(known, sweepAtOnce) {
		err := s.persist(ctx, func() error {
			n, err := s.pruneRelations(ctx, kind, c, ids, date)
			written += n
			return err
		})
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (s *Store) pruneRelations(ctx context.Context, kind string, c *Census, ids []string, date time.Time) (int, error) {
	states, err := s.last(ctx, kind, ids)
	if err != nil {
		return 0, err
	}
	out, now := s.writing(), s.set.Clock.Now()
	for _, id := range ids {
		before := states[id]
		next := object.Prune(before.alive(), func(relation, to string) bool { return c.hasLink(relation, id, to) }, date, now)
		if next == nil {
			continue
		}
		if err := out.publish(ctx, next, before); err != nil {
			return out.count, err
		}
	}
	return out.count, out.wait(ctx)
}

// known returns the ids of a kind that are there and wanted.
func (s *Store) known(ctx context.Context, kind string, wanted func(id string) bool) ([]string, error) {
	var ids []string
	err := s.each(ctx, kind, func(id string) error {
		if wanted(id) {
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

// each calls handle with the id of each object of a kind that is there, and returns its first error.
func (s *Store) each(ctx context.Context, kind string, handle func(id string) error) error {
	filter := directoryv1.ObjectFilter(kind, s.tenant, "")
	prefix := len(filter) - 1 // the last token is the id
	err := bus.Known(ctx, s.set.Conn, directoryv1.ObjectStream, filter, func(name string, _ uint64, deleted bool) error {
		id, ok := subject.Unescape(name[prefix:])
		if !ok || deleted {
			return nil
		}
		return handle(id)
	})
	if err != nil && !errors.Is(err, errFound) {
		return busError(ctx, err)
	}
	return err
}

// Known returns the ids of the objects of a kind that are there.
func (s *Store) Known(ctx context.Context, kind string) ([]string, error) {
	return s.known(ctx, kind, func(string) bool { return true })
}

var errFound = errors.New("there is one")

// Any reports whether there is any object of a kind.
func (s *Store) Any(ctx context.Context, kind string) (bool, error) {
	err := s.each(ctx, kind, func(string) error { return errFound })
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}

// sweepMembers takes out of each shard the members that the census does not have.
func (s *Store) sweepMembers(ctx context.Context, c *Census, date time.Time) (written int, err error) {
	shards, err := s.known(ctx, members.Kind, func(id string) bool {
		group, _, ok := members.ParseID(id)
		return ok && c.has(group)
	})
	if err != nil {
		return 0, err
	}
	for ids := range slices.Chunk(shards, sweepAtOnce) {
		err := s.persist(ctx, func() error {
			n, err := s.sweepShards(ctx, c, ids, date)
			written += n
			return err
		})
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

func (s *Store) sweepShards(ctx context.Context, c *Census, ids []string, date time.Time) (int, error) {
	states, err := s.last(ctx, members.Kind, ids)
	if err != nil {
		return 0, err
	}
	out := s.writing()
	for _, id := range ids {
		before := states[id]
		shard := before.alive().GetGroupMembers()
		kept := slices.DeleteFunc(slices.Clone(shard.GetMembers()), func(m *directoryv1.Member) bool {
			return !c.hasLink(relationMembers, shard.GetGroupId(), m.GetId())
		})
		if len(kept) == len(shard.GetMembers()) {
			continue
		}
		payload := &directoryv1.GroupMembers{
			GroupId: shard.GetGroupId(), Shard: shard.GetShard(), Members: kept, Shards: shard.GetShards(), SplittingTo: shard.GetSplittingTo(),
		}
		if err := out.publish(ctx, s.shard(before, payload, date), before); err != nil {
			return out.count, err
		}
	}
	return out.count, out.wait(ctx)
}
