package subscribe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	// linger is how long a response waits for another event while a subscription catches up.
	linger = 200 * time.Microsecond
	// settle is the silence after which a subscription that catches up looks whether it has.
	settle = 50 * time.Millisecond
	// retryWait is the time between two tries to reach NATS.
	retryWait = 500 * time.Millisecond
)

// subscription is one call of Subscribe. It reads the ring of the hub; where that does not reach back to its place, it
// catches up by a feed of its own. The feed's position is the subscription's, whichever way it reads.
type subscription struct {
	server     *Server
	hub        *hub
	feed       *feed // open only while ring is nil
	ring       *ring // nil: catching up
	group      *group
	includeRaw bool
	send       func(*controlv1.SubscribeResponse) error
	stalled    chan struct{} // closed when a Send takes too long

	out         batch
	failedSince time.Time // zero while the feed reads
	verifiedAt  time.Time
}

// batch is what goes into the next response.
type batch struct {
	content []byte // events, encoded as fields of SubscribeResponse
	events  int
	failed  uint64
}

// start checks where the subscription shall begin, and opens its feed unless the ring has all it needs.
func (s *subscription) start(ctx context.Context) error {
	err := s.begin(ctx)
	if err == nil || isShown(err) || ctx.Err() != nil {
		return err
	}
	return errAway.Because(err)
}

func (s *subscription) begin(ctx context.Context) error {
	if s.feed.start.time.IsZero() {
		within, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		if _, err := s.feed.locate(within); err != nil {
			return err
		}
		if s.join(ctx) {
			return nil
		}
	}
	// Its turn comes when another has caught up.
	waiting, cancel := context.WithTimeout(ctx, s.server.cfg.OutageTimeout)
	defer cancel()
	err := s.feed.open(ctx)
	for errors.Is(err, errFull) {
		if pause(waiting, settle); waiting.Err() != nil {
			return s.busy(err)
		}
		err = s.feed.open(ctx)
	}
	if err != nil {
		return err
	}
	s.verifiedAt = time.Now()
	s.join(ctx)
	return nil
}

// join leaves the feed for the ring if that holds all behind the position.
func (s *subscription) join(ctx context.Context) bool {
	ring, ok := s.hub.join(s.feed.position)
	if !ok {
		return false
	}
	s.feed.close(ctx)
	s.ring, s.failedSince = ring, time.Time{}
	return true
}

// leave leaves the ring if the subscription is in it.
func (s *subscription) leave() {
	if s.ring != nil {
		s.ring = nil
		s.group.left()
	}
}

// run sends until ctx is done, the client is gone or something is wrong.
func (s *subscription) run(ctx context.Context) error {
	defer s.feed.close(ctx)
	defer s.leave()
	for {
		// The first response has no events: it says that the subscription stands.
		if err := s.respond(); err != nil {
			return err
		}
		if err := s.collect(ctx); err != nil {
			return err
		}
	}
}

// respond sends a response; Send blocks while the client does not read.
func (s *subscription) respond() error {
	response := &controlv1.SubscribeResponse{
		ResumeToken: s.server.token(s.feed.position), FilterErrors: s.out.failed,
	}
	// The events are encoded once for all subscribers. A message's unknown fields are sent as they are, so that
	// the client reads the field events.
	response.ProtoReflect().SetUnknown(s.out.content)
	tooLong := time.AfterFunc(s.server.cfg.SendTimeout, func() { close(s.stalled) })
	err := s.send(response)
	if !tooLong.Stop() {
		return errSlow
	}
	if err != nil {
		return fmt.Errorf("sending response: %w", err)
	}
	s.server.counted.responses.Inc()
	s.server.counted.events.Add(float64(s.out.events))
	s.server.counted.failed.Add(float64(s.out.failed))
	// Send has copied what it needs.
	s.out = batch{content: s.out.content[:0]}
	return nil
}

// collect fills the next response: with no events when it is time for a sign of life.
func (s *subscription) collect(ctx context.Context) error {
	due := time.Now().Add(s.server.cfg.KeepAlive)
	for s.out.events == 0 && time.Now().Before(due) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var err error
		switch {
		case s.ring != nil:
			err = s.follow(ctx, due)
		case s.feed.isOpen():
			err = s.catchUp(ctx, due)
		default:
			err = s.reopen(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// follow takes what is new in the ring, or waits for something until due.
func (s *subscription) follow(ctx context.Context, due time.Time) error {
	changed := s.ring.change()
	if s.hub.away(s.server.cfg.OutageTimeout) {
		return errAway
	}
	hits, upTo, more, ok := s.group.next(s.ring, s.feed.position.sequence, s.server.cfg.BatchEvents)
	if !ok {
		// It read too slowly, or the stream is another.
		s.leave()
		s.server.set.Metrics.Reopened.WithLabelValues("behind").Inc()
		return nil
	}
	for _, h := range hits {
		if !s.fits(h) {
			upTo = h.entry.sequence - 1
			break
		}
		s.take(ctx, h)
	}
	s.feed.position.sequence = max(s.feed.position.sequence, upTo)
	if s.out.events > 0 || more {
		return nil
	}
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// fits reports whether the next response has room for a hit. An event alone always fits.
func (s *subscription) fits(h hit) bool {
	size := len(h.entry.bare)
	if s.includeRaw {
		size = len(h.entry.data)
	}
	return s.out.events == 0 || len(s.out.content)+size <= int(s.server.cfg.BatchBytes)
}

// take adds a hit to the next response.
func (s *subscription) take(ctx context.Context, h hit) {
	switch {
	case !s.feed.covers(h.entry):
		return
	case h.failed:
		s.out.failed++
		return
	case s.includeRaw:
		var err error
		s.out.content, err = h.entry.appendWhole(ctx, s.out.content, uint64(s.server.cfg.MaxRaw), s.server.set.Blobs.Load)
		if err != nil {
			// The client sees that there is more, and under which name.
			s.server.set.Logger.Warn("raw record not found", slog.String("event_id", h.entry.event.GetId()), slog.Any("err", err))
		}
	default:
		s.out.content = append(s.out.content, h.entry.bare...)
	}
	s.out.events++
}

func causeOf(err error) string {
	_, isPanic := errors.AsType[*panicked](err)
	switch {
	case isPanic:
		return "panic"
	case errors.Is(err, errLost):
		return "lost"
	case errors.Is(err, errGone):
		return "gone"
	default:
		return "connection"
	}
}

func isShown(err error) bool {
	var shown grpcserver.Shown
	return errors.As(err, &shown)
}
