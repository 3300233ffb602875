// Package runs keeps what collecting does and did: runs with their progress, and how each integration stands, in
// the bucket runs.
//
// The service that collects writes it, the gateway reads and watches it. A run is written by revision: of two
// holders of a lease the later one wins, and the earlier one gets ErrTaken.
package runs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

var (
	// ErrNotFound is returned for a run that there is not.
	ErrNotFound = errors.New("no such run")
	// ErrExists is returned by Create for an id that is taken.
	ErrExists = errors.New("the run exists already")
	// ErrTaken is returned for a write to what somebody else wrote meanwhile.
	ErrTaken = errors.New("the run was taken over")
)

// Kept is how many ended runs of an integration Prune leaves.
const Kept = 100

// The first part of a key.
const (
	kindRun    = "run"
	kindStatus = "status"
)

// Name returns the resource name of a run.
func Name(integration, id string) string { return "integrations/" + integration + "/runs/" + id }

// Parse returns the ids in a run's resource name; ok is false if it is none.
func Parse(name string) (integration, id string, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "integrations" || parts[2] != "runs" || parts[1] == "" || parts[3] == "" {
		return "", "", false
	}
	return parts[1], parts[3], true
}

// Ended reports whether nothing more will happen in a run of that state.
func Ended(s controlv1.RunState) bool { return s > controlv1.RunState_RUN_STATE_RUNNING }

// Store reads and writes runs. It is safe for concurrent use and needs no closing.
type Store struct{ kv jetstream.KeyValue }

// Open waits for the bucket until ctx is done.
func Open(ctx context.Context, conn *bus.Conn) (*Store, error) {
	kv, err := conn.Bucket(ctx, bus.BucketRuns)
	if err != nil {
		return nil, err
	}
	return &Store{kv}, nil
}

// Create keeps a new run under its name and returns its revision, or ErrExists.
func (s *Store) Create(ctx context.Context, run *controlv1.Run) (uint64, error) {
	key, value, err := encode(run)
	if err != nil {
		return 0, err
	}
	revision, err := s.kv.Create(ctx, key, value)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return 0, fmt.Errorf("creating run: %w", ErrExists)
	}
	if err != nil {
		return 0, fmt.Errorf("creating run: %w", err)
	}
	return revision, nil
}

// Update replaces the run of that revision and returns the new one, or ErrTaken.
func (s *Store) Update(ctx context.Context, run *controlv1.Run, revision uint64) (uint64, error) {
	key, value, err := encode(run)
	if err != nil {
		return 0, err
	}
	next, err := s.kv.Update(ctx, key, value, revision)
	if bus.WrongRevision(err) {
		return 0, fmt.Errorf("writing run: %w", ErrTaken)
	}
	if err != nil {
		return 0, fmt.Errorf("writing run: %w", err)
	}
	return next, nil
}

