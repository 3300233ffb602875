package grpcserver

import (
	"context"
	"sync"
)

// streams bounds the streaming calls of a server, and ends them when it stops: a stream may
// have no end of its own.
type streams struct {
	limit int
	// stopping is closed when the server stops.
	stopping chan struct{}

	mu      sync.Mutex
	next    int
	cancels map[int]context.CancelCauseFunc // of the open streams
	stopped bool
}

func newStreams(limit int) *streams {
	return &streams{limit: limit, stopping: make(chan struct{}), cancels: map[int]context.CancelCauseFunc{}}
}

// open returns the context of a new stream, cancelled with errStopping when the server stops.
// The stream must call release when it ends.
func (s *streams) open(ctx context.Context) (_ context.Context, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, nil, errStopping
	}
	if len(s.cancels) >= s.limit {
		return nil, nil, errTooManyStreams
	}
	ctx, cancel := context.WithCancelCause(ctx)
	id := s.next
	s.next++
	s.cancels[id] = cancel
	return ctx, func() {
		cancel(context.Canceled)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.cancels, id)
	}, nil
}

// stop ends the open streams and lets no more open.
func (s *streams) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		close(s.stopping)
	}
	s.stopped = true
	for _, cancel := range s.cancels {
		cancel(errStopping)
	}
}
