package tenant

import (
	"context"
	"log/slog"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// board writes how the integration stands, when that has changed. It is used by one goroutine.
type board struct {
	w       *Worker
	status  *controlv1.IntegrationStatus
	written *controlv1.IntegrationStatus
}

// fail says that nothing is collected, and why.
func (b *board) fail(ctx context.Context, err error) {
	b.status.Problem = problemOf(err)
	b.write(ctx)
}

func (b *board) write(ctx context.Context) {
	if b.written != nil && proto.Equal(b.status, b.written) {
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
