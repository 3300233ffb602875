package subscribe

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// catchUp takes messages of the subscription's own feed until due, and joins the ring when it can.
func (s *subscription) catchUp(ctx context.Context, due time.Time) error {
	if s.join(ctx) {
		return nil
	}
	if err := s.check(ctx, s.verify(ctx)); err != nil || !s.feed.isOpen() {
		return err
	}
	err := s.gather(ctx, due)
	if s.out.events > 0 || err == nil {
		return nil // the error comes back
	}
	if errors.Is(err, errIdle) {
		err = s.advance(ctx)
	}
	return s.check(ctx, err)
}

// advance moves the position while nothing comes, and verifies it: its token goes out next, and from
// then on the stream may drop what lies behind it.
func (s *subscription) advance(ctx context.Context) error {
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

// gather takes the messages that are there, waiting a little for the first.
func (s *subscription) gather(ctx context.Context, due time.Time) error {
	defer context.AfterFunc(ctx, s.feed.messages.Stop)()
	wait := min(settle, max(time.Until(due), linger))
	for s.out.events < s.server.cfg.BatchEvents {
		e, err := s.feed.next(wait)
		if err != nil {
			return err
		}
		if h, chosen := s.group.judge(e); chosen {
			s.take(ctx, h)
			// There is no way back to what was received: a response may be an event too large.
			if len(s.out.content) >= int(s.server.cfg.BatchBytes) {
				return nil
			}
		}
		if s.out.events > 0 {
			wait = linger
		}
		if time.Now().After(due) {
			return nil
		}
	}
	return nil
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

// reopen tries once to go on: in the ring, or by a consumer. It waits a little if that fails.
func (s *subscription) reopen(ctx context.Context) error {
	if s.join(ctx) {
		return nil
	}
	if s.failedSince.IsZero() {
		s.failedSince = time.Now()
	}
	err := s.feed.open(ctx)
	switch {
	case err == nil:
		s.failedSince, s.verifiedAt = time.Time{}, time.Now()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case isShown(err):
		return err
	case time.Since(s.failedSince) > s.server.cfg.OutageTimeout && errors.Is(err, errFull):
		return s.busy(err)
	case time.Since(s.failedSince) > s.server.cfg.OutageTimeout:
		return errAway.Because(err)
	default:
		pause(ctx, retryWait)
	}
	return nil
}

// busy returns what a client is told that waited in vain for a slot.
func (s *subscription) busy(err error) error {
	bound := "all"
	if errors.Is(err, errOwnFull) {
		bound = "caller"
	}
	s.server.set.Metrics.Behind.WithLabelValues(bound).Inc()
	return errBusy.With("bound", bound).Because(err)
}
