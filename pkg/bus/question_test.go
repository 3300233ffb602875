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
	for _, q := range bus.Questions() {
		t.Run(q.Name, func(t *testing.T) { testQuestion(t, q) })
	}
}

func testQuestion(t *testing.T, q bus.Question) {
	t.Helper()
	b := bustest.New(t)
	gateway, answerer := b.Connect(t, q.Askers[0]), b.Connect(t, q.Answerer)
	ask := func(fault string) (*statev1.TestResponse, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		answer := &statev1.TestResponse{}
		err := bus.Ask(ctx, gateway, q.Name, &statev1.TestRequest{Context: fault}, answer)
		return answer, err
	}
	_, err := ask("early")
	require.ErrorIs(t, err, bus.ErrNobodyAnswers)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- bus.Answer(ctx, answerer, q.Name, func() *statev1.TestRequest { return &statev1.TestRequest{} },
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
	require.ErrorContains(t, bus.Answer(t.Context(), gateway, q.Name,
		func() *statev1.TestRequest { return nil }, func(context.Context, *statev1.TestRequest) (*statev1.TestResponse, error) { return nil, nil }), "no question")
}
