package connect

import (
	"context"
	"sync/atomic"
	"time"
)

// openTimeout bounds how long a method waits for a bucket.
const openTimeout = 3 * time.Second

// later is a store that is opened when it is first needed. It is safe for concurrent use: a store that is opened twice at
// once is one, and needs no closing.
type later[T any] struct {
	open  func(context.Context) (*T, error)
	value atomic.Pointer[T]
}

// get returns the store. Its errors are for the client.
func (l *later[T]) get(ctx context.Context) (*T, error) {
	if value := l.value.Load(); value != nil {
		return value, nil
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	value, err := l.open(ctx)
	if err != nil {
		return nil, shown(err)
	}
	l.value.Store(value)
	return value, nil
}
