package subscribe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

const (
	// linger is how long a response waits for another event.
	linger = 200 * time.Microsecond
	// retryWait is the time between two tries to reach NATS.
	retryWait = 500 * time.Millisecond
)

// subscription is one call of Subscribe.
type subscription struct {
	server     *Server
	feed       *feed
	selected   selection
	includeRaw bool
	send       func(*controlv1.SubscribeResponse) error
	stalled    chan struct{} // closed when a Send takes too long

	failedSince time.Time // zero while NATS is there
	verifiedAt  time.Time
}

// open checks where a subscription shall begin, and opens its feed.
func (s *Server) open(ctx context.Context, req *controlv1.SubscribeRequest, selected selection) (*feed, error) {
	f := &feed{js: s.set.JetStream, cfg: s.cfg, subjects: selected.subjects()}
	if req.GetResumeToken() != "" {
		after, err := parsePosition(s.set.Tokens, req.GetResumeToken())
		if err != nil {
			return nil, err
		}
		f.start.after = &after
	}
	if req.GetStartTime() != nil {
		if err := req.GetStartTime().CheckValid(); err != nil {
			return nil, errStartTime
		}
		f.start.time = req.GetStartTime().AsTime()
	}
	err := f.open(ctx)
	if err == nil || isShown(err) || ctx.Err() != nil {
		return f, err
	}
	return nil, errAway.Because(err)
}

// run sends until ctx is done, the client is gone or something is wrong.
func (s *subscription) run(ctx context.Context) error {
	defer s.feed.close(ctx)
	s.verifiedAt = time.Now()
	var events []*eventv1.Event
	for {
		// The first response has no events: it says that the subscription stands.
		if err := s.respond(events); err != nil {
			return err
		}
		var err error
		if events, err = s.collect(ctx); err != nil {
			return err
		}
	}
}

// respond sends a response; Send blocks while the client does not read.
func (s *subscription) respond(events []*eventv1.Event) error {
	tooLong := time.AfterFunc(s.server.cfg.SendTimeout, func() { close(s.stalled) })
	err := s.send(&controlv1.SubscribeResponse{
		Events: events, ResumeToken: s.feed.position.token(s.server.set.Tokens),
	})
	if !tooLong.Stop() {
		return errSlow
	}
	if err != nil {
		return fmt.Errorf("sending response: %w", err)
	}
	s.server.set.Metrics.Responses.WithLabelValues().Inc()
	s.server.set.Metrics.Events.WithLabelValues().Add(float64(len(events)))
	return nil
}

// collect returns the events of the next response: none when it is time for a sign of life.
func (s *subscription) collect(ctx context.Context) ([]*eventv1.Event, error) {
	due := time.Now().Add(s.server.cfg.KeepAlive)
	for time.Now().Before(due) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !s.feed.isOpen() {
			if err := s.reopen(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if err := s.check(ctx, s.verify(ctx)); err != nil {
			return nil, err
		}
		if !s.feed.isOpen() {
			continue
		}
		events, err := s.gather(ctx, due)
		if len(events) > 0 {
			return events, nil
		}
		if !errors.Is(err, errIdle) {
			if err := s.check(ctx, err); err != nil {
				return nil, err
			}
		}
	}
	return nil, s.check(ctx, s.advance(ctx))
}

// advance moves the position while nothing comes, and verifies it: its token goes out next, and from
// then on the stream may drop what lies behind it.
func (s *subscription) advance(ctx context.Context) error {
	if !s.feed.isOpen() {
		return nil
	}
	if err := s.feed.advance(ctx); err != nil {
		return err
	}
	s.verifiedAt = time.Now()
	return s.feed.verify(ctx)
}

// verify asks from time to time whether the stream outran the subscription.
func (s *subscription) verify(ctx context.Context) error {
	if time.Since(s.verifiedAt) < s.server.cfg.KeepAlive {
		return nil
	}
	s.verifiedAt = time.Now()
	return s.feed.verify(ctx)
}

// gather takes the messages that are there, waiting for the first until due. An error without events is
// the feed's; with events it comes back in the next call.
func (s *subscription) gather(ctx context.Context, due time.Time) ([]*eventv1.Event, error) {
	defer context.AfterFunc(ctx, s.feed.messages.Stop)()
	var events []*eventv1.Event
	size := 0
	for len(events) < s.server.cfg.BatchEvents && size < int(s.server.cfg.BatchBytes) {
		wait := linger
		if len(events) == 0 {
			wait = time.Until(due)
		}
		if wait <= 0 {
			return nil, errIdle
		}
		msg, err := s.feed.next(wait)
		if err != nil {
			return events, err
		}
		event := &eventv1.Event{}
		if err := proto.Unmarshal(msg.Data(), event); err != nil {
			s.server.set.Metrics.Bad.WithLabelValues().Inc()
			s.server.set.Logger.Warn("message is no event", slog.String("stream", eventv1.EventStream), slog.Any("err", err))
			continue
		}
		if !s.selected.includes(event) {
			continue
		}
		// What stays of the message, and what comes out of the object store.
		size += len(msg.Data()) - len(event.GetRaw())
		s.prepare(ctx, event)
		size += len(event.GetRaw())
		events = append(events, event)
	}
	return events, nil
}

// check closes the feed after an error, so that it is opened again; it returns errors that another
// try does not help.
func (s *subscription) check(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case isShown(err):
		return err
	}
	s.server.set.Metrics.Reopened.WithLabelValues(causeOf(err)).Inc()
	s.server.set.Logger.Debug("subscription interrupted", slog.Any("err", err))
	s.feed.close(ctx)
	s.failedSince = time.Now()
	return nil
}

// reopen tries once to open the feed, and waits a little if that fails.
func (s *subscription) reopen(ctx context.Context) error {
	err := s.feed.open(ctx)
	switch {
	case err == nil:
		s.failedSince = time.Time{}
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case isShown(err):
		return err
	case time.Since(s.failedSince) > s.server.cfg.OutageTimeout:
		return errAway.Because(err)
	}
	timer := time.NewTimer(retryWait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func causeOf(err error) string {
	if errors.Is(err, errLost) {
		return "lost"
	}
	return "connection"
}

func isShown(err error) bool {
	var shown grpcserver.Shown
	return errors.As(err, &shown)
}

// prepare fits the event to what the client asked for.
func (s *subscription) prepare(ctx context.Context, event *eventv1.Event) {
	blob := event.GetRawBlob()
	switch {
	case !s.includeRaw:
		event.Raw, event.RawBlob = nil, nil
	case blob != nil && blob.GetSize() <= uint64(s.server.cfg.MaxRaw):
		raw, err := s.server.set.Blobs.Load(ctx, blob)
		if err != nil {
			// The client sees that there is more, and under which name.
			s.server.set.Logger.Warn("raw record not found", slog.String("event_id", event.GetId()), slog.Any("err", err))
			return
		}
		event.Raw, event.RawBlob = raw, nil
	}
}
