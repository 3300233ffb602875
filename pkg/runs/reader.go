package runs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// Reader reads runs and statuses. It is safe for concurrent use and needs no closing.
type Reader struct {
	kv jetstream.KeyValue
	// of is the first token of what is read: a service's, or a wildcard for all.
	of string
}

// OpenReader returns what all services wrote. It waits for the bucket until ctx is done.
func OpenReader(ctx context.Context, conn *bus.Conn) (*Reader, error) {
	kv, err := conn.Bucket(ctx, bus.BucketRuns)
	if err != nil {
		return nil, err
	}
	return &Reader{kv, "*"}, nil
}

// keys matches what begins with parts; each of rest is a token or a wildcard.
func (r *Reader) keys(kind, integration string, rest ...string) string {
	return strings.Join(append([]string{r.of, bus.Key(kind, integration)}, rest...), ".")
}

// Get returns a run and its revision, or ErrNotFound. Of two services' runs of one name it is the newer.
func (r *Reader) Get(ctx context.Context, integration, id string) (run *controlv1.Run, revision uint64, err error) {
	err = r.read(ctx, r.keys(kindRun, integration, bus.Key(id)), func(entry jetstream.KeyValueEntry) error {
		next, err := decode(entry)
		if run == nil || next.GetCreateTime().AsTime().After(run.GetCreateTime().AsTime()) {
			run, revision = next, entry.Revision()
		}
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading run: %w", err)
	}
	if run == nil {
		return nil, 0, fmt.Errorf("reading run: %w", ErrNotFound)
	}
	return run, revision, nil
}

// List returns the runs of an integration, newest first.
func (r *Reader) List(ctx context.Context, integration string) ([]*controlv1.Run, error) {
	var all []*controlv1.Run
	err := r.each(ctx, integration, func(run *controlv1.Run, _ uint64) { all = append(all, run) })
	if err != nil {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	slices.SortFunc(all, newer)
	return all, nil
}

// each calls handle with each run of an integration as it is now, and its revision.
func (r *Reader) each(ctx context.Context, integration string, handle func(*controlv1.Run, uint64)) error {
	return r.read(ctx, r.keys(kindRun, integration, "*"), func(entry jetstream.KeyValueEntry) error {
		run, err := decode(entry)
		if err == nil {
			handle(run, entry.Revision())
		}
		return err
	})
}

// newer orders runs, the newest first.
func newer(a, b *controlv1.Run) int {
	return cmp.Or(b.GetCreateTime().AsTime().Compare(a.GetCreateTime().AsTime()), strings.Compare(b.GetName(), a.GetName()))
}

// Watch calls handle with each run of an integration whenever it is written, those there are first, until ctx is done or
// handle returns false; it returns nil then. An empty id is all runs.
func (r *Reader) Watch(ctx context.Context, integration, id string, handle func(*controlv1.Run, uint64) bool) error {
	key := r.keys(kindRun, integration, "*")
	if id != "" {
		key = r.keys(kindRun, integration, bus.Key(id))
	}
	watching, done := bus.WatchContext(ctx)
	defer done()
	watcher, err := r.kv.Watch(watching, key, jetstream.IgnoreDeletes())
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

// read calls handle for each key that matches now.
func (r *Reader) read(ctx context.Context, keys string, handle func(jetstream.KeyValueEntry) error) error {
	watcher, err := r.kv.Watch(ctx, keys, jetstream.IgnoreDeletes())
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
