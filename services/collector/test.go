package collector

import (
	"context"
	"errors"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/probe"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/seal"
	"github.com/entraflow/entraflow/pkg/session"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

// Faults of a TestResponse: what a test lacks within Entraflow.
const (
	FaultSealed = "sealed_with_another_key"
	FaultKey    = "key_unavailable"
)

func newTestRequest() *statev1.TestRequest { return &statev1.TestRequest{} }

// tester answers whether a connection works.
type tester struct {
	sealer   *seal.Sealer
	sessions session.Settings
}

// test signs in anew and asks for everything once. A connection that does not work is an answer.
func (t tester) test(ctx context.Context, q *statev1.TestRequest) (*statev1.TestResponse, error) {
	credential, err := integrations.OpenCredential(ctx, t.sealer, q.GetSealedCredential(), q.GetContext())
	switch {
	case errors.Is(err, seal.ErrNotOpened):
		return &statev1.TestResponse{Fault: FaultSealed}, nil
	case errors.Is(err, seal.ErrKeyUnavailable):
		return &statev1.TestResponse{Fault: FaultKey}, nil
	case err != nil:
		return nil, err
	}
	report := func(found probe.Report) *statev1.TestResponse {
		return &statev1.TestResponse{Report: session.Report(found, q.GetIntegration(), t.sessions.Reads, t.sessions.Clock.Now())}
	}
	spec, endpoints, err := t.sessions.Access(q.GetIntegration(), credential)
	if err != nil {
		fault := entra.Classify(err)
		return report(probe.Report{Headline: fault.Cause.Headline(), Error: fault}), nil
	}
	return report(probe.Run(ctx, probe.Settings{
		Credential: spec, Endpoints: endpoints, Budget: t.sessions.Budget, Clock: t.sessions.Clock, UserAgent: "entraflow-test",
		DataTypes: t.sessions.DataTypes,
	})), nil
}
