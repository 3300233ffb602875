package tenant

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/session"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/collector/internal/window"
)

// maxAttempts bounds the tries of one window; then the data type is said to fail, and tried again later.
const maxAttempts = 8

// pass is one walk over a piece of time, newest window first.
type pass struct {
	within window.Interval
	skip   window.Set // what need not be read
	class  budget.Class
	// windows is how many are read at once.
	windows int
	// whole reads it in one window, for what has no density to learn.
	whole bool
}

// walk is a pass under way. It is safe for concurrent use.
type walk struct {
	pass
	f *follower

	mu    sync.Mutex
	taken window.Set // read, being read, or not to be read
	width time.Duration
}

// walk reads everything of a pass that is missing. It returns the first error that ends it; what was read by then
// is saved.
func (f *follower) walk(ctx context.Context, p pass) error {
	w := &walk{pass: p, f: f, taken: p.skip, width: f.learned()}
	if p.whole {
		w.width = p.within.Width()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.observe(func(t *controlv1.DataTypeProgress) { t.WindowsTotal += uint32(w.pieces()) }) //nolint:gosec // some hundreds
	var readers sync.WaitGroup
	for range max(p.windows, 1) {
		readers.Go(func() {
			for ctx.Err() == nil {
				next, ok := w.next()
				if !ok {
					return
				}
				if err := w.readWhole(ctx, next); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	readers.Wait()
	return context.Cause(ctx)
}

func (w *walk) pieces() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return window.Pieces(w.taken, w.within, w.width)
}

func (w *walk) next() (window.Interval, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, ok := window.Newest(w.taken, w.within, w.width)
	if ok {
		w.taken = w.taken.Add(next)
	}
	return next, ok
}

// learn sets the width of the windows to come, and says how many that makes.
func (w *walk) learn(read window.Interval, pages int) {
	if w.whole {
		return
	}
	w.mu.Lock()
	before := window.Pieces(w.taken, w.within, w.width)
	w.width = window.NextWidth(w.width, read.Width(), pages)
	change := window.Pieces(w.taken, w.within, w.width) - before
	width := w.width
	w.mu.Unlock()
	w.f.learn(width)
	w.f.observe(func(t *controlv1.DataTypeProgress) {
		t.WindowsTotal = uint32(max(int(t.GetWindowsTotal())+change, int(t.GetWindowsDone()))) //nolint:gosec // some hundreds
	})
}

// readWhole reads a window, in halves where the server cannot give it at once, and saves that.
func (w *walk) readWhole(ctx context.Context, piece window.Interval) error {
	f := w.f
	for attempt := 1; ; attempt++ {
		result, err := f.read(ctx, piece, w.class)
		if err == nil {
			if err = f.commit(ctx, piece, result); err == nil {
				w.learn(piece, result.pages)
				return nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, lease.ErrFenced), errors.Is(err, lease.ErrLost), attempt >= maxAttempts, !session.Passes(err) && !wantsLess(err):
			return err
		}
		f.observe(func(t *controlv1.DataTypeProgress) { t.Retries++ })
		f.set.Metrics.retries.WithLabelValues(string(f.info.ID), session.CauseOf(err)).Inc()
		if newer, older, ok := piece.Halves(); ok && wantsLess(err) && piece.Width() >= 2*window.MinWidth {
			f.observe(func(t *controlv1.DataTypeProgress) { t.WindowsTotal++ })
			if err := w.readWhole(ctx, newer); err != nil {
				return err
			}
			piece, attempt = older, 0
			continue
		}
		if !session.Passes(err) {
			return err
		}
		if err := f.set.Clock.Sleep(ctx, session.BackOff(attempt)); err != nil {
			return context.Cause(ctx)
		}
	}
}

// wantsLess reports whether a smaller window may succeed where this one did not.
func wantsLess(err error) bool {
	fault, ok := errors.AsType[*entra.Error](err)
	return ok && (fault.Timeout() || fault.Cause == entra.CauseResponseTooLarge)
}
