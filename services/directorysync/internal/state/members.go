package state

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/directorysync/internal/members"
	"github.com/entraflow/entraflow/services/directorysync/internal/object"
)

// relationMembers is the relation that travels apart.
const relationMembers = "members"

// applyMembers stores what groups said of their members. Groups of one shard, nearly all, are written together.
func (s *Store) applyMembers(ctx context.Context, groups []object.Seen) (written int, err error) {
	var said []object.Seen
	for i := range groups {
		if groups[i].Removed == "" && len(groups[i].Relation(relationMembers)) > 0 {
			said = append(said, groups[i])
		}
	}
	if len(said) == 0 {
		return 0, nil
	}
	var large []object.Seen
	err = s.persist(ctx, func() error {
		n := 0
		n, large, err = s.applySmall(ctx, said)
		written += n
		return err
	})
	for i := range large {
		if err != nil {
			break
		}
		err = s.persist(ctx, func() error {
			n, err := s.applyLarge(ctx, &large[i])
			written += n
			return err
		})
	}
	return written, err
}

// applySmall writes the groups that have one shard and need no more, and returns the others.
func (s *Store) applySmall(ctx context.Context, groups []object.Seen) (written int, large []object.Seen, err error) {
	ids := make([]string, len(groups))
	for i := range groups {
		ids[i] = members.ID(groups[i].ID, 0)
	}
	states, err := s.last(ctx, members.Kind, ids)
	if err != nil {
		return 0, nil, err
	}
	out := s.writing()
	for i := range groups {
		before := states[ids[i]]
		first := before.alive().GetGroupMembers()
		layout := members.LayoutOf(first)
		if layout.Shards > 1 || layout.SplittingTo > 0 {
			large = append(large, groups[i])
			continue
		}
		after, differs := layout.Apply(map[uint32][]*directoryv1.Member{0: first.GetMembers()}, groups[i].Relation(relationMembers))[0]
		if !differs {
			continue
		}
		if layout.Grown(len(after)) > layout.Shards {
			large = append(large, groups[i])
			continue
		}
		payload := &directoryv1.GroupMembers{GroupId: groups[i].ID, Members: after, Shards: 1}
		if err := out.publish(ctx, s.shard(before, payload, groups[i].Date), before); err != nil {
			return out.count, nil, err
		}
	}
	return out.count, large, out.wait(ctx)
}

// applyLarge writes what a group said of its members, after a split if it needs one.
func (s *Store) applyLarge(ctx context.Context, group *object.Seen) (written int, err error) {
	references := group.Relation(relationMembers)
	for {
		layout, err := s.layout(ctx, group)
		if err != nil {
			return 0, err
		}
		shards, err := s.shards(ctx, group.ID, layout.Needed(references))
		if err != nil {
			return 0, err
		}
		listed := make(map[uint32][]*directoryv1.Member, len(shards))
		for n, shard := range shards {
			listed[n] = shard.alive().GetGroupMembers().GetMembers()
		}
		different := layout.Apply(listed, references)
		grown := layout.Grown(largest(different))
		if grown == layout.Shards {
			return s.writeShards(ctx, group, layout, shards, different)
		}
		if err := s.split(ctx, group, members.Layout{Shards: layout.Shards, SplittingTo: grown}); err != nil {
			return 0, err
		}
	}
}

func largest(shards map[uint32][]*directoryv1.Member) (n int) {
	for _, list := range shards {
		n = max(n, len(list))
	}
	return n
}

func (s *Store) writeShards(
	ctx context.Context, group *object.Seen, layout members.Layout, shards map[uint32]current, different map[uint32][]*directoryv1.Member,
) (int, error) {
	out := s.writing()
	for n, list := range different {
		payload := &directoryv1.GroupMembers{GroupId: group.ID, Shard: n, Members: list}
		if n == 0 {
			payload.Shards = layout.Shards
		}
		if err := out.publish(ctx, s.shard(shards[n], payload, group.Date), shards[n]); err != nil {
			return out.count, err
		}
	}
	return out.count, out.wait(ctx)
}

