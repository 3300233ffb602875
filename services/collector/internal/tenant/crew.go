package tenant

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/entra/probe"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	// statusInterval is how often the status is looked at.
	statusInterval = 2 * time.Second
	// reconcileCheck is how often it is looked whether a reconcile is due.
	reconcileCheck = time.Minute
	// probeAgain is the least time between two looks at permissions because a data type was refused.
	probeAgain = 15 * time.Minute
)

// crew is the followers of a session and what they work at together.
type crew struct {
	w         *Worker
	board     *board
	record    integrations.Record
	found     probe.Report
	held      *lease.Lease
	began     time.Time
	ended     context.CancelCauseFunc
	followers []*follower
}

// hire makes a follower of each log that can be read.
func (c *crew) hire(ctx context.Context, client func(entra.DataTypeInfo, *follower) (*entra.Client, error)) error {
	for _, t := range c.found.DataTypes {
		info, known := entra.LookupDataType(t.ID)
		if !known || !info.Log {
			continue
		}
		if !Enabled(t, c.record.Integration) {
			fallback, ok := info.Fallback()
			if !ok || !c.w.cfg.V1Fallback || t.Availability != probe.Failed {
				continue
			}
			info = fallback
		}
		f, err := c.follower(ctx, info)
		if err != nil {
			return err
		}
		f.fallsBack = !Enabled(t, c.record.Integration)
		if f.client, err = client(info, f); err != nil {
			return err
		}
		c.followers = append(c.followers, f)
	}
	return nil
}

func (c *crew) follower(ctx context.Context, info entra.DataTypeInfo) (*follower, error) {
	cursor, err := lease.OpenCursor(ctx, c.w.set.Checkpoints, bus.Key(cursorService, c.w.id, c.record.TenantID(), string(info.ID)), c.held)
	if err != nil {
		return nil, err
	}
	covered, err := openCoverage(cursor)
	if err != nil {
		return nil, err
	}
	f := &follower{
		integration: c.w.id, tenant: c.record.TenantID(), kind: kindOf(info.ID),
		info: info, cfg: c.w.cfg, set: c.w.set, covered: covered,
		began: c.began, failed: c.failed,
	}
	f.horizon = horizon(info, c.found.Licences, c.w.cfg.History, covered.snapshot().horizon, f.now())
	if f.horizon.Equal(beginning()) {
		return f, nil
	}
	return f, covered.change(ctx, func(s *snapshot) { s.horizon = f.horizon })
}

// failed is told of each read that failed. What concerns the credential or the lease ends the session; what concerns one
// data type does not stop the others, but has the permissions looked at again before long.
func (c *crew) failed(err error) {
	switch {
	case errors.Is(err, lease.ErrFenced), errors.Is(err, lease.ErrLost), endsSession(err):
		c.ended(err)
	case wasRefused(err) && c.w.set.Clock.Since(c.began) >= probeAgain:
		c.ended(errProbeDue)
	}
}

// horizon is how far back a log is read: as far as wanted and as the service keeps it. What was once decided stays,
// though the service may have dropped some of it meanwhile: a first run that was interrupted loses nothing by that.
func horizon(info entra.DataTypeInfo, licences []entra.Licence, history time.Duration, decided, now time.Time) time.Time {
	if info.Retention == 0 {
		return beginning()
	}
	kept := info.Retention
	if info.Licence == entra.LicenceFree && !slices.Contains(licences, entra.LicenceP1) && !slices.Contains(licences, entra.LicenceP2) {
		kept = min(kept, entra.FreeRetention)
	}
	from := now.Add(-min(history, kept) - edge)
	if oldest := now.Add(-max(kept, oldestAsked)); !decided.IsZero() && decided.Before(from) {
		return later(decided, oldest)
	}
	return from
}

// work collects until ctx is done.
func (c *crew) work(ctx context.Context) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	if len(c.followers) == 0 {
		c.board.status.Problem = &controlv1.Problem{
			Cause: "nothing_to_collect", Detail: "No log can be read, or all are turned off.",
			Remedy: "Look at the data types of the report: each says what it lacks.",
		}
	}
	for _, f := range c.followers {
		tasks.Go(func() { f.tail(ctx) })
		tasks.Go(func() { f.mend(ctx) })
	}
	tasks.Go(func() { c.history(ctx) })
	tasks.Go(func() { c.asked(ctx, &tasks) })
	tasks.Go(func() {
		select {
		case <-c.w.set.Clock.After(c.w.cfg.ProbeInterval):
			c.ended(errProbeDue)
		case <-ctx.Done():
		}
	})
	for {
		c.board.status.DataTypes = nil
		for _, f := range c.followers {
			c.board.status.DataTypes = append(c.board.status.DataTypes, f.status())
		}
		c.board.write(ctx)
		select {
		case <-c.w.set.Clock.After(statusInterval):
		case <-ctx.Done():
			return
		}
	}
}

// history reads what is missing, the first time as a run, and reconciles from then on.
func (c *crew) history(ctx context.Context) {
	run, revision, err := c.initial(ctx)
	if err != nil {
		c.ended(err)
		return
	}
	fill := func(ctx context.Context, f *follower) error { return f.fill(ctx, budget.Backfill) }
	c.execute(ctx, job{run: run, revision: revision, followers: c.followers, work: fill})
	for c.w.set.Clock.Sleep(ctx, min(reconcileCheck, c.w.cfg.ReconcileInterval)) == nil {
		c.reconcile(ctx)
	}
}

