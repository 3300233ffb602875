package tenant

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/lease"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// board writes how the integration stands, when that has changed. It is used by one goroutine.
type board struct {
	w       *Worker
	held    *lease.Lease
	status  *controlv1.IntegrationStatus
	written *controlv1.IntegrationStatus
}

// newBoard goes on with what was written last, so that a problem takes nothing of what is known away.
func (w *Worker) newBoard(ctx context.Context, held *lease.Lease) *board {
	status, err := w.set.Runs.Status(ctx, w.id)
	if err != nil || status == nil {
		status = &controlv1.IntegrationStatus{}
	}
	status.Problem, status.UpdateTime = nil, nil
	return &board{w: w, held: held, status: status}
}

// fail says that nothing is collected, and why.
func (b *board) fail(ctx context.Context, err error) {
	b.status.Problem = problemOf(err)
	b.write(ctx)
}

func (b *board) write(ctx context.Context) {
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
