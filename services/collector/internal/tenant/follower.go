package tenant

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/runs"
	"github.com/entraflow/entraflow/pkg/session"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/collector/internal/window"
)

const (
	// edge is how much further back than a service keeps its log it is asked: the edge moves while it is read.
	edge = time.Hour
	// oldestAsked is what no log refuses to be asked for; some do beyond 90 days (graph.md §2.1).
	oldestAsked = 85 * 24 * time.Hour
	// stalledAfter is after how many tail intervals without success a data type is stalled, and stalledAtLeast the least
	// time.
	stalledAfter   = 3
	stalledAtLeast = 5 * time.Minute
	// mendInterval is how often it is looked whether something is missing.
	mendInterval = time.Minute
)

// part is what of a follower's work a problem is about.
type part int

const (
	tailPart part = iota
	historyPart
	parts
)

// beginning is where a log begins that is kept for ever.
func beginning() time.Time { return time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC) }

// follower reads one data type of one tenant: what is missing, and then what is new.
type follower struct {
	integration, tenant string
	kind                string
	info                entra.DataTypeInfo
	cfg                 Config
	set                 Settings
	client              *entra.Client
	covered             *coverage
	horizon             time.Time
	began               time.Time
	// fallsBack says that the data type is read from v1.0, because beta was refused.
	fallsBack bool
	// failed is told why a read failed.
	failed func(error)

	filling sync.Mutex // held while gaps are filled

	mu          sync.Mutex
	observers   []*runs.Progress
	width       time.Duration
	lastSuccess time.Time // zero: none yet
	filled      bool      // everything back to the horizon was read once
	problems    [parts]*controlv1.Problem
	overlapRead time.Time // when the overlap was last read; zero: it is to be read next
}

func (f *follower) learned() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.width == 0 {
		return window.FirstWidth
	}
	return f.width
}

func (f *follower) learn(width time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.width = width
}

// attach makes a run show what is read from now on, until detach.
func (f *follower) attach(p *runs.Progress) (detach func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observers = append(f.observers, p)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.observers = slices.DeleteFunc(slices.Clone(f.observers), func(other *runs.Progress) bool { return other == p })
	}
}

// observe changes what the runs show.
func (f *follower) observe(change func(*controlv1.DataTypeProgress)) {
	f.mu.Lock()
	observers := f.observers
	f.mu.Unlock()
	for _, p := range observers {
		p.Update(string(f.info.ID), change)
	}
}

// waited counts time spent waiting for Microsoft's limits.
func (f *follower) waited(wait time.Duration) {
	if wait < time.Millisecond {
		return
	}
	f.set.Metrics.waits.WithLabelValues(string(f.info.ID)).Add(wait.Seconds())
	f.observe(func(t *controlv1.DataTypeProgress) {
		t.ThrottleWait = durationpb.New(t.GetThrottleWait().AsDuration() + wait)
	})
}

// commit saves that a window was read. What is so young that more of it may come is not taken as read for good.
func (f *follower) commit(ctx context.Context, piece window.Interval, r result) error {
	final := piece
	if late := r.asked.Add(-f.cfg.Overlap).Truncate(window.Step); final.To.After(late) {
		final.To = late
	}
	err := f.covered.change(ctx, func(s *snapshot) {
		s.done = s.done.Add(final)
		s.rows += r.rows
		if piece.To.After(s.readUntil) {
			s.readUntil = piece.To
		}
	})
	if err != nil {
		return err
	}
	f.succeeded()
	f.set.Metrics.rows.WithLabelValues(string(f.info.ID)).Add(float64(r.rows))
	f.set.Metrics.windows.WithLabelValues(string(f.info.ID)).Inc()
	f.observe(func(t *controlv1.DataTypeProgress) {
		t.Rows += r.rows
		t.Unreadable += r.unreadable
		t.WindowsDone++
		t.WindowsTotal = max(t.GetWindowsTotal(), t.GetWindowsDone())
	})
	return nil
}

func (f *follower) succeeded() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastSuccess = f.set.Clock.Now()
}

