package budget

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrConflict is what a KV's Create and Update return when the key has another revision.
var ErrConflict = errors.New("another revision is stored")

// KV is a key-value store with compare-and-swap. Get returns a nil value and revision 0 if the key is
// absent. Update with revision 0 is Create.
type KV interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
}

// JetStream returns the bucket as a KV.
func JetStream(kv jetstream.KeyValue) KV { return bucketKV{kv} }

type bucketKV struct{ kv jetstream.KeyValue }

func (b bucketKV) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	entry, err := b.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return entry.Value(), entry.Revision(), nil
}

func (b bucketKV) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := b.kv.Create(ctx, key, value)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return 0, ErrConflict
	}
	return revision, err
}

func (b bucketKV) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if revision == 0 {
		return b.Create(ctx, key, value)
	}
	revision, err := b.kv.Update(ctx, key, value, revision)
	if fault, ok := errors.AsType[*jetstream.APIError](err); ok && fault.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return 0, ErrConflict
	}
	return revision, err
}
