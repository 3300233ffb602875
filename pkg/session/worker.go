package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/runs"
)

const (
	minRetry = 30 * time.Second
	maxRetry = 15 * time.Minute
)

// Work is what a service does in a session, until ctx is done; then it stops soon. It returns an error if it cannot begin.
// Everything it began has ended when it returns.
type Work func(ctx context.Context, s *Session) error

// Worker works for one integration. It is a shift.Worker.
type Worker struct {
	id   string
	set  Settings
	work Work
	runs *runs.Keeper

	mu      sync.Mutex
	record  integrations.Record
	changed chan struct{} // closed when record is another one
}

// NewWorker returns the worker of an integration. It opens nothing.
func NewWorker(record integrations.Record, set Settings, work Work) *Worker {
	return &Worker{
		id: record.ID, set: set, work: work, record: record, changed: make(chan struct{}),
		runs: &runs.Keeper{Store: set.Runs, Integration: record.ID, Clock: set.Clock, Logger: set.Logger},
	}
}

// Set says that the integration was changed: a new credential is used at once.
func (w *Worker) Set(record integrations.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if record.Revision == w.record.Revision {
		return
	}
	w.record = record
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Worker) current() (integrations.Record, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.record, w.changed
}

// Run works until ctx is done or the lease is lost. Its only error is that somebody else has the lease; what goes
// wrong otherwise is in the integration's status.
func (w *Worker) Run(ctx context.Context, held *lease.Lease) error {
	retry := time.Duration(0)
	for ctx.Err() == nil {
		record, changed := w.current()
		began := w.set.Clock.Now()
		err := until(ctx, changed, func(ctx context.Context) error { return w.session(ctx, held, record) })
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errChanged), errors.Is(err, ErrProbeDue):
			retry = 0
			continue
		case errors.Is(err, lease.ErrLost), errors.Is(err, lease.ErrFenced):
			return err
		}
		if w.set.Clock.Since(began) >= maxRetry {
			retry = 0 // it went well for long
		}
		retry = NextRetry(retry)
		w.set.Logger.Warn("work is interrupted", slog.String("integration", w.id), slog.String("cause", CauseOf(err)),
			slog.Duration("retry_in", retry), slog.Any("err", err))
		err = until(ctx, changed, func(ctx context.Context) error { return w.rest(ctx, held, retry, err) })
		if errors.Is(err, errChanged) {
			retry = 0
		}
	}
	return nil
}

// until does something until it is done, or the integration is another one: then its error is errChanged.
func until(ctx context.Context, changed <-chan struct{}, work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	watching.Go(func() {
		select {
		case <-changed:
			cancel(errChanged)
		case <-ctx.Done():
		}
	})
	if err := work(ctx); ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

// NextRetry is how long to wait after one more failure, if it was retry before: 30 s at first, twice as long each time,
// and 15 min at most.
func NextRetry(retry time.Duration) time.Duration { return min(max(2*retry, minRetry), maxRetry) }
