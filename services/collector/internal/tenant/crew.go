package tenant

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/entra/probe"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/runs"
	"github.com/entraflow/entraflow/pkg/session"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	// statusInterval is how often the status is looked at.
	statusInterval = 2 * time.Second
	// reconcileCheck is how often it is looked whether a reconcile is due.
	reconcileCheck = time.Minute
)

// crew is the followers of a session and what they work at together.
type crew struct {
	s         *session.Session
	id        string // the integration's
	cfg       Config
	set       Settings
	followers []*follower
}

// hire makes a follower of each log that can be read.
func (c *crew) hire(ctx context.Context) error {
	for _, t := range c.s.Found.DataTypes {
		info, known := entra.LookupDataType(t.ID)
		if !known || !info.Log {
			continue
		}
		if !session.Enabled(t, c.s.Record.Integration) {
			fallback, ok := info.Fallback()
			if !ok || !c.cfg.V1Fallback || t.Availability != probe.Failed {
				continue
			}
			info = fallback
		}
		f, err := c.follower(ctx, info)
		if err != nil {
			return err
		}
		f.fallsBack = !session.Enabled(t, c.s.Record.Integration)
		f.client, err = c.s.Client(f.waited, func(s *entra.ClientSettings) { s.RequestTimeout = entra.LogTimeout })
		if err != nil {
			return err
		}
		c.followers = append(c.followers, f)
	}
	return nil
}

func (c *crew) follower(ctx context.Context, info entra.DataTypeInfo) (*follower, error) {
	cursor, err := lease.OpenCursor(ctx, c.set.Base.Checkpoints, c.set.Base.CursorKey(c.id, c.s.Record.TenantID(), string(info.ID)), c.s.Lease)
	if err != nil {
		return nil, err
	}
	covered, err := openCoverage(cursor)
	if err != nil {
		return nil, err
	}
	f := &follower{
		integration: c.id, tenant: c.s.Record.TenantID(), kind: kindOf(info.ID),
		info: info, cfg: c.cfg, set: c.set, covered: covered,
		began: c.s.Began, failed: c.s.Failed,
	}
	f.horizon = horizon(info, c.s.Found.Licences, c.cfg.History, covered.snapshot().horizon, f.now())
	if f.horizon.Equal(beginning()) {
		return f, nil
	}
	return f, covered.change(ctx, func(s *snapshot) { s.horizon = f.horizon })
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
	var problem *controlv1.Problem
	if len(c.followers) == 0 {
		problem = &controlv1.Problem{
			Cause: "nothing_to_collect", Detail: "No log can be read, or all are turned off.",
			Remedy: "Look at the data types of the report: each says what it lacks.",
		}
	}
	for _, f := range c.followers {
		tasks.Go(func() { f.tail(ctx) })
		tasks.Go(func() { f.mend(ctx) })
	}
	tasks.Go(func() { c.history(ctx) })
	tasks.Go(func() {
		c.s.Runs.Asked(ctx, func(run *controlv1.Run, revision uint64) {
			tasks.Go(func() { c.onDemand(ctx, run, revision) })
		})
	})
	for {
		dataTypes := make([]*controlv1.DataTypeStatus, 0, len(c.followers))
		for _, f := range c.followers {
			dataTypes = append(dataTypes, f.status())
		}
		c.s.Board.Show(ctx, problem, dataTypes)
		select {
		case <-c.set.Clock.After(statusInterval):
		case <-ctx.Done():
			return
		}
	}
}

// history reads what is missing, the first time as a run, and reconciles from then on.
func (c *crew) history(ctx context.Context) {
	run, revision, err := c.initial(ctx)
	if err != nil {
		c.s.End(err)
		return
	}
	fill := func(ctx context.Context, f *follower) error { return f.fill(ctx, budget.Backfill) }
	c.execute(ctx, job{run: run, revision: revision, followers: c.followers, work: fill})
	for c.set.Clock.Sleep(ctx, min(reconcileCheck, c.cfg.ReconcileInterval)) == nil {
		c.reconcile(ctx)
	}
}

// initial returns the run of the first collecting: the one that is not over, a new one, or none.
func (c *crew) initial(ctx context.Context) (*controlv1.Run, uint64, error) {
	run, revision, err := c.s.Runs.Unfinished(ctx, controlv1.RunTrigger_RUN_TRIGGER_INITIAL)
	if err != nil || run != nil {
		return run, revision, err
	}
	isNew := slices.ContainsFunc(c.followers, func(f *follower) bool { return len(f.covered.snapshot().done) == 0 })
	if !isNew {
		return nil, 0, nil
	}
	return c.s.Runs.Create(ctx, controlv1.RunTrigger_RUN_TRIGGER_INITIAL, "initial")
}

// reconcile reads the last days again if that is due.
func (c *crew) reconcile(ctx context.Context) {
	now := c.set.Clock.Now()
	var due []*follower
	for _, f := range c.followers {
		switch last := f.covered.snapshot().reconciled; {
		case last.IsZero():
			// What was read just now is as good as reconciled.
			c.reconciled(ctx, f, now)
		case now.Sub(last) >= c.cfg.ReconcileInterval:
			due = append(due, f)
		}
	}
	run, revision, err := c.s.Runs.Unfinished(ctx, controlv1.RunTrigger_RUN_TRIGGER_RECONCILE)
	for _, f := range c.followers { // what a session before left
		if unfinishedIn(run, f) && !slices.Contains(due, f) {
			due = append(due, f)
		}
	}
	if err == nil && run == nil && len(due) == 0 {
		return
	}
	if err == nil && run == nil {
		run, revision, err = c.s.Runs.Create(ctx, controlv1.RunTrigger_RUN_TRIGGER_RECONCILE, "reconcile")
	}
	if err != nil {
		c.set.Logger.Warn("creating run failed", slog.String("integration", c.id), slog.Any("err", err))
		return
	}
	c.execute(ctx, job{run: run, revision: revision, followers: due, work: func(ctx context.Context, f *follower) error {
		if err := f.again(ctx, now.Add(-c.cfg.ReconcileSpan), budget.Backfill); err != nil {
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
		c.set.Logger.Warn("saving cursor failed", slog.String("integration", c.id), slog.Any("err", err))
	}
}

// onDemand executes a run that people ask for.
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
