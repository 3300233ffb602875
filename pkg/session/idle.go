package session

import (
	"context"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// disabled does nothing until ctx is done, and ends the runs that wait for that.
func (w *Worker) disabled(ctx context.Context, held *lease.Lease, board *Board) error {
	for _, t := range board.status.GetDataTypes() {
		t.Enabled, t.Stalled, t.Problem = false, false, nil
	}
	board.write(ctx)
	w.runs.Refuse(ctx, runs.Refusal{
		State: controlv1.RunState_RUN_STATE_CANCELLED, Held: held.Held,
		Problem: &controlv1.Problem{Cause: "disabled", Detail: "The integration is disabled.", Remedy: "Enable it and collect again."},
	})
	return context.Cause(ctx)
}

// rest waits before the next try. Whoever asks for a run meanwhile learns why there is none.
func (w *Worker) rest(ctx context.Context, held *lease.Lease, wait time.Duration, cause error) error {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	var refusing sync.WaitGroup
	defer refusing.Wait()
	defer cancel()
	refusing.Go(func() {
		w.runs.Refuse(ctx, runs.Refusal{
			State: controlv1.RunState_RUN_STATE_FAILED, Problem: ProblemOf(w.set.Service, cause), AskedOnly: true, Held: held.Held,
		})
	})
	return w.set.Clock.Sleep(outer, wait)
}
