package integrations

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/entraflow/entraflow/pkg/bus"
)

// Change is an integration that came, changed or went.
type Change struct {
	ID string
	// Record is how it is now; nil if it is gone.
	Record *Record
	// Err says that its value cannot be read; Record is nil then, and it is not gone.
	Err error
}

// Watch calls handle for each integration there is, then once with a zero Change when these are through, and then for
// each change, until ctx is done; it returns nil then. It renews itself after a lost connection.
func (s *Store) Watch(ctx context.Context, handle func(Change)) error {
	watching, done := bus.WatchContext(ctx)
	defer done()
	watcher, err := s.kv.WatchAll(watching)
	if err != nil {
		return fmt.Errorf("watching integrations: %w", err)
	}
	defer watcher.Stop() //nolint:errcheck // it ends with the connection otherwise
	for {
		select {
		case <-ctx.Done():
			return nil
		case entry, ok := <-watcher.Updates():
			if !ok {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("watching integrations: %w", jetstream.ErrConsumerDeleted)
			}
			handle(changeOf(entry))
		}
	}
}

func changeOf(entry jetstream.KeyValueEntry) Change {
	if entry == nil {
		return Change{}
	}
	parts, ok := bus.ParseKey(entry.Key())
	if !ok || len(parts) != 1 {
		return Change{ID: entry.Key(), Err: fmt.Errorf("key %q is none of ours", entry.Key())}
	}
	if entry.Operation() != jetstream.KeyValuePut {
		return Change{ID: parts[0]}
	}
	record, err := read(entry)
	if err != nil {
		return Change{ID: parts[0], Err: err}
	}
	return Change{ID: parts[0], Record: &record}
}
