package tenant

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// Slots bounds the pages that a process holds in memory, over all tenants. A slot is taken when the budget allows
// the request, not before: a tenant that waits for Microsoft's limits keeps nobody from reading.
type Slots chan struct{}

// NewSlots returns n slots.
func NewSlots(n int) Slots { return make(Slots, n) }

type holdKey struct{}

// hold is the slot of one window. It is used by one goroutine.
type hold struct {
	slots Slots
	held  bool
}

// within returns a context in which metered takes the slot.
func (h *hold) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, holdKey{}, h)
}

func (h *hold) take(ctx context.Context) error {
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

func (h *hold) release() {
	if h.held {
		h.held = false
		<-h.slots
	}
}

// metered is a budget that measures how long it makes wait, and takes the window's slot afterwards.
type metered struct {
	budget entra.Budget
	waited func(request budget.Request, began int64)
	now    func() int64
}

func (m metered) Acquire(ctx context.Context, r budget.Request) error {
	h, holds := ctx.Value(holdKey{}).(*hold)
	if holds {
		h.release() // the page before is done with
	}
	began := m.now()
	if m.budget != nil {
		if err := m.budget.Acquire(ctx, r); err != nil {
			return err
		}
	}
	m.waited(r, began)
	if holds {
		return h.take(ctx)
	}
	return nil
}

func (m metered) Throttled(r budget.Request, pause time.Duration) {
	if m.budget != nil {
		m.budget.Throttled(r, pause)
	}
}

// pages is a transport that gives the window's slot back when no page comes: the client may wait for minutes before it
// asks again.
type pages struct{ next http.RoundTripper }

func (p pages) RoundTrip(r *http.Request) (*http.Response, error) {
	h, holds := r.Context().Value(holdKey{}).(*hold)
	resp, err := p.next.RoundTrip(r)
	if !holds {
		return resp, err
	}
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		h.release()
		return resp, err
	}
	resp.Body = &pageBody{resp.Body, h}
	return resp, nil
}

// pageBody gives the slot back when the page breaks off.
type pageBody struct {
	io.ReadCloser
	hold *hold
}

func (b *pageBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.hold.release()
	}
	return n, err
}
