package connect

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

// appearWait is how long WatchRun waits for a run that was asked for a moment ago.
const appearWait = 5 * time.Second

// ListRuns implements the method.
func (s *Server) ListRuns(ctx context.Context, req *controlv1.ListRunsRequest) (*controlv1.ListRunsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	record, err := s.find(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	kept, err := s.runs.get(ctx)
	if err != nil {
		return nil, err
	}
	all, err := kept.List(ctx, record.ID)
	if err != nil {
		return nil, shown(err)
	}
	answer, size := &controlv1.ListRunsResponse{}, orDefault(int(req.GetPageSize()), 50)
	found := req.GetPageToken() == ""
	for _, run := range all {
		if !found {
			found = run.GetName() == req.GetPageToken()
			continue
		}
		if len(answer.GetRuns()) == size {
			answer.NextPageToken = answer.GetRuns()[size-1].GetName()
			break
		}
		answer.Runs = append(answer.Runs, run)
	}
	if !found {
		return nil, failure.NewInvalid("page_token", "is no longer valid: begin with the first page")
	}
	return answer, nil
}

// WatchRun implements the method.
func (s *Server) WatchRun(req *controlv1.WatchRunRequest, stream grpc.ServerStreamingServer[controlv1.WatchRunResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	integration, id, ok := runs.Parse(req.GetName())
	if !ok {
		return failure.NewInvalid("name", "must be integrations/{integration}/runs/{id}")
	}
	if _, err := s.find(ctx, "integrations/"+integration); err != nil {
		return err
	}
	kept, err := s.runs.get(ctx)
	if err != nil {
		return err
	}
	// A run that was asked for comes by way of the service.
	absent := time.AfterFunc(appearWait, func() { cancel(errNoRun) })
	defer absent.Stop()
	var sending error
	err = kept.Watch(ctx, integration, id, func(run *controlv1.Run, _ uint64) bool {
		absent.Stop()
		sending = stream.Send(&controlv1.WatchRunResponse{Run: run})
		return sending == nil && !runs.Ended(run.GetState())
	})
	switch cause := context.Cause(ctx); {
	case sending != nil:
		return sending
	case err != nil:
		return shown(err)
	case errors.Is(cause, errNoRun):
		return cause
	default:
		return ctx.Err() // nil after the run's end
	}
}
