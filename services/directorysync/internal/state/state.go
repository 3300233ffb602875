// Package state writes the stream DIRECTORY: it compares what Graph says with the last state of each object, which it
// reads from the stream itself, and publishes what differs.
//
// It holds a page at a time. Each message is written against the state it was compared with, under a lease that is
// still held: of two writers the one that knew less writes nothing.
package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/session"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/directorysync/internal/members"
	"github.com/entraflow/entraflow/services/directorysync/internal/object"
)

const (
	// maxUnread is how many states of an object may wait for the sink before one more: the stream keeps 16 a subject.
	maxUnread = 13
	// queuePause is how often it is looked whether the sink has stored them.
	queuePause = 100 * time.Millisecond
)

// maxConflicts bounds how often a page is compared again because another state was there than expected: our own,
// whose PubAck was lost, or that of the holder before.
const maxConflicts = 8

// Settings is what the tenants of a process share.
type Settings struct {
	Conn      *bus.Conn
	Publisher *bus.Publisher
	Gate      *bus.Gate
	Clock     clock.Clock
}

// Store writes the objects of one tenant. It is safe for concurrent use by the readers of different kinds.
type Store struct {
	set                 Settings
	held                *lease.Lease
	tenant, integration string
}

// New returns a store that writes while the lease is held.
func New(set Settings, held *lease.Lease, tenant, integration string) *Store {
	return &Store{set: set, held: held, tenant: tenant, integration: integration}
}

// current is the last state of a subject.
type current struct {
	sequence uint64
	object   *directoryv1.Object // nil: there is none
}

// alive returns the object, nil if there is none or it is gone.
func (c current) alive() *directoryv1.Object {
	if c.object.GetDeleted() {
		return nil
	}
	return c.object
}

func (s *Store) identity(kind string) object.Identity {
	return object.Identity{Kind: kind, TenantID: s.tenant, Integration: s.integration}
}

// last reads the last states of objects of a kind, by id.
func (s *Store) last(ctx context.Context, kind string, ids []string) (map[string]current, error) {
	identity := s.identity(kind)
	subjects := make([]string, len(ids))
	for i, id := range ids {
		subjects[i] = identity.Subject(id)
	}
	found, err := bus.Last(ctx, s.set.Conn, directoryv1.ObjectStream, subjects)
	if err != nil {
		return nil, busError(ctx, err)
	}
	states := make(map[string]current, len(ids))
	for i, id := range ids {
		last, ok := found[subjects[i]]
		if !ok {
			continue
		}
		o := &directoryv1.Object{}
		if err := proto.Unmarshal(last.Data, o); err != nil {
			return nil, fmt.Errorf("reading state: %w", err)
		}
		states[id] = current{last.Sequence, o}
	}
	return states, nil
}

// Apply stores what Graph said of objects of a kind, in its order, and the members of groups among them. It returns how
// many states were written, once they have their PubAcks.
func (s *Store) Apply(ctx context.Context, kind string, seen []object.Seen) (written int, err error) {
	if err := s.set.Gate.Wait(ctx); err != nil {
		return 0, err
	}
	for len(seen) > 0 {
		n := distinct(seen)
		count, err := s.applyDistinct(ctx, kind, seen[:n])
		written += count
		if err != nil {
			return written, err
		}
		seen = seen[n:]
	}
	return written, nil
}

// distinct returns how many of the first elements are of different objects.
func distinct(seen []object.Seen) int {
	ids := make(map[string]struct{}, len(seen))
	for i := range seen {
		if _, again := ids[seen[i].ID]; again {
			return i
		}
		ids[seen[i].ID] = struct{}{}
	}
	return len(seen)
}

func (s *Store) applyDistinct(ctx context.Context, kind string, seen []object.Seen) (written int, err error) {
	err = s.persist(ctx, func() error {
		n, err := s.applyObjects(ctx, kind, seen)
		written += n
		return err
	})
	if err != nil || kind != "group" {
		return written, err
	}
	n, err := s.applyMembers(ctx, seen)
	return written + n, err
}

