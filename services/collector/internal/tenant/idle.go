package tenant

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// disabled collects nothing until ctx is done, and ends the runs that wait for that.
func (w *Worker) disabled(ctx context.Context, held *lease.Lease, board *board) error {
	for _, t := range board.status.GetDataTypes() {
		t.Enabled, t.Stalled, t.Problem = false, false, nil
	}
	board.write(ctx)
	w.refuse(ctx, held, controlv1.RunState_RUN_STATE_CANCELLED, &controlv1.Problem{
		Cause: "disabled", Detail: "The integration is disabled.", Remedy: "Enable it and collect again.",
	}, func(*controlv1.Run) bool { return true })
	return context.Cause(ctx)
}

// rest waits before the next try. Whoever asks for a run meanwhile learns why there is none.
func (w *Worker) rest(ctx context.Context, held *lease.Lease, wait time.Duration, problem *controlv1.Problem) error {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	var refusing sync.WaitGroup
	defer refusing.Wait()
	defer cancel()
	refusing.Go(func() {
		w.refuse(ctx, held, controlv1.RunState_RUN_STATE_FAILED, problem, func(run *controlv1.Run) bool {
			return run.GetTrigger() == controlv1.RunTrigger_RUN_TRIGGER_ON_DEMAND
		})
	})
	return w.set.Clock.Sleep(outer, wait)
}

// refuse ends the runs that there are and those to come, until ctx is done.
func (w *Worker) refuse(
	ctx context.Context, held *lease.Lease, state controlv1.RunState, problem *controlv1.Problem, which func(*controlv1.Run) bool,
) {
	for ctx.Err() == nil {
		err := w.set.Runs.Watch(ctx, w.id, "", func(run *controlv1.Run, revision uint64) bool {
			if runs.Ended(run.GetState()) || !which(run) || !held.Held() {
				return true
			}
			_, err := w.set.Runs.Update(ctx, w.end(run, state, problem), revision)
			if err != nil && ctx.Err() == nil {
				w.set.Logger.Warn("writing run failed", slog.String("run", run.GetName()), slog.Any("err", err))
			}
			return true
		})
		if err != nil && ctx.Err() == nil {
			w.set.Logger.Warn("watching runs failed", slog.String("integration", w.id), slog.Any("err", err))
			_ = w.set.Clock.Sleep(ctx, minBackOff)
		}
	}
}

// end is a run that has ended so.
func (w *Worker) end(run *controlv1.Run, state controlv1.RunState, problem *controlv1.Problem) *controlv1.Run {
	run = proto.CloneOf(run)
	now := timestamppb.New(w.set.Clock.Now())
	run.State, run.Problem, run.EndTime, run.UpdateTime, run.EstimatedEndTime = state, problem, now, now, nil
	run.RowsPerSecond = 0
	for _, t := range run.GetDataTypes() {
		if !runs.Ended(t.GetState()) {
			t.State = state
		}
	}
	return run
}
