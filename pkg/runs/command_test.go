package runs_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

func TestACommandBecomesARunOfItsService(t *testing.T) {
	b := bustest.New(t)
	conn := b.Connect(t, bus.UserCollector)
	store, err := runs.Open(t.Context(), conn)
	require.NoError(t, err)
	consumer, err := bus.NewConsumer(conn, bus.DefaultConsumerConfig(), bus.ConsumerSettings{Stream: statev1.CommandStream, Durable: bus.UserCollector})
	require.NoError(t, err)
	ctx := bounded(t)
	taking, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer stop()
	tasks.Go(func() {
		_ = consumer.Run(taking, store.Handler("collect", func(_ context.Context, integration string) error {
			if integration != "a" {
				return errors.New("no such integration")
			}
			return nil
		}))
	})
	publisher := bustest.Publisher(t, b.Connect(t, bus.UserGateway))
	at := timestamppb.Now()
	for n, c := range []*statev1.Command{
		{Id: "other", Target: "directorysync", Verb: "collect", Integration: "a"},
		{Id: "unknown", Target: bus.UserCollector, Verb: "dance", Integration: "a"},
		{Id: "gone", Target: bus.UserCollector, Verb: "collect", Integration: "b"},
		{Id: "asked", Target: bus.UserCollector, Verb: "collect", Integration: "a", CreateTime: at, DataTypes: []string{"audit"}, Since: at},
		{Id: "asked", Target: bus.UserCollector, Verb: "collect", Integration: "a", CreateTime: at, DataTypes: []string{"audit"}, Since: at},
	} {
		_, err := publisher.Publish(ctx, c, bus.PublishOptions{MessageID: string(rune('0' + n))})
		require.NoError(t, err)
	}
	require.NoError(t, store.Watch(ctx, "a", "asked", func(*controlv1.Run, uint64) bool { return false }))
	require.Eventually(t, func() bool {
		for letter, err := range bus.ListDeadLetters(ctx, b.Connect(t, bus.UserOperator), bus.DeadLetterFilter{}) {
			require.NoError(t, err)
			require.Equal(t, "command_unknown", letter.Letter.GetReason())
			return true
		}
		return false
	}, patience, poll)
	all, err := store.List(ctx, "a")
	require.NoError(t, err)
	want := []*controlv1.Run{{
		Name: runs.Name("a", "asked"), Trigger: controlv1.RunTrigger_RUN_TRIGGER_ON_DEMAND, State: pending, CreateTime: at, UpdateTime: at, Since: at,
		DataTypes: []*controlv1.DataTypeProgress{{DataType: "audit", State: pending, ThrottleWait: durationpb.New(0)}},
	}}
	require.Empty(t, cmp.Diff(want, all, protocmp.Transform()))
}
