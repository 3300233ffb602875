package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

func TestQuestionsAreAnswered(t *testing.T) {
	b := bustest.New(t)
	gateway, collector := b.Connect(t, bus.UserGateway), b.Connect(t, bus.UserCollector)
	ask := func(fault string) (*statev1.TestResponse, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		answer := &statev1.TestResponse{}
		err := bus.Ask(ctx, gateway, bus.QuestionTestConnection, &statev1.TestRequest{Context: fault}, answer)
		return answer, err
	}
	_, err := ask("early")
	require.ErrorIs(t, err, bus.ErrNobodyAnswers)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- bus.Answer(ctx, collector, bus.QuestionTestConnection, func() *statev1.TestRequest { return &statev1.TestRequest{} },
			func(_ context.Context, q *statev1.TestRequest) (*statev1.TestResponse, error) {
				if q.GetContext() == "" {
					return nil, errors.New("broken")
				}
				return &statev1.TestResponse{Fault: q.GetContext()}, nil
			})
	}()
	require.Eventually(t, func() bool {
		answer, err := ask("mine")
		return err == nil && answer.GetFault() == "mine"
	}, 10*time.Second, 10*time.Millisecond)
	_, err = ask("")
	require.ErrorIs(t, err, bus.ErrAnswerFailed)
	cancel()
	require.NoError(t, <-ended)
	require.ErrorContains(t, bus.Answer(t.Context(), gateway, bus.QuestionTestConnection,
		func() *statev1.TestRequest { return nil }, func(context.Context, *statev1.TestRequest) (*statev1.TestResponse, error) { return nil, nil }), "no question")
}