// fill reads everything that is missing back to the horizon, newest first. If somebody else is at it, it waits and
// reads what is missing then.
func (f *follower) fill(ctx context.Context, class budget.Class) error {
	f.filling.Lock()
	defer f.filling.Unlock()
	return f.fillAlone(ctx, class)
}

func (f *follower) fillAlone(ctx context.Context, class budget.Class) error {
	err := f.walk(ctx, pass{
		within: window.Interval{From: f.horizon, To: f.now()}, skip: f.covered.snapshot().done,
		class: class, windows: f.cfg.Windows, whole: f.horizon.Equal(beginning()),
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filled = true
	return nil
}

// mend fills what a failure left, again and again, until ctx is done.
func (f *follower) mend(ctx context.Context) {
	retry := time.Duration(0)
	for f.set.Clock.Sleep(ctx, max(min(mendInterval, f.cfg.OverlapInterval), retry)) == nil {
		if !f.lacks() || !f.filling.TryLock() {
			continue
		}
		err := f.fillAlone(ctx, budget.Backfill)
		f.filling.Unlock()
		if ctx.Err() != nil {
			return
		}
		retry = f.note(err, retry, historyPart)
	}
}

// lacks reports whether something is missing that the tail does not reach.
func (f *follower) lacks() bool {
	f.mu.Lock()
	filled := f.filled
	f.mu.Unlock()
	old := window.Interval{From: f.horizon, To: f.now().Add(-tailReach * f.cfg.Overlap)}
	return !filled || !old.Empty() && len(f.covered.snapshot().done.Gaps(old)) > 0
}

// again reads everything since a time, though it was read before.
func (f *follower) again(ctx context.Context, since time.Time, class budget.Class) error {
	if since.Before(f.horizon) {
		since = f.horizon
	}
	return f.walk(ctx, pass{within: window.Interval{From: since, To: f.now()}, class: class, windows: f.cfg.Windows})
}

// note remembers how a read ended and returns how long to wait if it failed.
func (f *follower) note(err error, retry time.Duration, about part) time.Duration {
	f.mu.Lock()
	f.problems[about] = nil
	if err != nil {
		f.problems[about] = session.ProblemOf(service, err)
	}
	f.mu.Unlock()
	if err == nil {
		f.succeeded()
		return 0
	}
	f.set.Metrics.failures.WithLabelValues(string(f.info.ID), session.CauseOf(err)).Inc()
	f.failed(err)
	return session.NextRetry(retry)
}

// now is the clock's time in steps of Graph.
func (f *follower) now() time.Time { return f.set.Clock.Now().UTC().Truncate(window.Step) }

// status says how the data type stands.
func (f *follower) status() *controlv1.DataTypeStatus {
	seen, now := f.covered.snapshot(), f.set.Clock.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	since := f.lastSuccess
	if since.IsZero() {
		since = f.began
	}
	s := &controlv1.DataTypeStatus{
		DataType: string(f.info.ID), Enabled: true, Rows: seen.rows, Problem: f.problems[tailPart],
		Stalled: now.Sub(since) >= max(stalledAfter*f.cfg.TailInterval, stalledAtLeast),
	}
	if s.GetProblem() == nil {
		s.Problem = f.problems[historyPart]
	}
	if s.GetProblem() == nil && f.fallsBack {
		s.Problem = v1Problem()
	}
	if last, ok := seen.done.Last(); ok {
		s.CoveredFrom = timestamppb.New(last.From)
	}
	if !seen.readUntil.IsZero() {
		s.CoveredUntil = timestamppb.New(seen.readUntil)
	}
	if !f.lastSuccess.IsZero() {
		s.LastSuccessTime = timestamppb.New(f.lastSuccess)
	}
	return s
}

// v1Problem says what is read in place of what was refused.
func v1Problem() *controlv1.Problem {
	return &controlv1.Problem{
		Cause: "v1_fallback", Detail: "Graph refuses beta, so sign-ins are read from v1.0. They lack what many checks need: " +
			"authentication details, session and user agent.",
		Remedy: "Look at the report of the connection test for why beta is refused.",
	}
}
