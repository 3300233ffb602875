package tenant

import (
	"context"
	"log/slog"

	"github.com/entraflow/entraflow/pkg/runs"
	"github.com/entraflow/entraflow/pkg/session"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

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
	ids, by := make([]string, len(j.followers)), make(map[string]*follower, len(j.followers))
	for i, f := range j.followers {
		ids[i] = string(f.info.ID)
		by[ids[i]] = f
	}
	c.s.Runs.Execute(ctx, runs.Job{
		Run: j.run, Revision: j.revision, DataTypes: ids,
		Work: func(ctx context.Context, id string, p *runs.Progress) *controlv1.Problem {
			return c.take(ctx, p, by[id], j.work)
		},
	})
}

// take lets a follower do its part.
func (c *crew) take(ctx context.Context, p *runs.Progress, f *follower, work func(context.Context, *follower) error) *controlv1.Problem {
	detach := f.attach(p)
	err := work(ctx, f)
	detach()
	if ctx.Err() != nil {
		return nil
	}
	if f.note(err, 0, historyPart); ctx.Err() != nil {
		return nil // the error ended the session: the next one goes on with the run
	}
	if err != nil {
		c.set.Logger.Warn("collecting a data type failed", slog.String("integration", c.id),
			slog.String("data_type", string(f.info.ID)), slog.String("cause", session.CauseOf(err)), slog.Any("err", err))
	}
	return session.ProblemOf(service, err)
}
