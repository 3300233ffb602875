package collector

import (
	"context"
	"errors"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/probe"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/seal"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/collector/internal/tenant"
)

// Faults of a TestResponse: what a test lacks within Entraflow.
const (
	FaultSealed = "sealed_with_another_key"
	FaultKey    = "key_unavailable"
)

func newTestRequest() *statev1.TestRequest { return &statev1.TestRequest{} }

// tester answers whether a connection works.
type tester struct {
	sealer  *seal.Sealer
	tenants tenant.Settings
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
	now := t.tenants.Clock.Now()
	spec, endpoints, err := tenant.Access(q.GetIntegration(), credential, t.tenants.Endpoints)
	if err != nil {
		fault := entra.Classify(err)
		found := probe.Report{Headline: fault.Cause.Headline(), Error: fault}
		return &statev1.TestResponse{Report: tenant.Report(found, q.GetIntegration(), now)}, nil
	}
	found := probe.Run(ctx, probe.Settings{
		Credential: spec, Endpoints: endpoints, Budget: t.tenants.Budget, Clock: t.tenants.Clock, UserAgent: "entraflow-test", DataTypes: tenant.Tested(),
	})
	return &statev1.TestResponse{Report: tenant.Report(found, q.GetIntegration(), t.tenants.Clock.Now())}, nil
}