// layout returns a group's layout, after it has ended a split that was broken off.
func (s *Store) layout(ctx context.Context, group *object.Seen) (members.Layout, error) {
	for {
		shards, err := s.shards(ctx, group.ID, []uint32{0})
		if err != nil {
			return members.Layout{}, err
		}
		layout := members.LayoutOf(shards[0].alive().GetGroupMembers())
		if layout.SplittingTo == 0 {
			return layout, nil
		}
		if err := s.finishSplit(ctx, group.ID, layout, group.Date); err != nil {
			return members.Layout{}, err
		}
	}
}

func (s *Store) shards(ctx context.Context, group string, numbers []uint32) (map[uint32]current, error) {
	ids := make([]string, len(numbers))
	for i, n := range numbers {
		ids[i] = members.ID(group, n)
	}
	states, err := s.last(ctx, members.Kind, ids)
	if err != nil {
		return nil, err
	}
	shards := make(map[uint32]current, len(numbers))
	for i, n := range numbers {
		shards[n] = states[ids[i]]
	}
	return shards, nil
}

// split says that a group is being split, and does it.
func (s *Store) split(ctx context.Context, group *object.Seen, layout members.Layout) error {
	shards, err := s.shards(ctx, group.ID, []uint32{0})
	if err != nil {
		return err
	}
	first := &directoryv1.GroupMembers{GroupId: group.ID}
	if known := shards[0].alive().GetGroupMembers(); known != nil {
		first = proto.CloneOf(known)
	}
	first.Shards, first.SplittingTo = layout.Shards, layout.SplittingTo
	out := s.writing()
	if err := out.publish(ctx, s.shard(shards[0], first, group.Date), shards[0]); err != nil {
		return err
	}
	if err := out.wait(ctx); err != nil {
		return err
	}
	return s.finishSplit(ctx, group.ID, layout, group.Date)
}

// finishSplit writes the shards of a group anew, those that are new before the ones that they take members from, and
// shard 0 at last. It may be done again.
func (s *Store) finishSplit(ctx context.Context, group string, layout members.Layout, date time.Time) error {
	for i := layout.Shards; i > 0; i-- {
		if err := s.splitShard(ctx, group, layout, i-1, date); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) splitShard(ctx context.Context, group string, layout members.Layout, shard uint32, date time.Time) error {
	var numbers []uint32
	for n := shard; n < layout.SplittingTo; n += layout.Shards {
		numbers = append(numbers, n)
	}
	states, err := s.shards(ctx, group, numbers)
	if err != nil {
		return err
	}
	lists := make([][]*directoryv1.Member, 0, len(numbers))
	for _, n := range numbers {
		lists = append(lists, states[n].alive().GetGroupMembers().GetMembers())
	}
	parts := layout.Split(shard, members.Union(lists...))
	out := s.writing()
	for _, n := range numbers[1:] {
		payload := &directoryv1.GroupMembers{GroupId: group, Shard: n, Members: parts[n]}
		if err := out.publish(ctx, s.shard(states[n], payload, date), states[n]); err != nil {
			return err
		}
	}
	if err := out.wait(ctx); err != nil {
		return err
	}
	payload := &directoryv1.GroupMembers{GroupId: group, Shard: shard, Members: parts[shard]}
	if shard == 0 {
		payload.Shards = layout.SplittingTo
	}
	out = s.writing()
	if err := out.publish(ctx, s.shard(states[shard], payload, date), states[shard]); err != nil {
		return err
	}
	return out.wait(ctx)
}

// dropMembers makes tombstones of a group's shards, shard 0 at last: it says how many there are.
func (s *Store) dropMembers(ctx context.Context, group string, date time.Time) error {
	shards, err := s.shards(ctx, group, []uint32{0})
	if err != nil {
		return err
	}
	layout := members.LayoutOf(shards[0].alive().GetGroupMembers())
	for n := max(layout.Shards, layout.SplittingTo); n > 0; n-- {
		shards, err := s.shards(ctx, group, []uint32{n - 1})
		if err != nil {
			return err
		}
		before := shards[n-1]
		if before.alive() == nil {
			continue
		}
		tombstone := s.shard(before, &directoryv1.GroupMembers{GroupId: group, Shard: n - 1}, date)
		tombstone.Deleted, tombstone.Change = true, directoryv1.Change_CHANGE_PURGED
		tombstone.Payload, tombstone.Changed = nil, nil
		out := s.writing()
		if err := out.publish(ctx, tombstone, before); err != nil {
			return err
		}
		if err := out.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