// initial returns the run of the first collecting: the one that is not over, a new one, or none.
func (c *crew) initial(ctx context.Context) (*controlv1.Run, uint64, error) {
	run, revision, err := c.unfinished(ctx, controlv1.RunTrigger_RUN_TRIGGER_INITIAL)
	if err != nil || run != nil {
		return run, revision, err
	}
	isNew := slices.ContainsFunc(c.followers, func(f *follower) bool { return len(f.covered.snapshot().done) == 0 })
	if !isNew {
		return nil, 0, nil
	}
	return c.create(ctx, controlv1.RunTrigger_RUN_TRIGGER_INITIAL, "initial")
}

// unfinished returns the newest run of a trigger that a session before left, nil if there is none. There is at most one:
// only holders of the lease make them.
func (c *crew) unfinished(ctx context.Context, trigger controlv1.RunTrigger) (*controlv1.Run, uint64, error) {
	all, err := c.w.set.Runs.List(ctx, c.w.id)
	if err != nil {
		return nil, 0, err
	}
	for _, run := range all {
		if run.GetTrigger() == trigger && !runs.Ended(run.GetState()) {
			_, id, _ := runs.Parse(run.GetName())
			return c.w.set.Runs.Get(ctx, c.w.id, id)
		}
	}
	return nil, 0, nil
}

func (c *crew) create(ctx context.Context, trigger controlv1.RunTrigger, what string) (*controlv1.Run, uint64, error) {
	now := c.w.set.Clock.Now()
	run := &controlv1.Run{
		Name:    runs.Name(c.w.id, what+"-"+strconv.FormatInt(now.UnixMilli(), 10)),
		Trigger: trigger, State: controlv1.RunState_RUN_STATE_PENDING, CreateTime: timestamppb.New(now),
	}
	revision, err := c.w.set.Runs.Create(ctx, run)
	return run, revision, err
}

// reconcile reads the last days again if that is due.
func (c *crew) reconcile(ctx context.Context) {
	now := c.w.set.Clock.Now()
	var due []*follower
	for _, f := range c.followers {
		switch last := f.covered.snapshot().reconciled; {
		case last.IsZero():
			// What was read just now is as good as reconciled.
			c.reconciled(ctx, f, now)
		case now.Sub(last) >= c.w.cfg.ReconcileInterval:
			due = append(due, f)
		}
	}
	run, revision, err := c.unfinished(ctx, controlv1.RunTrigger_RUN_TRIGGER_RECONCILE)
	for _, f := range c.followers { // what a session before left
		if unfinishedIn(run, f) && !slices.Contains(due, f) {
			due = append(due, f)
		}
	}
	if err == nil && run == nil && len(due) == 0 {
		return
	}
	if err == nil && run == nil {
		run, revision, err = c.create(ctx, controlv1.RunTrigger_RUN_TRIGGER_RECONCILE, "reconcile")
	}
	if err != nil {
		c.w.set.Logger.Warn("creating run failed", slog.String("integration", c.w.id), slog.Any("err", err))
		return
	}
	c.execute(ctx, job{run: run, revision: revision, followers: due, work: func(ctx context.Context, f *follower) error {
		if err := f.again(ctx, now.Add(-c.w.cfg.ReconcileSpan), budget.Backfill); err != nil {
			return err
		}
		c.reconciled(ctx, f, now)
		return nil
	}})
}

func unfinishedIn(run *controlv1.Run, f *follower) bool {
	return slices.ContainsFunc(run.GetDataTypes(), func(t *controlv1.DataTypeProgress) bool {
		return t.GetDataType() == string(f.info.ID) && !runs.Ended(t.GetState())
	})
}

func (c *crew) reconciled(ctx context.Context, f *follower, now time.Time) {
	if err := f.covered.change(ctx, func(s *snapshot) { s.reconciled = now }); err != nil && ctx.Err() == nil {
		c.w.set.Logger.Warn("saving cursor failed", slog.String("integration", c.w.id), slog.Any("err", err))
	}
}

// asked executes the runs that people ask for.
func (c *crew) asked(ctx context.Context, tasks *sync.WaitGroup) {
	started := map[string]bool{}
	for ctx.Err() == nil {
		err := c.w.set.Runs.Watch(ctx, c.w.id, "", func(run *controlv1.Run, revision uint64) bool {
			if run.GetTrigger() != controlv1.RunTrigger_RUN_TRIGGER_ON_DEMAND || runs.Ended(run.GetState()) || started[run.GetName()] {
				return true
			}
			started[run.GetName()] = true
			tasks.Go(func() { c.onDemand(ctx, run, revision) })
			return true
		})
		if err != nil && ctx.Err() == nil {
			c.w.set.Logger.Warn("watching runs failed", slog.String("integration", c.w.id), slog.Any("err", err))
			_ = c.w.set.Clock.Sleep(ctx, minBackOff)
		}
	}
}

func (c *crew) onDemand(ctx context.Context, run *controlv1.Run, revision uint64) {
	wanted := run.GetDataTypes()
	chosen := slices.DeleteFunc(slices.Clone(c.followers), func(f *follower) bool {
		return len(wanted) > 0 && !slices.ContainsFunc(wanted, func(t *controlv1.DataTypeProgress) bool {
			return t.GetDataType() == string(f.info.ID)
		})
	})
	c.execute(ctx, job{run: run, revision: revision, followers: chosen, work: func(ctx context.Context, f *follower) error {
		if run.GetSince() != nil {
			return f.again(ctx, run.GetSince().AsTime(), budget.Tail)
		}
		return f.fill(ctx, budget.Tail)
	}})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
