package runs

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// Store is what one service writes, and reads only that. It is safe for concurrent use and needs no closing.
type Store struct {
	Reader
	service string
}

// Open returns what the connection's service writes. It waits for the bucket until ctx is done.
func Open(ctx context.Context, conn *bus.Conn) (*Store, error) {
	kv, err := conn.Bucket(ctx, bus.BucketRuns)
	if err != nil {
		return nil, err
	}
	return &Store{Reader{kv, bus.Key(conn.Service())}, conn.Service()}, nil
}

// Create keeps a new run under its name and returns its revision, or ErrExists.
func (s *Store) Create(ctx context.Context, run *controlv1.Run) (uint64, error) {
	key, value, err := s.encode(run)
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
	key, value, err := s.encode(run)
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

// Prune removes the oldest of the service's ended runs of an integration beyond Kept.
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
		if err := s.kv.Purge(ctx, bus.Key(s.service, kindRun, integration, id)); err != nil {
			return fmt.Errorf("pruning runs: %w", err)
		}
	}
	return nil
}

// Forget removes everything that the service wrote of an integration.
func (s *Store) Forget(ctx context.Context, integration string) error {
	keys := []string{bus.Key(s.service, kindStatus, integration)}
	err := s.read(ctx, s.keys(kindRun, integration, "*"), func(entry jetstream.KeyValueEntry) error {
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

func (s *Store) encode(run *controlv1.Run) (key string, value []byte, err error) {
	integration, id, ok := Parse(run.GetName())
	if !ok {
		return "", nil, fmt.Errorf("writing run: %q is no name of one", run.GetName())
	}
	value, err = proto.Marshal(run)
	if err != nil {
		return "", nil, fmt.Errorf("encoding run: %w", err)
	}
	return bus.Key(s.service, kindRun, integration, id), value, nil
}
