package bus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// ErrBlobDamaged is returned for a blob whose bytes are not those its name promises.
var ErrBlobDamaged = errors.New("blob damaged")

// Blobs keeps bytes that are too large for a message in the object store, each under its SHA-256. It is
// safe for concurrent use.
type Blobs struct{ conn *Conn }

// NewBlobs returns the object store as seen by the connection's user.
func NewBlobs(conn *Conn) *Blobs { return &Blobs{conn: conn} }

// Put stores data, unless it is there, and returns its reference. It tries until it works or ctx
// ends. Bytes that were put long ago are put again, so that they outlive whatever refers to them now.
func (b *Blobs) Put(ctx context.Context, data []byte) (*eventv1.BlobReference, error) {
	sum := sha256.Sum256(data)
	ref := &eventv1.BlobReference{Name: hex.EncodeToString(sum[:]), Size: uint64(len(data))}
	for attempt := 0; ; attempt++ {
		err := b.put(ctx, ref, data)
		if err == nil {
			return ref, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("storing blob: %w", errors.Join(context.Cause(ctx), err))
		}
		b.conn.metrics.retries.WithLabelValues(b.conn.set.Service, string(causeServer)).Inc()
		timer := time.NewTimer(retryDelay(attempt))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

func (b *Blobs) put(ctx context.Context, ref *eventv1.BlobReference, data []byte) error {
	store, err := b.conn.js.ObjectStore(ctx, BucketBlobs)
	if err != nil {
		return err
	}
	info, err := store.GetInfo(ctx, ref.GetName())
	switch {
	case err == nil && info.Size == ref.GetSize() && time.Since(info.ModTime) < BlobRefreshAge:
		return nil
	case err != nil && !errors.Is(err, jetstream.ErrObjectNotFound):
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	if _, err = store.Put(ctx, jetstream.ObjectMeta{Name: ref.GetName()}, bytes.NewReader(data)); err != nil {
		return err
	}
	b.conn.metrics.blobs.WithLabelValues(b.conn.set.Service).Add(float64(len(data)))
	return nil
}

// Load returns the bytes that ref names. It fails with jetstream.ErrObjectNotFound if they are gone
// and with ErrBlobDamaged if they are not what was stored.
func (b *Blobs) Load(ctx context.Context, ref *eventv1.BlobReference) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	store, err := b.conn.js.ObjectStore(ctx, BucketBlobs)
	if err != nil {
		return nil, fmt.Errorf("loading blob %s: %w", ref.GetName(), err)
	}
	data, err := store.GetBytes(ctx, ref.GetName())
	if err != nil {
		return nil, fmt.Errorf("loading blob %s: %w", ref.GetName(), err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != ref.GetName() {
		return nil, fmt.Errorf("loading blob %s: %w", ref.GetName(), ErrBlobDamaged)
	}
	return data, nil
}

// Resolve returns the event's raw bytes, wherever they are, and leaves the event as it is.
func (b *Blobs) Resolve(ctx context.Context, event *eventv1.Event) ([]byte, error) {
	if event.GetRawBlob() == nil {
		return event.GetRaw(), nil
	}
	return b.Load(ctx, event.GetRawBlob())
}

// outsource moves the raw bytes of a message that is too large to the object store.
func (p *Publisher) outsource(ctx context.Context, m Message) error {
	blobs := Blobs{conn: p.conn}
	switch m := m.(type) {
	case *eventv1.Event:
		ref, err := blobs.Put(ctx, m.GetRaw())
		if err != nil {
			return err
		}
		m.RawBlob, m.Raw = ref, nil
	case *eventv1.DeadLetter:
		ref, err := blobs.Put(ctx, m.GetRaw())
		if err != nil {
			return err
		}
		m.RawBlob, m.Raw = ref, nil
	}
	return nil
}
