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
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/collector/internal/window"
)

const (
	// edge is how much further back than a service keeps its log it is asked: the edge moves while it is read.
	edge = time.Hour
	// stalledAfter is after how many tail intervals without success a data type is stalled, and stalledAtLeast the least
	// time.
	stalledAfter   = 3
	stalledAtLeast = 5 * time.Minute
	minRetry       = 30 * time.Second
	maxRetry       = 15 * time.Minute
)

// beginning is where a log begins that is kept for ever.
var beginning = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// follower reads one data type of one tenant: what is missing, and then what is new.
type follower struct {
	integration, tenant string
	kind, scope         string
	info                entra.DataTypeInfo
	cfg                 Config
	set                 Settings
	client              *entra.Client
	covered             *coverage
	horizon             time.Time
	// failed ends the session: the credential or the consent is to be looked at again.
	failed func(error)

	filling sync.Mutex // held while gaps are filled

	mu          sync.Mutex
	observers   []*progress
	width       time.Duration
	lastSuccess time.Time
	problem     *controlv1.Problem
	overlapRead time.Time // when the overlap was last read
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
func (f *follower) attach(p *progress) (detach func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observers = append(f.observers, p)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.observers = slices.DeleteFunc(slices.Clone(f.observers), func(other *progress) bool { return other == p })
	}
}

// observe changes what the runs show.
func (f *follower) observe(change func(*controlv1.DataTypeProgress)) {
	f.mu.Lock()
	observers := f.observers
	f.mu.Unlock()
	for _, p := range observers {
		p.update(f.info.ID, change)
	}
}

// waited counts time spent waiting for Microsoft's limits.
func (f *follower) waited(_ budget.Request, began int64) {
	wait := time.Duration(f.set.Clock.Now().UnixNano() - began)
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
	f.lastSuccess, f.problem = f.set.Clock.Now(), nil
}

// fill reads everything that is missing back to the horizon, newest first. If somebody else is at it, it waits and
// reads what is missing then.
func (f *follower) fill(ctx context.Context, class budget.Class) error {
	f.filling.Lock()
	defer f.filling.Unlock()
	within := window.Interval{From: f.horizon, To: f.now()}
	return f.walk(ctx, pass{
		within: within, skip: f.covered.snapshot().done, class: class, windows: f.cfg.Windows, whole: f.horizon.Equal(beginning),
	})
}

// again reads everything since a time, though it was read before.
func (f *follower) again(ctx context.Context, since time.Time, class budget.Class) error {
	if since.Before(f.horizon) {
		since = f.horizon
	}
	return f.walk(ctx, pass{within: window.Interval{From: since, To: f.now()}, class: class, windows: f.cfg.Windows})
}

// tail reads what is new, again and again, until ctx is done.
func (f *follower) tail(ctx context.Context) {
	began := f.now()
	retry := time.Duration(0)
	for {
		if err := f.set.Clock.Sleep(ctx, max(f.cfg.TailInterval, retry)); err != nil {
			return
		}
		p, overlap := f.next(began)
		err := f.walk(ctx, p)
		if ctx.Err() != nil {
			return
		}
		retry = f.note(err, retry)
		if err == nil && overlap {
			f.mu.Lock()
			f.overlapRead = p.within.To
			f.mu.Unlock()
		}
	}
}

// next plans a read of the tail. overlap says that it reaches back to what was read for good.
func (f *follower) next(began time.Time) (p pass, overlap bool) {
	now, seen := f.now(), f.covered.snapshot()
	from := began
	if seen.readUntil.After(from) {
		from = seen.readUntil
	}
	from = from.Add(-f.cfg.TailOverlap)
	f.mu.Lock()
	overlap = now.Sub(f.overlapRead) >= f.cfg.OverlapInterval
	f.mu.Unlock()
	if overlap {
		back := now.Add(-f.cfg.Overlap)
		if until, ok := seen.done.Until(); ok && until.After(back.Add(-2*f.cfg.Overlap)) && until.Before(back) {
			back = until.Add(window.Step)
		}
		if back.Before(from) {
			from = back
		}
	}
	return pass{within: window.Interval{From: from, To: now}, class: budget.Tail, windows: 1}, overlap
}

// note remembers how a read ended and returns how long to wait if it failed.
func (f *follower) note(err error, retry time.Duration) time.Duration {
	if err == nil {
		f.succeeded()
		return 0
	}
	f.mu.Lock()
	f.problem = problemOf(err)
	f.mu.Unlock()
	f.set.Metrics.failures.WithLabelValues(string(f.info.ID), causeOf(err)).Inc()
	if endsSession(err) {
		f.failed(err)
	}
	return min(max(2*retry, minRetry), maxRetry)
}

// now is the clock's time in steps of Graph.
func (f *follower) now() time.Time { return f.set.Clock.Now().UTC().Truncate(window.Step) }

// status says how the data type stands.
func (f *follower) status() *controlv1.DataTypeStatus {
	seen, now := f.covered.snapshot(), f.set.Clock.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &controlv1.DataTypeStatus{
		DataType: string(f.info.ID), Enabled: true, Rows: seen.rows, Problem: f.problem,
		Stalled: now.Sub(f.lastSuccess) >= max(stalledAfter*f.cfg.TailInterval, stalledAtLeast),
	}
	if last, ok := seen.done.Last(); ok {
		s.CoveredFrom = timestamppb.New(last.From)
	}
	if !seen.readUntil.IsZero() {
		s.CoveredUntil = timestamppb.New(seen.readUntil)
		s.LastSuccessTime = timestamppb.New(f.lastSuccess)
	}
	return s
}
