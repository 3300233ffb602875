package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/decode"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/session"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/collector/internal/window"
)

// originGraph is the origin of dead letters.
const originGraph = "graph"

// result is what reading a window brought.
type result struct {
	rows, unreadable uint64
	pages            int
	// asked is when the window was asked for: what came later may be missing.
	asked time.Time
}

// read reads a window to its end and waits until everything in it is stored in a stream. It changes no cursor. On an
// error some of it may be stored; reading it again does no harm.
func (f *follower) read(ctx context.Context, w window.Interval, class budget.Class) (result, error) {
	r := result{asked: f.set.Clock.Now()}
	h := f.set.Slots.Hold()
	defer h.Release()
	ctx = h.Within(ctx)
	batch := f.set.Publisher.NewBatch()
	var fresh []sighting
	for page, err := range f.client.Pages(ctx, f.request(w, class)) {
		if err != nil {
			return r, err
		}
		r.pages++
		if err := f.set.Base.Gate.Wait(ctx); err != nil {
			return r, err
		}
		seen, err := f.publish(ctx, batch, page, &r)
		if err != nil {
			return r, err
		}
		if f.isYoung(w, r.asked) {
			fresh = append(fresh, seen...)
		}
	}
	h.Release()
	if err := batch.Wait(ctx); err != nil {
		return r, busError(ctx, err)
	}
	f.set.Recent.add(fresh)
	return r, nil
}

func (f *follower) request(w window.Interval, class budget.Class) entra.Request {
	request := f.info.Window(w.From, w.To)
	if w.From.Equal(beginning()) {
		request = f.info.All() // without a filter: nothing is older
	}
	request.Class = class
	return request
}

// isYoung says that a window will be read again, so that it pays to remember what was in it.
func (f *follower) isYoung(w window.Interval, now time.Time) bool {
	return w.To.After(now.Add(-2 * f.cfg.Overlap))
}

// publish puts the records of a page in flight, but for those that look as they did when they were last published. It
// returns those it published.
func (f *follower) publish(ctx context.Context, batch *bus.Batch, page *entra.Page, r *result) ([]sighting, error) {
	decoder, err := f.set.Decoders.take(ctx)
	if err != nil {
		return nil, err
	}
	defer f.set.Decoders.giveBack(decoder)
	clock := page.Date
	if clock.IsZero() {
		clock = r.asked
	}
	published := make([]sighting, 0, len(page.Value))
	for i, raw := range page.Value {
		r.rows++
		event, err := decoder.GraphObject(f.kind, raw, decode.Origin{
			Integration: f.integration, TenantID: f.tenant, ObservedAt: f.set.Clock.Now(), Clock: clock, Index: i,
		})
		if err != nil {
			r.unreadable++
			if err := f.bury(ctx, batch, raw, err); err != nil {
				return nil, err
			}
			continue
		}
		seen := f.set.Recent.sighting(event.GetId(), raw)
		if f.set.Recent.unchanged(seen) {
			continue
		}
		options := bus.PublishOptions{MessageID: bus.GraphMessageID(f.tenant, f.kind, raw)}
		if err := batch.Publish(ctx, event, options); err != nil {
			return nil, busError(ctx, err)
		}
		published = append(published, seen)
	}
	return published, nil
}

// bury publishes a record that cannot be read as a dead letter.
func (f *follower) bury(ctx context.Context, batch *bus.Batch, raw []byte, cause error) error {
	fault, ok := errors.AsType[*decode.Error](cause)
	if !ok {
		fault = &decode.Error{Reason: decode.ReasonPayloadInvalid, Detail: cause.Error()}
	}
	letter := &eventv1.DeadLetter{
		Origin: originGraph, TenantId: f.tenant, Integration: f.integration,
		Reason: fault.Reason, Detail: fault.Detail, Raw: raw, Attempts: 1,
	}
	if err := batch.Publish(ctx, letter, f.set.DeadLetters.Seal(letter)); err != nil {
		return busError(ctx, err)
	}
	return nil
}

func busError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w: %w", session.ErrBus, err)
}
