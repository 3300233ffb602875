package checkpoint

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// Position is the last message of a partition that is done with.
type Position struct {
	Sequence int64
	// Offset is the hub's, opaque.
	Offset string
	// EnqueuedAt is when the hub took the message; zero if that is not known.
	EnqueuedAt time.Time
}

// position is the value of a position's key.
type position struct {
	Sequence   *int64    `json:"sequence,omitempty"`
	Offset     *string   `json:"offset,omitempty"`
	EnqueuedAt time.Time `json:"enqueued_at,omitzero"`
	// Fence is the highest under which the position was saved.
	Fence uint64 `json:"fence,omitempty"`
	// Sure is an anchor from at least the store's StepBack before Next, and Next is to follow it.
	Sure *anchor `json:"sure,omitempty"`
	Next *anchor `json:"next,omitempty"`
}

// anchor is an earlier position, to go back to when the latest ones may be ahead of what is stored.
type anchor struct {
	Sequence *int64    `json:"sequence,omitempty"`
	Offset   *string   `json:"offset,omitempty"`
	SavedAt  time.Time `json:"saved_at"`
}

// anchored carries the anchors of the position before over to p.
func (p position) anchored(before position, now time.Time, stepBack time.Duration) position {
	p.Sure, p.Next = before.Sure, before.Next
	if p.Next == nil || now.Sub(p.Next.SavedAt) >= stepBack {
		p.Sure, p.Next = p.Next, &anchor{Sequence: p.Sequence, Offset: p.Offset, SavedAt: now}
	}
	return p
}

// Cursor saves the positions of one partition for as long as its reader owns it. Use it from one
// goroutine at a time.
type Cursor struct {
	store *Store
	key   string
	fence uint64
	// revision is that of the latest value seen, so that a save seldom needs to read first.
	revision uint64
	latest   position
	known    bool
}

// Cursor returns the cursor of a partition that this store has claimed. What it saves carries the
// claim as a fence.
func (s *Store) Cursor(p Partition) *Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Cursor{store: s, key: p.key(kindPosition), fence: s.claims[p].fence}
}

// Load returns what is stored; false if there is nothing yet.
func (c *Cursor) Load(ctx context.Context) (Position, bool, error) {
	if err := c.store.retry(ctx, c.read); err != nil {
		return Position{}, false, fmt.Errorf("loading position: %w", err)
	}
	if c.latest.Sequence == nil {
		return Position{}, false, nil
	}
	p := Position{Sequence: *c.latest.Sequence, EnqueuedAt: c.latest.EnqueuedAt}
	if c.latest.Offset != nil {
		p.Offset = *c.latest.Offset
	}
	return p, true, nil
}

// Save moves the position forward and reports whether it did: one that is not ahead of what is stored
// changes nothing. It returns ErrFenced if an owner that came later has saved a position, and another
// error if the bucket could not be reached for the store's timeout.
func (c *Cursor) Save(ctx context.Context, p Position) (bool, error) {
	next := position{Sequence: &p.Sequence, Offset: &p.Offset, EnqueuedAt: p.EnqueuedAt, Fence: c.fence}
	saved, err := c.save(ctx, next)
	if err != nil {
		return false, fmt.Errorf("saving position %d: %w", p.Sequence, err)
	}
	return saved, nil
}

func (c *Cursor) save(ctx context.Context, next position) (saved bool, err error) {
	err = c.store.retry(ctx, func(ctx context.Context) error {
		for ctx.Err() == nil {
			if err := c.read(ctx); err != nil {
				return err
			}
			if c.latest.Fence > next.Fence && next.Fence > 0 {
				return ErrFenced
			}
			if !c.latest.before(next) {
				return nil
			}
			if saved, err = c.write(ctx, next); saved || err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return saved, err
}

// write swaps latest for next; false says that latest was not the latest any more.
func (c *Cursor) write(ctx context.Context, next position) (bool, error) {
	next.Fence = max(next.Fence, c.latest.Fence)
	next = next.anchored(c.latest, time.Now(), c.store.set.StepBack)
	value, err := json.Marshal(next)
	if err != nil {
		return false, err
	}
	c.known = false
	revision, ok, err := c.store.swap(ctx, c.key, value, c.revision)
	if ok {
		c.revision, c.latest, c.known = revision, next, true
	}
	return ok, err
}

// read makes latest known.
func (c *Cursor) read(ctx context.Context) error {
	if c.known {
		return nil
	}
	e, err := c.store.get(ctx, c.key)
	if err != nil {
		return err
	}
	c.revision, c.latest = e.revision, position{}
	if e.revision > 0 {
		if err := json.Unmarshal(e.value, &c.latest); err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	c.known = true
	return nil
}

// before reports whether next is ahead. Where one of them has no sequence number nobody can tell,
// and the later write wins, as the contract has it.
func (p position) before(next position) bool {
	return p.Sequence == nil || next.Sequence == nil || *p.Sequence < *next.Sequence
}

// SetCheckpoint saves a position as Cursor.Save does, but under no fence.
func (s *Store) SetCheckpoint(ctx context.Context, cp azeventhubs.Checkpoint, _ *azeventhubs.SetCheckpointOptions) error {
	p := Partition{cp.FullyQualifiedNamespace, cp.EventHubName, cp.ConsumerGroup, cp.PartitionID}
	c := Cursor{store: s, key: p.key(kindPosition)}
	if _, err := c.save(ctx, position{Sequence: cp.SequenceNumber, Offset: cp.Offset}); err != nil {
		return fmt.Errorf("saving position of partition %s of %s: %w", p.ID, p.Hub, err)
	}
	return nil
}

// ListCheckpoints returns the positions of the partitions of a hub and group, in the order of their ids.
func (s *Store) ListCheckpoints(ctx context.Context, namespace, hub, group string, _ *azeventhubs.ListCheckpointsOptions) ([]azeventhubs.Checkpoint, error) {
	var all []azeventhubs.Checkpoint
	err := s.retry(ctx, func(ctx context.Context) error {
		all = nil
		return s.list(ctx, kindPosition, Partition{namespace, hub, group, ""}, func(id string, e entry) error {
			var value position
			if err := json.Unmarshal(e.value, &value); err != nil {
				return fmt.Errorf("position of partition %s: %w: %w", id, errDamaged, err)
			}
			all = append(all, azeventhubs.Checkpoint{
				FullyQualifiedNamespace: namespace, EventHubName: hub, ConsumerGroup: group, PartitionID: id,
				Offset: value.Offset, SequenceNumber: value.Sequence,
			})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing positions of %s: %w", hub, err)
	}
	slices.SortFunc(all, func(a, b azeventhubs.Checkpoint) int { return cmp.Compare(a.PartitionID, b.PartitionID) })
	return all, nil
}
