package members_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/directorysync/internal/members"
	"github.com/entraflow/entraflow/services/directorysync/internal/object"
)

func member(i int) *directoryv1.Member {
	return &directoryv1.Member{Id: fmt.Sprintf("%08x-0000-4000-8000-%012x", i*7919, i), Kind: "user"}
}

// TestHashIsGolden: subjects of stored messages depend on it.
func TestHashIsGolden(t *testing.T) {
	for id, want := range map[string]uint32{
		"75243ab2-44f8-435c-a7a6-b479385df6d4": 0x45c5d649,
		"75243AB2-44F8-435C-A7A6-B479385DF6D4": 0x45c5d649,
		"":                                     0xa61db31c,
		"00000000-0000-4000-8000-000000000001": 0xede7f326,
	} {
		require.Equal(t, want, members.Hash(id), id)
	}
	require.Equal(t, "g-12", members.ID("g", 12))
	group, shard, ok := members.ParseID("a-b-c-3")
	require.True(t, ok)
	require.Equal(t, "a-b-c", group)
	require.EqualValues(t, 3, shard)
	for _, id := range []string{"", "-1", "abc", "a-", "a-x"} {
		_, _, ok := members.ParseID(id)
		require.False(t, ok, id)
	}
}

func TestShardsAreEven(t *testing.T) {
	const all, shards = 200_000, 256
	counts := make([]int, shards)
	for i := range all {
		counts[members.ShardOf(member(i).GetId(), shards)]++
	}
	for shard, n := range counts {
		require.InDelta(t, all/shards, n, all/shards/4, "shard %d", shard)
	}
}

func TestApply(t *testing.T) {
	layout := members.Layout{Shards: 4}
	var added []object.Reference
	for i := range 40 {
		added = append(added, object.Reference{Member: member(i)})
	}
	shards := layout.Apply(nil, added)
	require.Len(t, layout.Needed(added), len(shards))
	total := 0
	for n, list := range shards {
		total += len(list)
		for _, m := range list {
			require.Equal(t, n, members.ShardOf(m.GetId(), 4))
		}
	}
	require.Equal(t, 40, total)
	require.Empty(t, layout.Apply(shards, added), "said again")
	gone := object.Reference{Member: member(7), Removed: true}
	after := layout.Apply(shards, []object.Reference{gone})
	require.Len(t, after, 1)
	require.Empty(t, layout.Apply(shards, []object.Reference{gone, {Member: member(7)}}), "gone and back")
	require.Empty(t, layout.Apply(shards, []object.Reference{{Member: member(99), Removed: true}}), "never there")
}

func TestGrown(t *testing.T) {
	for largest, want := range map[int]uint32{0: 1, 1000: 1, 1001: 2, 1201: 4, 200_000: 512} {
		require.Equal(t, want, members.Layout{Shards: 1}.Grown(largest), largest)
	}
	require.EqualValues(t, members.MaxShards, members.Layout{Shards: members.MaxShards}.Grown(5000))
}

// TestSplitLosesNothing splits, whatever was done of it before.
func TestSplitLosesNothing(t *testing.T) {
	var all []object.Reference
	for i := range 5000 {
		all = append(all, object.Reference{Member: member(i)})
	}
	from := members.Layout{Shards: 2}
	before := from.Apply(nil, all)
	layout := members.Layout{Shards: 2, SplittingTo: 16}
	after := map[uint32][]*directoryv1.Member{}
	for shard := range uint32(2) {
		for n, list := range layout.Split(shard, before[shard]) {
			require.Zero(t, (n-shard)%2)
			after[n] = list
		}
	}
	require.Len(t, after, 16)
	var lists [][]*directoryv1.Member
	for n, list := range after {
		lists = append(lists, list)
		for _, m := range list {
			require.Equal(t, n, members.ShardOf(m.GetId(), 16))
		}
	}
	require.Len(t, members.Union(lists...), 5000)
	again := layout.Split(1, members.Union(before[1], after[3], after[15]))
	require.Len(t, again[15], len(after[15]), "each member once")
}
