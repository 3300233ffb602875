package tenant

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/entra/probe"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/runs"
	"github.com/entraflow/entraflow/pkg/session"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/directorysync/internal/catalogue"
	"github.com/entraflow/entraflow/services/directorysync/internal/reader"
	"github.com/entraflow/entraflow/services/directorysync/internal/state"
)

// statusInterval is how often the status is looked at.
const statusInterval = 2 * time.Second

// crew is the followers of a session and what they work at together.
type crew struct {
	s         *session.Session
	cfg       Config
	set       Settings
	store     *state.Store
	followers []*follower
}

// hire makes a follower of each data type that can be read, as far as that is known.
func (c *crew) hire(ctx context.Context) error {
	for _, t := range catalogue.Types() {
		if !c.wants(t) {
			continue
		}
		f, err := c.follower(ctx, t)
		if err != nil {
			return err
		}
		c.followers = append(c.followers, f)
	}
	return nil
}

// wants reports whether a data type is to be read: nobody turned it off, and what was tested can be read.
func (c *crew) wants(t catalogue.Type) bool {
	if !c.cfg.reads(t) || slices.Contains(c.s.Record.Integration.GetDisabledDataTypes(), string(t.ID)) {
		return false
	}
	i := slices.IndexFunc(c.s.Found.DataTypes, func(r probe.DataTypeResult) bool { return r.ID == t.ID })
	return i < 0 || session.Enabled(c.s.Found.DataTypes[i], c.s.Record.Integration)
}

func (c *crew) follower(ctx context.Context, t catalogue.Type) (*follower, error) {
	key := c.set.Base.CursorKey(c.s.Record.ID, c.s.Record.TenantID(), string(t.ID))
	cursor, err := lease.OpenCursor(ctx, c.set.Base.Checkpoints, key, c.s.Lease)
	if err != nil {
		return nil, err
	}
	f := &follower{
		integration: c.s.Record.ID, tenant: c.s.Record.TenantID(), typ: t, interval: c.cfg.interval(t), walkInterval: c.cfg.WalkInterval, set: c.set,
		failed: c.s.Failed, began: c.s.Began, first: make(chan struct{}),
	}
	client, err := c.s.Client(f.waited)
	if err != nil {
		return nil, err
	}
	f.reader, err = reader.New(reader.Settings{
		Type: t, Client: client, Store: c.store, Cursor: cursor, Clock: c.set.State.Clock, WholeInterval: c.cfg.WholeInterval,
		Observe: f.observe, Bury: f.bury,
	})
	return f, err
}

// work reads until ctx is done.
func (c *crew) work(ctx context.Context) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	for _, f := range c.followers {
		tasks.Go(func() { f.follow(ctx) })
	}
	tasks.Go(func() { c.initial(ctx) })
	tasks.Go(func() {
		c.s.Runs.Asked(ctx, func(run *controlv1.Run, revision uint64) {
			tasks.Go(func() { c.onDemand(ctx, run, revision) })
		})
	})
	var problem *controlv1.Problem
	if len(c.followers) == 0 {
		problem = &controlv1.Problem{
			Cause: "nothing_to_read", Detail: "Nothing of the directory can be read, or all is turned off.",
			Remedy: "Look at the data types of the report: each says what it lacks.",
		}
	}
	for {
		dataTypes := make([]*controlv1.DataTypeStatus, 0, len(c.followers))
		for _, f := range c.followers {
			dataTypes = append(dataTypes, f.status())
		}
		c.s.Board.Show(ctx, problem, dataTypes)
		select {
		case <-c.set.State.Clock.After(statusInterval):
		case <-ctx.Done():
			return
		}
	}
}

// initial reads everything for the first time in this session, as a run if nothing was ever read to its end.
func (c *crew) initial(ctx context.Context) {
	run, revision, err := c.s.Runs.Unfinished(ctx, controlv1.RunTrigger_RUN_TRIGGER_INITIAL)
	known := slices.ContainsFunc(c.followers, func(f *follower) bool { return f.reader.Cursor().GetRoundTime() != nil })
	if err == nil && run == nil && !known {
		run, revision, err = c.s.Runs.Create(ctx, controlv1.RunTrigger_RUN_TRIGGER_INITIAL, "initial")
	}
	if err != nil {
		c.s.End(err)
		return
	}
	c.execute(ctx, run, revision, c.followers, true)
}

// onDemand executes a run that people ask for.
func (c *crew) onDemand(ctx context.Context, run *controlv1.Run, revision uint64) {
	wanted := run.GetDataTypes()
	chosen := slices.DeleteFunc(slices.Clone(c.followers), func(f *follower) bool {
		return len(wanted) > 0 && !slices.ContainsFunc(wanted, func(t *controlv1.DataTypeProgress) bool {
			return t.GetDataType() == string(f.typ.ID)
		})
	})
	c.execute(ctx, run, revision, chosen, false)
}

// execute lets followers read a round, each by itself, and shows that in the run. What ctx ends stays unfinished in the
// run, for the next session. In a first round, what belongs to other objects waits for those.
func (c *crew) execute(ctx context.Context, run *controlv1.Run, revision uint64, followers []*follower, first bool) {
	ids, by := make([]string, len(followers)), make(map[string]*follower, len(followers))
	for i, f := range followers {
		ids[i] = string(f.typ.ID)
		by[ids[i]] = f
	}
	c.s.Runs.Execute(ctx, runs.Job{
		Run: run, Revision: revision, DataTypes: ids,
		Work: func(ctx context.Context, id string, p *runs.Progress) *controlv1.Problem {
			f, work := by[id], by[id].round
			if first {
				defer close(f.first)
				c.awaitParent(ctx, f)
				work = f.begin
			}
			return c.take(ctx, p, f, work)
		},
	})
}

// awaitParent waits until the objects that a data type belongs to were read.
func (c *crew) awaitParent(ctx context.Context, f *follower) {
	if f.typ.Parent == "" {
		return
	}
	for _, parent := range c.followers {
		if parent.typ.Kind == f.typ.Parent {
			select {
			case <-parent.first:
			case <-ctx.Done():
			}
		}
	}
}

// take lets a follower do its part.
func (c *crew) take(ctx context.Context, p *runs.Progress, f *follower, work func(context.Context) error) *controlv1.Problem {
	detach := f.attach(p)
	err := work(ctx)
	detach()
	if ctx.Err() != nil {
		return nil
	}
	return session.ProblemOf(service, err)
}
