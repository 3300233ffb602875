package session

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/lease"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// Board writes how the integration stands for the service, when that has changed and the lease is held. It is used by one
// goroutine.
type Board struct {
	w       *Worker
	held    *lease.Lease
	status  *controlv1.IntegrationStatus
	written *controlv1.IntegrationStatus
}

// newBoard goes on with what was written last, so that a problem takes nothing of what is known away.
func (w *Worker) newBoard(ctx context.Context, held *lease.Lease) *Board {
	status, err := w.set.Runs.Status(ctx, w.id)
	if err != nil || status == nil {
		status = &controlv1.IntegrationStatus{}
	}
	status.Problem, status.UpdateTime = nil, nil
	return &Board{w: w, held: held, status: status}
}

// Show says how each data type stands that the service reads, and why it reads nothing at all; a nil problem says that it
// does. The board keeps dataTypes. What cannot be written is logged, and written with the next Show.
func (b *Board) Show(ctx context.Context, problem *controlv1.Problem, dataTypes []*controlv1.DataTypeStatus) {
	b.status.Problem, b.status.DataTypes = problem, dataTypes
	b.write(ctx)
}

// fail says that nothing is read, and why.
func (b *Board) fail(ctx context.Context, err error) {
	b.status.Problem = ProblemOf(b.w.set.Service, err)
	b.write(ctx)
}

func (b *Board) write(ctx context.Context) {
	if b.written != nil && proto.Equal(b.status, b.written) || !b.held.Held() {
		return
	}
	next := proto.CloneOf(b.status)
	next.UpdateTime = timestamppb.New(b.w.set.Clock.Now())
	if err := b.w.set.Runs.SetStatus(ctx, b.w.id, next); err != nil {
		if ctx.Err() == nil {
			b.w.set.Logger.Warn("writing status failed", slog.String("integration", b.w.id), slog.Any("err", err))
		}
		return
	}
	b.written = proto.CloneOf(b.status)
}
