package fleet

import (
	"context"
	"errors"
	"net"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/seal"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/streamer/internal/hub"
)

// Faults of a TestResponse: what a test lacks within Entraflow. The collector's are the same.
const (
	faultSealed = "sealed_with_another_key"
	faultKey    = "key_unavailable"
)

// Tester answers whether a hub can be read. It is safe for concurrent use.
type Tester struct {
	Keys       *Keys
	Namespaces Namespaces
	Dial       hub.Dialer
	// Reach is hub.TrySettings'.
	Reach func(ctx context.Context, network, address string) (net.Conn, error)
	Clock clock.Clock
}

// Test answers bus.QuestionTestHub. A connection that does not work is an answer.
func (t Tester) Test(ctx context.Context, q *statev1.TestRequest) (*statev1.TestResponse, error) {
	sealer, err := t.Keys.sealer(ctx)
	if err != nil {
		return &statev1.TestResponse{Fault: faultKey}, nil
	}
	credential, err := integrations.OpenCredential(ctx, sealer, q.GetSealedCredential(), q.GetContext())
	switch {
	case errors.Is(err, seal.ErrNotOpened):
		return &statev1.TestResponse{Fault: faultSealed}, nil
	case errors.Is(err, seal.ErrKeyUnavailable):
		return &statev1.TestResponse{Fault: faultKey}, nil
	case err != nil:
		return nil, err
	}
	cfg, err := t.Namespaces.configOf("test", q.GetIntegration(), credential)
	if err != nil {
		return &statev1.TestResponse{Report: hub.Unusable(err, t.Clock.Now())}, nil
	}
	return &statev1.TestResponse{
		Report: hub.Try(ctx, cfg, hub.TrySettings{Dial: t.Dial, Reach: t.Reach, Clock: t.Clock}),
	}, nil
}
