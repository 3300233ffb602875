package checkpoint

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Rewind moves the positions of a hub and group back by the store's StepBack or more, those that are
// younger to the beginning. It is for a start after a power cut, when the bucket may know of positions
// beyond what the stream still has; what was stored nevertheless is stored again under the same message ids and
// versions. Nobody may read the hub meanwhile.
func (s *Store) Rewind(ctx context.Context, namespace, hub, group string) error {
	latest := map[string]entry{}
	p := Partition{namespace, hub, group, ""}
	err := s.retry(ctx, func(ctx context.Context) error {
		clear(latest)
		return s.list(ctx, kindPosition, p, func(id string, e entry) error {
			latest[id] = e
			return nil
		})
	})
	for id, e := range latest {
		if err != nil {
			break
		}
		p.ID = id
		err = s.retry(ctx, func(ctx context.Context) error { return s.rewind(ctx, p.key(kindPosition), e) })
	}
	if err != nil {
		return fmt.Errorf("rewinding %s: %w", hub, err)
	}
	return nil
}

// rewind replaces a position by its sure anchor. If the key has changed since, an earlier attempt did it.
func (s *Store) rewind(ctx context.Context, key string, e entry) error {
	var value position
	if err := json.Unmarshal(e.value, &value); err != nil || value.Sure == nil {
		// A damaged position is none, and the beginning is always right.
		err := s.kv.Delete(ctx, key, jetstream.LastRevision(e.revision))
		if mismatch(err) {
			return nil
		}
		return err
	}
	back := position{
		Sequence: value.Sure.Sequence, Offset: value.Sure.Offset, Fence: value.Fence, Next: value.Sure,
	}
	text, err := json.Marshal(back)
	if err != nil {
		return err
	}
	_, _, err = s.swap(ctx, key, text, e.revision)
	return err
}
