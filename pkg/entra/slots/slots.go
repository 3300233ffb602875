// Package slots bounds the pages of Graph that a process holds in memory, over all tenants.
//
// It stands on both sides of an entra.Client: Budget in front of it takes a slot once the budget allows the request, not
// before, so that a tenant that waits for Microsoft's limits keeps nobody from reading; Transport behind it gives the slot
// back when no page comes. Whoever reads says with a Hold in the context where pages end.
package slots

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// Slots is how many pages there may be. It is safe for concurrent use.
type Slots chan struct{}

// New returns n slots.
func New(n int) Slots { return make(Slots, n) }

type holdKey struct{}

// Hold is the slot of one who reads pages one after the other. It is used by one goroutine.
type Hold struct {
	slots Slots
	held  bool
}

// Hold returns a hold that has no slot yet. Release it when the last page is done with.
func (s Slots) Hold() *Hold { return &Hold{slots: s} }

// Within returns a context in which each request of a client takes the slot, when the page before is done with.
func (h *Hold) Within(ctx context.Context) context.Context {
	return context.WithValue(ctx, holdKey{}, h)
}

func (h *Hold) take(ctx context.Context) error {
	if h.held {
		return nil
	}
	select {
	case h.slots <- struct{}{}:
		h.held = true
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Release gives the slot back; without one it does nothing.
func (h *Hold) Release() {
	if h.held {
		h.held = false
		<-h.slots
	}
}

// Budget is an entra.Budget that measures how long Next makes wait, and takes the slot afterwards, if the context has a
// Hold. It is safe for concurrent use.
type Budget struct {
	// Next is nil for no limits.
	Next entra.Budget
	// Waited is told of each wait, however short; nil is nobody.
	Waited func(wait time.Duration)
	Clock  clock.Clock
}

// Acquire implements the method.
func (b Budget) Acquire(ctx context.Context, r budget.Request) error {
	h, holds := ctx.Value(holdKey{}).(*Hold)
	if holds {
		h.Release() // the page before is done with
	}
	began := b.Clock.Now()
	if b.Next != nil {
		if err := b.Next.Acquire(ctx, r); err != nil {
			return err
		}
	}
	if b.Waited != nil {
		b.Waited(b.Clock.Since(began))
	}
	if holds {
		return h.take(ctx)
	}
	return nil
}

// Throttled implements the method.
func (b Budget) Throttled(r budget.Request, pause time.Duration) {
	if b.Next != nil {
		b.Next.Throttled(r, pause)
	}
}

// Transport gives the slot of the request's context back when no page comes: the client may wait for minutes before it
// asks again.
type Transport struct{ Next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	h, holds := r.Context().Value(holdKey{}).(*Hold)
	resp, err := t.Next.RoundTrip(r)
	if !holds {
		return resp, err
	}
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		h.Release()
		return resp, err
	}
	resp.Body = &pageBody{resp.Body, h}
	return resp, nil
}

// pageBody gives the slot back when the page breaks off.
type pageBody struct {
	io.ReadCloser
	hold *Hold
}

func (b *pageBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.hold.Release()
	}
	return n, err
}
