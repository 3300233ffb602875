package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// bucketWait is how long to wait before a bucket is looked for again.
const bucketWait = 200 * time.Millisecond

// Bucket opens a KV bucket of the topology. It waits for it until ctx is done: whoever makes the buckets may start
// later.
func (c *Conn) Bucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	for {
		kv, err := c.js.KeyValue(ctx, name)
		if err == nil {
			return kv, nil
		}
		pause(ctx, bucketWait)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("opening bucket %s: %w", name, err)
		}
	}
}

// WrongRevision reports whether a write to a bucket failed because the key has another revision, or is there
// already.
func WrongRevision(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// WatchContext returns a context for a watch of a bucket, which the caller ends after it has stopped the watch. A watch
// that its own context ends asks the server to forget it from a goroutine of nats.go's, which loses against a connection
// that closes just then: the server would keep the consumer for a while.
func WatchContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithoutCancel(ctx))
}