func (s *Store) applyObjects(ctx context.Context, kind string, seen []object.Seen) (int, error) {
	ids := make([]string, len(seen))
	for i := range seen {
		ids[i] = seen[i].ID
	}
	states, err := s.last(ctx, kind, ids)
	if err != nil {
		return 0, err
	}
	identity, now := s.identity(kind), s.set.Clock.Now()
	out := s.writing()
	for i := range seen {
		before := states[seen[i].ID]
		next := identity.Next(before.object, seen[i], now)
		if next == nil {
			continue
		}
		if next.GetDeleted() && kind == "group" {
			// Before the group itself, so that none that is gone has left shards behind. If it comes back its members do too.
			if err := s.dropMembers(ctx, next.GetId(), seen[i].Date); err != nil {
				return out.count, err
			}
		}
		if err := out.publish(ctx, next, before); err != nil {
			return out.count, err
		}
	}
	return out.count, out.wait(ctx)
}

// persist does something again while somebody else's state is in the way.
func (s *Store) persist(ctx context.Context, work func() error) error {
	for conflicts := 0; ; conflicts++ {
		err := work()
		if !errors.Is(err, bus.ErrWrongSequence) || conflicts >= maxConflicts {
			return err
		}
		if err := s.holds(ctx); err != nil {
			return err
		}
	}
}

// holds returns why nothing may be written; nil if it may.
func (s *Store) holds(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !s.held.Held() {
		return fmt.Errorf("writing state: %w", lease.ErrLost)
	}
	return nil
}

// writing is some messages on their way.
type writing struct {
	store *Store
	batch *bus.Batch
	count int
}

func (s *Store) writing() *writing { return &writing{store: s, batch: s.set.Publisher.NewBatch()} }

// publish sends a state that follows another, when there is room for it in the history of its subject. Between the reading
// of that one and now the lease must have been held: else what Graph said may be older than what somebody else has written.
func (w *writing) publish(ctx context.Context, o *directoryv1.Object, before current) error {
	if err := w.store.queue(ctx, o, before); err != nil {
		return err
	}
	if err := w.store.holds(ctx); err != nil {
		return err
	}
	if err := w.batch.Publish(ctx, o, bus.PublishOptions{ExpectedLastSubjectSequence: &before.sequence}); err != nil {
		return busError(ctx, err)
	}
	w.count++
	return nil
}

// queue counts the states of the object that the sink has not stored, and waits until it has stored them if there are nearly
// as many as the stream keeps: the server would drop the oldest unread.
func (s *Store) queue(ctx context.Context, o *directoryv1.Object, before current) error {
	o.Unread = 0
	for before.sequence > s.set.Gate.Floor(directoryv1.ObjectStream) {
		if o.Unread = before.object.GetUnread() + 1; o.GetUnread() <= maxUnread {
			return nil
		}
		if err := s.set.Clock.Sleep(ctx, queuePause); err != nil {
			return context.Cause(ctx)
		}
		o.Unread = 0
	}
	return nil
}

// wait waits for the PubAcks.
func (w *writing) wait(ctx context.Context) error {
	if err := w.batch.Wait(ctx); err != nil {
		return busError(ctx, err)
	}
	return nil
}

func busError(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, bus.ErrWrongSequence) {
		return err
	}
	return fmt.Errorf("%w: %w", session.ErrBus, err)
}

// shard makes a state of a shard of members.
func (s *Store) shard(before current, payload *directoryv1.GroupMembers, date time.Time) *directoryv1.Object {
	o := object.Shard(s.identity(members.Kind), members.ID(payload.GetGroupId(), payload.GetShard()), before.object, date, s.set.Clock.Now())
	o.Payload = &directoryv1.Object_GroupMembers{GroupMembers: payload}
	return o
}