// Get returns a run and its revision, or ErrNotFound.
func (s *Store) Get(ctx context.Context, integration, id string) (*controlv1.Run, uint64, error) {
	entry, err := s.kv.Get(ctx, bus.Key(kindRun, integration, id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, fmt.Errorf("reading run: %w", ErrNotFound)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading run: %w", err)
	}
	run, err := decode(entry)
	return run, entry.Revision(), err
}

// List returns the runs of an integration, newest first.
func (s *Store) List(ctx context.Context, integration string) ([]*controlv1.Run, error) {
	var all []*controlv1.Run
	err := s.read(ctx, bus.Key(kindRun, integration)+".*", func(entry jetstream.KeyValueEntry) error {
		run, err := decode(entry)
		all = append(all, run)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	slices.SortFunc(all, func(a, b *controlv1.Run) int {
		return cmp.Or(b.GetCreateTime().AsTime().Compare(a.GetCreateTime().AsTime()), strings.Compare(b.GetName(), a.GetName()))
	})
	return all, nil
}

// Watch calls handle with each run of an integration whenever it is written, those there are first, until ctx is done or
// handle returns false; it returns nil then. An empty id is all runs.
func (s *Store) Watch(ctx context.Context, integration, id string, handle func(*controlv1.Run, uint64) bool) error {
	key := bus.Key(kindRun, integration) + ".*"
	if id != "" {
		key = bus.Key(kindRun, integration, id)
	}
	watching, done := bus.WatchContext(ctx)
	defer done()
	watcher, err := s.kv.Watch(watching, key, jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("watching runs: %w", err)
	}
	defer watcher.Stop() //nolint:errcheck // it ends with the connection otherwise
	for {
		var entry jetstream.KeyValueEntry
		select {
		case <-ctx.Done():
			return nil
		case next, ok := <-watcher.Updates():
			if !ok {
				return ended(ctx)
			}
			entry = next
		}
		if entry == nil {
			continue // all that was there came
		}
		run, err := decode(entry)
		if err != nil {
			return err
		}
		if !handle(run, entry.Revision()) {
			return nil
		}
	}
}

// ended says why a watch ended by itself; nil if ctx is done.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("watching runs: %w", jetstream.ErrConsumerDeleted)
}

// Prune removes the oldest ended runs of an integration beyond Kept.
func (s *Store) Prune(ctx context.Context, integration string) error {
	all, err := s.List(ctx, integration)
	if err != nil {
		return err
	}
	kept := 0
	for _, run := range all {
		if !Ended(run.GetState()) {
			continue
		}
		if kept++; kept <= Kept {
			continue
		}
		_, id, _ := Parse(run.GetName())
		if err := s.kv.Purge(ctx, bus.Key(kindRun, integration, id)); err != nil {
			return fmt.Errorf("pruning runs: %w", err)
		}
	}
	return nil
}

// Forget removes everything of an integration.
func (s *Store) Forget(ctx context.Context, integration string) error {
	keys := []string{bus.Key(kindStatus, integration)}
	err := s.read(ctx, bus.Key(kindRun, integration)+".*", func(entry jetstream.KeyValueEntry) error {
		keys = append(keys, entry.Key())
		return nil
	})
	if err != nil {
		return fmt.Errorf("forgetting runs: %w", err)
	}
	for _, key := range keys {
		if err := s.kv.Purge(ctx, key); err != nil {
			return fmt.Errorf("forgetting runs: %w", err)
		}
	}
	return nil
}

// SetStatus writes how an integration stands.
func (s *Store) SetStatus(ctx context.Context, integration string, status *controlv1.IntegrationStatus) error {
	value, err := proto.Marshal(status)
	if err != nil {
		return fmt.Errorf("encoding status: %w", err)
	}
	if _, err := s.kv.Put(ctx, bus.Key(kindStatus, integration), value); err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	return nil
}

// Status returns how an integration stands; nil if nobody has written that.
func (s *Store) Status(ctx context.Context, integration string) (*controlv1.IntegrationStatus, error) {
	entry, err := s.kv.Get(ctx, bus.Key(kindStatus, integration))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil //nolint:nilnil // absence is an answer here
	}
	if err != nil {
		return nil, fmt.Errorf("reading status: %w", err)
	}
	status := &controlv1.IntegrationStatus{}
	if err := proto.Unmarshal(entry.Value(), status); err != nil {
		return nil, fmt.Errorf("reading status: %w", err)
	}
	return status, nil
}

// read calls handle for each key that matches now.
func (s *Store) read(ctx context.Context, keys string, handle func(jetstream.KeyValueEntry) error) error {
	watcher, err := s.kv.Watch(ctx, keys, jetstream.IgnoreDeletes())
	if err != nil {
		return err
	}
	defer watcher.Stop() //nolint:errcheck // it ends with the connection otherwise
	for {
		select {
		case entry, ok := <-watcher.Updates():
			if !ok {
				return jetstream.ErrConsumerDeleted
			}
			if entry == nil {
				return nil
			}
			if err := handle(entry); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func decode(entry jetstream.KeyValueEntry) (*controlv1.Run, error) {
	run := &controlv1.Run{}
	if err := proto.Unmarshal(entry.Value(), run); err != nil {
		return nil, fmt.Errorf("reading run: %w", err)
	}
	return run, nil
}

func encode(run *controlv1.Run) (key string, value []byte, err error) {
	integration, id, ok := Parse(run.GetName())
	if !ok {
		return "", nil, fmt.Errorf("writing run: %q is no name of one", run.GetName())
	}
	value, err = proto.Marshal(run)
	if err != nil {
		return "", nil, fmt.Errorf("encoding run: %w", err)
	}
	return bus.Key(kindRun, integration, id), value, nil
}
