package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/entraflow/entraflow/pkg/bus"
)

// observer watches every write to the positions of partitions: none may move back.
type observer struct {
	watcher jetstream.KeyWatcher
	done    sync.WaitGroup

	mu     sync.Mutex
	latest map[string]int64
	writes int
	err    error
}

// observe watches until stop is called.
func (w *world) observe(ctx context.Context) (*observer, error) {
	kv, err := w.operator.JetStream().KeyValue(ctx, bus.BucketCheckpoints)
	if err != nil {
		return nil, err
	}
	watcher, err := kv.WatchAll(ctx)
	if err != nil {
		return nil, err
	}
	o := &observer{watcher: watcher, latest: map[string]int64{}}
	o.done.Go(func() {
		for update := range watcher.Updates() {
			if update != nil {
				o.see(update)
			}
		}
	})
	return o, nil
}

func (o *observer) see(update jetstream.KeyValueEntry) {
	parts, ok := bus.ParseKey(update.Key())
	if !ok || parts[0] != "position" {
		return
	}
	var value struct{ Sequence *int64 }
	err := json.Unmarshal(update.Value(), &value)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes++
	before, known := o.latest[update.Key()]
	switch {
	case err != nil || value.Sequence == nil:
		o.err = fmt.Errorf("position %s is %q", update.Key(), update.Value())
	case known && *value.Sequence < before:
		o.err = fmt.Errorf("position %s moved back from %d to %d", update.Key(), before, *value.Sequence)
	default:
		o.latest[update.Key()] = *value.Sequence
	}
}

// stop ends watching and returns how many writes were seen and what was wrong with one.
func (o *observer) stop() (int, error) {
	_ = o.watcher.Stop() // it may have ended with its context
	o.done.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writes, o.err
}
