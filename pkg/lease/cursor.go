package lease

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/entraflow/entraflow/pkg/bus"
)

// ErrFenced is returned for a write under a lease that a later holder has followed.
var ErrFenced = errors.New("fenced off by a later holder")

// fenceBytes is the length of the fence before a cursor's value.
const fenceBytes = 8

// Cursor is a key of a KV bucket that only the holder of a lease may write. Its value carries the lease's
// revision, and each write replaces the very one that this holder wrote or found before: whoever has
// lost the lease, even without knowing, changes nothing once the next holder has opened the cursor. It is not
// safe for concurrent use.
type Cursor struct {
	kv       jetstream.KeyValue
	key      string
	lease    *Lease
	value    []byte
	revision uint64
}

// OpenCursor reads the cursor and puts the lease's fence on it, which shuts out every earlier holder. Do
// that before acting on the value. It fails with ErrFenced if a later holder was here.
func OpenCursor(ctx context.Context, kv jetstream.KeyValue, key string, l *Lease) (*Cursor, error) {
	c := &Cursor{kv: kv, key: key, lease: l}
	for {
		fence, err := c.read(ctx)
		if err != nil {
			return nil, fmt.Errorf("opening cursor %s: %w", key, err)
		}
		if fence > l.fence {
			return nil, fmt.Errorf("opening cursor %s: %w", key, ErrFenced)
		}
		err = c.write(ctx, c.value)
		if err == nil {
			return c, nil
		}
		// An earlier holder may have written in between, but none can do so without end.
		if !bus.WrongRevision(err) {
			return nil, fmt.Errorf("opening cursor %s: %w", key, err)
		}
	}
}

// Value returns what was last read or set; empty if nothing was.
func (c *Cursor) Value() []byte { return c.value }

// Set writes the value. It fails with ErrLost if the lease is known to be lost, and with ErrFenced if a
// later holder has opened the cursor; the value in the bucket is then the later holder's. After another error
// it may be written or not, and Set may be called again.
func (c *Cursor) Set(ctx context.Context, value []byte) error {
	if !c.lease.Held() {
		return fmt.Errorf("setting cursor %s: %w", c.key, ErrLost)
	}
	err := c.write(ctx, value)
	if !bus.WrongRevision(err) {
		return wrapSet(c.key, err)
	}
	// Someone has written: we, with the answer lost, or a later holder.
	fence, err := c.read(ctx)
	if err != nil {
		return wrapSet(c.key, err)
	}
	if fence != c.lease.fence {
		return wrapSet(c.key, ErrFenced)
	}
	return wrapSet(c.key, c.write(ctx, value))
}

func wrapSet(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("setting cursor %s: %w", key, err)
}

// read takes the value and revision from the bucket and returns the fence.
func (c *Cursor) read(ctx context.Context) (fence uint64, err error) {
	entry, err := c.kv.Get(ctx, c.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		c.value, c.revision = nil, 0
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(entry.Value()) < fenceBytes {
		return 0, errors.New("value has no fence")
	}
	c.value, c.revision = entry.Value()[fenceBytes:], entry.Revision()
	return binary.BigEndian.Uint64(entry.Value()), nil
}

func (c *Cursor) write(ctx context.Context, value []byte) error {
	fenced := append(binary.BigEndian.AppendUint64(nil, c.lease.fence), value...)
	var revision uint64
	var err error
	if c.revision == 0 {
		revision, err = c.kv.Create(ctx, c.key, fenced) // also where the key was deleted
	} else {
		revision, err = c.kv.Update(ctx, c.key, fenced, c.revision)
	}
	if err != nil {
		return err
	}
	c.value, c.revision = fenced[fenceBytes:], revision
	return nil
}

// ForgetCursors removes the cursors whose keys begin with these parts, whoever holds their lease.
func ForgetCursors(ctx context.Context, kv jetstream.KeyValue, prefix string) error {
	keys, err := kv.ListKeysFiltered(ctx, prefix+".>")
	if err != nil {
		return fmt.Errorf("forgetting cursors: %w", err)
	}
	var failed error
	for key := range keys.Keys() { // read to its end, or its goroutine stays
		failed = errors.Join(failed, kv.Purge(ctx, key))
	}
	return failed
}
