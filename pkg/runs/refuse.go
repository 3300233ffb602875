package runs

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// Refusal is how runs end that nobody can work at.
type Refusal struct {
	State   controlv1.RunState
	Problem *controlv1.Problem
	// AskedOnly leaves runs alone that no person asked for.
	AskedOnly bool
	// Held reports whether the lease is held; without it nothing is written.
	Held func() bool
}

// Refuse ends the runs that there are and those to come, until ctx is done.
func (k *Keeper) Refuse(ctx context.Context, r Refusal) {
	k.watch(ctx, func(run *controlv1.Run, revision uint64) {
		if Ended(run.GetState()) || r.AskedOnly && run.GetTrigger() != controlv1.RunTrigger_RUN_TRIGGER_ON_DEMAND || !r.Held() {
			return
		}
		if _, err := k.Store.Update(ctx, k.refused(run, r), revision); err != nil && ctx.Err() == nil {
			k.Logger.Warn("writing run failed", slog.String("run", run.GetName()), slog.Any("err", err))
		}
	})
}

func (k *Keeper) refused(run *controlv1.Run, r Refusal) *controlv1.Run {
	run = proto.CloneOf(run)
	now := timestamppb.New(k.Clock.Now())
	run.State, run.Problem, run.EndTime, run.UpdateTime, run.EstimatedEndTime = r.State, r.Problem, now, now, nil
	run.RowsPerSecond = 0
	for _, t := range run.GetDataTypes() {
		if !Ended(t.GetState()) {
			t.State = r.State
		}
	}
	return run
}
