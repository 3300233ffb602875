package connect

import (
	"context"
	"errors"
	"log/slog"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/integrations"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

// AskOver returns an Asker over NATS: the collector is asked of tenants, the streamer of hubs.
func AskOver(conn *bus.Conn) Asker {
	return func(ctx context.Context, name string, question, answer proto.Message) error {
		return bus.Ask(ctx, conn, name, question, answer)
	}
}

// TestConnection implements the method.
func (s *Server) TestConnection(
	ctx context.Context, req *controlv1.TestConnectionRequest,
) (*controlv1.TestConnectionResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	i, sealed, purpose, err := s.subject(ctx, req)
	if err != nil {
		return nil, err
	}
	if req.GetCredential() != nil {
		if err := checkKind(i, req.GetCredential()); err != nil {
			return nil, err
		}
		purpose = testPurpose
		if sealed, err = integrations.SealCredential(ctx, s.set.Sealer, req.GetCredential(), purpose); err != nil {
			return nil, shown(err)
		}
	}
	if sealed == nil {
		return nil, failure.NewInvalid("credential", "must be given for an integration that is not saved")
	}
	report, err := s.test(ctx, i, sealed, purpose)
	if err != nil {
		return nil, err
	}
	return &controlv1.TestConnectionResponse{Report: report}, nil
}

// subject returns what to test: a saved integration with its credential, or one that is given.
func (s *Server) subject(
	ctx context.Context, req *controlv1.TestConnectionRequest,
) (i *controlv1.Integration, sealed []byte, purpose string, err error) {
	if req.GetName() != "" {
		record, err := s.find(ctx, req.GetName())
		return record.Integration, record.Sealed, integrations.Name(record.ID), err
	}
	if req.GetIntegration() == nil {
		return nil, nil, "", failure.NewInvalid("name", "must be given, or integration and credential")
	}
	i = proto.CloneOf(req.GetIntegration())
	normalize(i)
	if err := check(i); err != nil {
		return nil, nil, "", err
	}
	return i, nil, "", mayChange(ctx, i)
}

// ResetCredentials implements the method.
func (s *Server) ResetCredentials(
	ctx context.Context, req *controlv1.ResetCredentialsRequest,
) (*controlv1.ResetCredentialsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	record, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if err := checkKind(record.Integration, req.GetCredential()); err != nil {
		return nil, err
	}
	sealed, err := integrations.SealCredential(ctx, s.set.Sealer, req.GetCredential(), testPurpose)
	if err != nil {
		return nil, shown(err)
	}
	report, err := s.test(ctx, record.Integration, sealed, testPurpose)
	if err != nil {
		return nil, err
	}
	answer := &controlv1.ResetCredentialsResponse{Integration: record.Integration, Report: report}
	if !report.GetConnected() {
		return answer, nil // the old one stays
	}
	record.Integration.Credential = describe(req.GetCredential(), s.set.Clock.Now())
	record.Integration.UpdateTime = timestamppb.New(s.set.Clock.Now())
	changed, err := s.update(ctx, record, record.Integration, req.GetCredential())
	if err != nil {
		return nil, err
	}
	answer.Integration, answer.Replaced = changed.Integration, true
	s.set.Logger.Info("credentials reset", slog.String("integration", record.ID))
	return answer, nil
}

// test asks the service that reads such connections.
func (s *Server) test(ctx context.Context, i *controlv1.Integration, sealed []byte, purpose string) (*controlv1.ConnectionReport, error) {
	question, absent, otherKey, noKey := bus.QuestionTestConnection, errNoCollector, errOtherKeyCollector, errNoKeyCollector
	if i.GetEventHub() != nil {
		question, absent, otherKey, noKey = bus.QuestionTestHub, errNoStreamer, errOtherKeyStreamer, errNoKeyStreamer
	}
	answer := &statev1.TestResponse{}
	err := s.set.Ask(ctx, question, &statev1.TestRequest{Integration: i, SealedCredential: sealed, Context: purpose}, answer)
	switch {
	case errors.Is(err, bus.ErrNobodyAnswers), errors.Is(err, context.DeadlineExceeded), errors.Is(err, bus.ErrAnswerFailed):
		return nil, absent.Because(err)
	case err != nil:
		return nil, shown(err)
	}
	switch answer.GetFault() {
	case "":
		return answer.GetReport(), nil
	case "sealed_with_another_key":
		return nil, otherKey
	default:
		return nil, noKey
	}
}
