package subscribe

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// gathering is how long events that come after a silence are waited for together.
const gathering = 200 * time.Microsecond

// hub reads all of EVENTS over one consumer into a ring, for every subscription that is at the stream's end. It
// works in a goroutine of its own as long as somebody subscribes.
type hub struct {
	server *Server
	feed   *feed // of run alone
	cancel context.CancelFunc
	tried  chan struct{} // closed once it opened, or could not

	users int // guarded by Server.mu

	mu          sync.Mutex
	ring        *ring     // nil: never opened, or the stream is not what it was
	failedSince time.Time // zero while it reads
}

// enter returns the hub, which reads or has failed to. The caller must call leave once.
//
//nolint:contextcheck // the hub outlives the call that needs it first, and must not keep its identity and credentials
func (s *Server) enter(ctx context.Context) (_ *hub, leave func(), err error) {
	s.mu.Lock()
	if s.hub == nil {
		own, cancel := context.WithCancel(context.Background())
		h := &hub{server: s, cancel: cancel, tried: make(chan struct{})}
		s.hub = h
		s.running.Go(func() { h.run(own) })
	}
	h := s.hub
	h.users++
	s.mu.Unlock()
	leave = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if h.users--; h.users == 0 {
			h.cancel()
			s.hub = nil
		}
	}
	select {
	case <-h.tried:
		return h, leave, nil
	case <-ctx.Done():
		leave()
		return nil, nil, context.Cause(ctx)
	}
}

// join returns the ring if it holds everything behind the position.
func (h *hub) join(p position) (*ring, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ring == nil || !h.ring.covers(p) {
		return nil, false
	}
	return h.ring, true
}

// away reports whether the hub has not read for the time.
func (h *hub) away(timeout time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.failedSince.IsZero() && time.Since(h.failedSince) > timeout
}

// run reads until ctx is done.
func (h *hub) run(ctx context.Context) {
	h.feed = h.newFeed()
	tried := sync.OnceFunc(func() { close(h.tried) })
	for ctx.Err() == nil {
		opened, err := h.turn(ctx, tried)
		h.note(ctx, err)
		if !opened && !errors.Is(err, errGone) {
			pause(ctx, retryWait)
		}
	}
	h.reset()
}

// turn opens the feed once, tells so, and reads until something is wrong. A panic it returns as a *panicked, with
// opened false: the next try has to wait.
func (h *hub) turn(ctx context.Context, tried func()) (opened bool, err error) {
	err = recovered(func() error {
		defer h.feed.close(ctx)
		err := h.open(ctx)
		tried()
		if err != nil {
			return err
		}
		err = h.read(ctx)
		opened = true
		return err
	})
	tried()
	return opened, err
}

func (h *hub) newFeed() *feed {
	return &feed{js: h.server.set.JetStream, cfg: h.server.cfg, subjects: []string{eventv1.EventSubjects}}
}

// open opens the feed, with a new ring if the old one's numbers mean nothing any more.
func (h *hub) open(ctx context.Context) error {
	before := h.feed.position.sequence
	if err := h.feed.open(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ring != nil && h.feed.position.sequence < before {
		h.ring.end()
		h.ring = nil
	}
	if h.ring == nil {
		h.ring = newRing(h.feed.position, h.server.cfg.RingEvents, int(h.server.cfg.RingBytes))
	}
	h.failedSince = time.Time{}
	return nil
}

// note notes why reading ended.
func (h *hub) note(ctx context.Context, err error) {
	_, isPanic := errors.AsType[*panicked](err)
	if isPanic {
		h.server.set.Metrics.Panics.WithLabelValues("shared").Inc()
		h.server.set.Logger.Error("feed of subscriptions failed", slog.Any("err", err))
	}
	if ctx.Err() != nil {
		return
	}
	h.server.set.Metrics.Reopened.WithLabelValues(causeOf(err)).Inc()
	h.server.set.Logger.Debug("feed of subscriptions interrupted", slog.Any("err", err))
	if errors.Is(err, errGone) || isPanic {
		// Each subscription finds out for itself whether it misses something.
		h.reset()
		h.feed = h.newFeed()
		return
	}
	h.mu.Lock()
	if h.failedSince.IsZero() {
		h.failedSince = time.Now()
	}
	ring, long := h.ring, time.Since(h.failedSince) > h.server.cfg.OutageTimeout
	h.mu.Unlock()
	if ring != nil && long {
		ring.wake()
	}
}

// reset makes all leave the ring.
func (h *hub) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ring != nil {
		h.ring.end()
		h.ring = nil
	}
}

// read adds what comes to the ring: what comes after a silence at once, then no more often than every Linger, so
// that a response carries what came meanwhile.
func (h *hub) read(ctx context.Context) error {
	defer context.AfterFunc(ctx, h.feed.messages.Stop)()
	var pending []*entry
	var added, due time.Time
	add := func() {
		h.ring.add(pending, h.feed.position.sequence)
		pending, added = nil, time.Now()
	}
	for {
		wait := min(h.server.cfg.KeepAlive, heartbeat)
		if len(pending) > 0 {
			wait = time.Until(due)
		}
		if wait <= 0 || len(pending) >= h.server.cfg.RingEvents {
			add()
			continue
		}
		e, err := h.next(ctx, wait)
		switch {
		case err == nil && len(pending) == 0:
			due = later(time.Now().Add(gathering), added.Add(h.server.cfg.Linger))
			pending = append(pending, e)
		case err == nil:
			pending = append(pending, e)
		case len(pending) > 0:
			add()
		case errors.Is(err, errIdle):
			err = h.check(ctx)
		}
		if err != nil && !errors.Is(err, errIdle) {
			return err
		}
	}
}

// next returns the next entry. It fails with errGone if the stream dropped something before it.
func (h *hub) next(ctx context.Context, wait time.Duration) (*entry, error) {
	before := h.feed.position.sequence
	e, err := h.feed.next(wait)
	if err != nil || e.sequence == before+1 {
		return e, err
	}
	if err := h.feed.missed(ctx, before); err != nil {
		h.feed.position.sequence = before
		return nil, err
	}
	return e, nil
}

// check finds out in a silence whether a message did not arrive, or was dropped before it could.
func (h *hub) check(ctx context.Context) error {
	before := h.feed.position.sequence
	if err := h.feed.advance(ctx); err != nil {
		return err
	}
	if err := h.feed.missed(ctx, before); err != nil {
		return err
	}
	if h.feed.position.sequence > before {
		h.ring.add(nil, h.feed.position.sequence)
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pause waits; less if ctx is done before.
func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
