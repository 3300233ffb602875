package tenant

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/decode"
	"github.com/entraflow/entraflow/pkg/runs"
	"github.com/entraflow/entraflow/pkg/session"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/directorysync/internal/catalogue"
	"github.com/entraflow/entraflow/services/directorysync/internal/reader"
)

const (
	// stalledAfter is after how many intervals without success a data type is stalled, and stalledAtLeast the least time.
	stalledAfter   = 3
	stalledAtLeast = 15 * time.Minute
	// refusedRetry is how long to wait for what may not be read.
	refusedRetry = time.Hour
	// originGraph is the origin of dead letters.
	originGraph = "graph"
)

// follower keeps one data type of one tenant up to date.
type follower struct {
	integration, tenant string
	typ                 catalogue.Type
	// interval is how often it is read, walkInterval if the delta is refused.
	interval, walkInterval time.Duration
	set                    Settings
	reader                 *reader.Reader
	// failed is told why a reading failed.
	failed func(error)
	began  time.Time
	// first is closed when the first round of the session has ended.
	first chan struct{}
	// reading is held for a round.
	reading sync.Mutex

	mu          sync.Mutex
	progress    []*runs.Progress
	lastSuccess time.Time
	problem     *controlv1.Problem
	// refused says that it may not be read, and was not in this session.
	refused bool
	retry   time.Duration
}

// follow reads a round after the other once the first has ended, until ctx is done.
func (f *follower) follow(ctx context.Context) {
	select {
	case <-f.first:
	case <-ctx.Done():
		return
	}
	for f.set.State.Clock.Sleep(ctx, f.pause()) == nil {
		_ = f.round(ctx) // noted
	}
}

// pause is how long to wait before the next round.
func (f *follower) pause() time.Duration {
	f.mu.Lock()
	problem, retry := f.problem, f.retry
	f.mu.Unlock()
	if problem != nil {
		return retry
	}
	interval := f.interval
	if f.reader.FallsBack() {
		interval = f.walkInterval
	}
	last := f.reader.Cursor().GetRoundTime()
	if last == nil {
		return interval
	}
	return max(interval-f.set.State.Clock.Since(last.AsTime()), 0)
}

// begin reads the first round of a session, if it is time for one: what is read once a day is not read again because
// a session began.
func (f *follower) begin(ctx context.Context) error {
	if f.reader.Cursor().GetRoundTime() != nil && f.pause() > 0 {
		return nil
	}
	return f.round(ctx)
}

// round reads once, and notes how that ended.
func (f *follower) round(ctx context.Context) error {
	f.reading.Lock()
	defer f.reading.Unlock()
	err := f.reader.Round(ctx)
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		f.set.Logger.Warn("reading a data type failed", slog.String("integration", f.integration),
			slog.String("data_type", string(f.typ.ID)), slog.String("cause", session.CauseOf(err)), slog.Any("err", err))
	}
	f.note(err)
	return err
}

func (f *follower) note(err error) {
	id := string(f.typ.ID)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.problem, f.refused = session.ProblemOf(service, err), session.WasRefused(err) && f.lastSuccess.IsZero()
	if err == nil {
		f.lastSuccess, f.retry = f.set.State.Clock.Now(), 0
		f.set.Metrics.rounds.WithLabelValues(id, "ok").Inc()
		return
	}
	f.set.Metrics.rounds.WithLabelValues(id, session.CauseOf(err)).Inc()
	f.retry = session.NextRetry(f.retry)
	if !session.WasRefused(err) {
		f.failed(err)
		return
	}
	f.retry = max(f.retry, min(refusedRetry, f.interval))
	if !f.lastSuccess.IsZero() {
		f.failed(err) // it was allowed in this session
	}
}

// attach shows what the follower does in a run until detach is called.
func (f *follower) attach(p *runs.Progress) (detach func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress = append(f.progress, p)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for i, own := range f.progress {
			if own == p {
				f.progress = append(f.progress[:i:i], f.progress[i+1:]...)
				return
			}
		}
	}
}

func (f *follower) update(change func(*controlv1.DataTypeProgress)) {
	f.mu.Lock()
	attached := f.progress
	f.mu.Unlock()
	for _, p := range attached {
		p.Update(string(f.typ.ID), change)
	}
}

// observe counts a page.
func (f *follower) observe(page reader.Page) {
	id := string(f.typ.ID)
	f.set.Metrics.objects.WithLabelValues(id).Add(float64(page.Rows))
	f.set.Metrics.states.WithLabelValues(id).Add(float64(page.Written))
	f.set.Metrics.unreadable.WithLabelValues(id).Add(float64(page.Unreadable))
	f.update(func(t *controlv1.DataTypeProgress) {
		t.Rows += uint64(page.Rows)             //nolint:gosec // counts
		t.Unreadable += uint64(page.Unreadable) //nolint:gosec // counts
		t.WindowsDone++
		t.WindowsTotal = max(t.GetWindowsTotal(), t.GetWindowsDone())
	})
}

// waited counts what Microsoft's limits cost.
func (f *follower) waited(d time.Duration) {
	f.update(func(t *controlv1.DataTypeProgress) {
		t.ThrottleWait = durationpb.New(t.GetThrottleWait().AsDuration() + d)
	})
}

// bury stores a record that cannot be read as a dead letter.
func (f *follower) bury(ctx context.Context, raw []byte, cause error) error {
	letter := &eventv1.DeadLetter{
		Origin: originGraph, TenantId: f.tenant, Integration: f.integration, Reason: decode.ReasonPayloadInvalid, Detail: cause.Error(), Raw: raw, Attempts: 1,
	}
	options := f.set.DeadLetters.Seal(letter)
	if _, err := f.set.State.Publisher.Publish(ctx, letter, options); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w: %w", session.ErrBus, err)
	}
	return nil
}

// fallback says what is read in place of a delta that needs a permission.
func fallback(permission string) *controlv1.Problem {
	return &controlv1.Problem{
		Cause: "whole_reading", Detail: "Graph does not tell this application what has changed, so everything is read each time.",
		Remedy: "Grant " + permission + ", and changes are picked up at once.",
	}
}

// status says how the data type stands.
func (f *follower) status() *controlv1.DataTypeStatus {
	cursor, now := f.reader.Cursor(), f.set.State.Clock.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.lastSuccess
	if round := cursor.GetRoundTime(); last.IsZero() && round != nil {
		last = round.AsTime()
	}
	since := last
	if since.IsZero() {
		since = f.began
	}
	s := &controlv1.DataTypeStatus{
		DataType: string(f.typ.ID), Enabled: !f.refused, Rows: cursor.GetRows(), Problem: f.problem, CoveredUntil: cursor.GetRoundTime(),
		Stalled: !f.refused && now.Sub(since) >= max(stalledAfter*f.interval, stalledAtLeast),
	}
	if s.GetProblem() == nil && f.reader.FallsBack() {
		s.Problem = fallback(f.typ.DeltaPermissions[0])
	}
	if !last.IsZero() {
		s.LastSuccessTime = timestamppb.New(last)
	}
	return s
}
