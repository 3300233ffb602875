// Package checkpoint keeps who reads which partition of an Event Hub and how far it was read.
//
// It reads and writes the KV bucket "checkpoints": one key a partition for its owner, one for its
// position. Every write is a compare-and-swap on the key's revision. Only Rewind moves a
// position back.
package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/bus"
)

// ErrFenced says that another owner has taken the partition and saved a position since.
var ErrFenced = errors.New("partition has a newer owner")

// Kinds of keys.
const (
	kindOwner    = "owner"
	kindPosition = "position"
)

const (
	firstDelay = 20 * time.Millisecond
	lastDelay  = time.Second
	// attemptTimeout bounds one request; the server answers in milliseconds unless it is away.
	attemptTimeout = 3 * time.Second
)

// Partition names a partition as one consumer group reads it.
type Partition struct{ Namespace, Hub, Group, ID string }

// key makes the partition's key. Azure does not tell names by their case.
func (p Partition) key(kind string) string {
	return bus.Key(kind, strings.ToLower(p.Namespace), strings.ToLower(p.Hub), strings.ToLower(p.Group), p.ID)
}

// Settings are what a store needs beside its bucket.
type Settings struct {
	// Timeout is for how long a call tries again what fails for a while.
	Timeout time.Duration
	// StepBack is how far in time Rewind goes back at least.
	StepBack time.Duration
	// Retries, if set, counts what was tried again.
	Retries prometheus.Counter
}

// Store is an azeventhubs.CheckpointStore on a KV bucket, for one reader: it remembers what it has
// claimed. It is safe for concurrent use.
type Store struct {
	kv  jetstream.KeyValue
	set Settings

	closed chan struct{}

	mu     sync.Mutex
	claims map[Partition]claim
}

// claim is what this store owns.
type claim struct {
	// fence is the revision by which the partition was acquired: it grows with every change of owner.
	fence uint64
	// latest is the revision of the latest renewal.
	latest uint64
	since  time.Time
}

// New returns a store for one reader.
func New(kv jetstream.KeyValue, set Settings) *Store {
	return &Store{kv: kv, set: set, closed: make(chan struct{}), claims: make(map[Partition]claim)}
}

// Close makes every call, those under way too, end with its next attempt: nobody has time for
// more when a reader stops. Call it once.
func (s *Store) Close() { close(s.closed) }

// Owned returns the partitions that this store's latest claims hold, each with the time since when.
func (s *Store) Owned() map[Partition]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	owned := make(map[Partition]time.Time, len(s.claims))
	for p, c := range s.claims {
		owned[p] = c.since
	}
	return owned
}

// entry is a key's latest value.
type entry struct {
	value    []byte
	revision uint64 // 0: there is none
	created  time.Time
}

// get reads a key; one that is not there, or was deleted, has no value.
func (s *Store) get(ctx context.Context, key string) (entry, error) {
	e, err := s.kv.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return entry{}, nil
	case err != nil:
		return entry{}, err
	}
	return entry{e.Value(), e.Revision(), e.Created()}, nil
}

// swap writes a key whose latest revision is the one given, 0 if there is none. It returns false if
// the key has another revision.
func (s *Store) swap(ctx context.Context, key string, value []byte, revision uint64) (uint64, bool, error) {
	var err error
	if revision == 0 {
		revision, err = s.kv.Create(ctx, key, value)
	} else {
		revision, err = s.kv.Update(ctx, key, value, revision)
	}
	if mismatch(err) {
		return 0, false, nil
	}
	return revision, err == nil, err
}

// mismatch tells that a key has another revision than expected.
func mismatch(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// list reads the latest values of all partitions of a hub and group.
func (s *Store) list(ctx context.Context, kind string, p Partition, each func(id string, e entry) error) error {
	filter := strings.TrimSuffix(p.key(kind), bus.Key(p.ID)) + "*"
	watcher, err := s.kv.Watch(ctx, filter, jetstream.IgnoreDeletes())
	if err != nil {
		return err
	}
	defer watcher.Stop() //nolint:errcheck // it ends with the context too
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case update, ok := <-watcher.Updates():
			if !ok {
				return errors.New("the watch ended")
			}
			if update == nil {
				return nil
			}
			parts, ok := bus.ParseKey(update.Key())
			if !ok {
				return fmt.Errorf("key %q is none of ours", update.Key())
			}
			err := each(parts[len(parts)-1], entry{update.Value(), update.Revision(), update.Created()})
			if err != nil {
				return err
			}
		}
	}
}

// retry calls do until it succeeds, its error is final, the timeout is over or ctx is done.
func (s *Store) retry(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.set.Timeout)
	defer cancel()
	for delay := firstDelay; ; delay = min(2*delay, lastDelay) {
		attempt, done := context.WithTimeout(ctx, attemptTimeout)
		err := do(attempt)
		done()
		if err == nil || final(err) {
			return err
		}
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(err, context.Cause(ctx))
		case <-s.closed:
			timer.Stop()
			return err
		case <-timer.C:
		}
		if s.set.Retries != nil {
			s.set.Retries.Inc()
		}
	}
}

// final tells errors that asking again cannot help against.
func final(err error) bool {
	return errors.Is(err, ErrFenced) || errors.Is(err, errDamaged) ||
		errors.Is(err, jetstream.ErrInvalidKey) || errors.Is(err, jetstream.ErrBucketNotFound)
}
