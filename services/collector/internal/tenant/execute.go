package tenant

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// flushInterval is how often a run's progress is written.
const flushInterval = time.Second

// job is what followers shall do, and the run that shows it; a nil run is none.
type job struct {
	run       *controlv1.Run
	revision  uint64
	followers []*follower
	work      func(context.Context, *follower) error
}

// execute lets followers work, each by itself, and shows that in the run. What ctx ends stays unfinished in the run, for
// the next session.
func (c *crew) execute(ctx context.Context, j job) {
	ids := make([]entra.DataType, len(j.followers))
	for i, f := range j.followers {
		ids[i] = f.info.ID
	}
	p := newProgress(j.run, ids, c.w.set.Clock.Now())
	var tasks sync.WaitGroup
	for _, f := range j.followers {
		tasks.Go(func() { c.take(ctx, p, f, j.work) })
	}
	if j.run == nil {
		tasks.Wait()
		return
	}
	revision, ended := c.show(ctx, p, j.revision)
	tasks.Wait()
	if !ended {
		c.leave(ctx, p, revision)
	}
}

// leave writes how far a run came that is not over. Whoever takes it up goes on from there.
func (c *crew) leave(ctx context.Context, p *progress, revision uint64) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	p.touch()
	if run, _, ended := p.take(c.w.set.Clock.Now()); !ended {
		_, _ = c.w.set.Runs.Update(ctx, run, revision) // it is for people to see and no more
	}
}

// take lets a follower do its part.
func (c *crew) take(ctx context.Context, p *progress, f *follower, work func(context.Context, *follower) error) {
	detach := f.attach(p)
	err := work(ctx, f)
	detach()
	if ctx.Err() != nil {
		return
	}
	if f.note(err, 0, historyPart); ctx.Err() != nil {
		return // the error ended the session: the next one goes on with the run
	}
	p.end(f.info.ID, err)
	if err != nil {
		c.w.set.Logger.Warn("collecting a data type failed", slog.String("integration", c.w.id),
			slog.String("data_type", string(f.info.ID)), slog.String("cause", causeOf(err)), slog.Any("err", err))
	}
}

// show writes the run as it grows, until it has ended or ctx is done. It returns the last revision, and whether the
// run needs no more writing.
func (c *crew) show(ctx context.Context, p *progress, revision uint64) (_ uint64, over bool) {
	for {
		run, changed, ended := p.take(c.w.set.Clock.Now())
		if changed {
			next, err := c.w.set.Runs.Update(ctx, run, revision)
			switch {
			case errors.Is(err, runs.ErrTaken):
				c.w.set.Logger.Warn("a run was taken over", slog.String("run", run.GetName()))
				return revision, true
			case err != nil:
				if ctx.Err() == nil {
					c.w.set.Logger.Warn("writing run failed", slog.String("run", run.GetName()), slog.Any("err", err))
				}
				p.touch()
				ended = false
			default:
				revision = next
			}
		}
		if ended {
			if err := c.w.set.Runs.Prune(ctx, c.w.id); err != nil && ctx.Err() == nil {
				c.w.set.Logger.Warn("pruning runs failed", slog.String("integration", c.w.id), slog.Any("err", err))
			}
			return revision, true
		}
		timer := time.NewTimer(flushInterval) // people watch in real time
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return revision, false
		}
	}
}
