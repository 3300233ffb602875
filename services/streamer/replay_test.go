package streamer_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/streamer"
)

const replayedRecord = `{"time":"2026-11-24T12:00:00Z","category":"AuditLogs","tenantId":"T1","properties":{"id":"a1","activityDateTime":"2026-11-24T12:00:00Z","activityDisplayName":"Add user"}}`

func hubLetter(raw string, index int32) *eventv1.DeadLetter {
	return &eventv1.DeadLetter{
		Origin: "entra", TenantId: "t1", Integration: "contoso", Reason: "tenant_mismatch", Raw: []byte(raw),
		Place: &eventv1.DeadLetter_Hub{Hub: &eventv1.HubPlace{
			Namespace: "ns", Hub: "entra", ConsumerGroup: "$Default", Partition: "3", SequenceNumber: 7, RecordIndex: index,
			EnqueuedAt: timestamppb.New(time.Date(2026, 11, 24, 12, 1, 0, 0, time.UTC)),
		}},
	}
}

func TestReplayGivesTheIdAndVersionOfTheFirstTime(t *testing.T) {
	b := bustest.New(t)
	writer := b.Connect(t, bus.UserStreamer)
	letters := bus.NewDeadLetters(writer, bustest.Publisher(t, writer))
	require.NoError(t, letters.Write(t.Context(), hubLetter(replayedRecord, 2)))
	require.NoError(t, letters.Write(t.Context(), hubLetter(`{"records":[`+replayedRecord+`]}`, -1)))

	operator := b.Connect(t, bus.UserOperator)
	replayer := streamer.Replayer{Publisher: bustest.Publisher(t, operator), Tenants: []string{"t1"}}
	for range 2 { // twice at once is once
		result, err := bus.Replay(t.Context(), operator, replayer.Publisher, bus.DeadLetterFilter{}, bus.ReplayOptions{Hub: replayer.Replay})
		require.NoError(t, err)
		require.Equal(t, bus.ReplayResult{Records: 2}, result)
	}

	stream, err := operator.JetStream().Stream(t.Context(), eventv1.EventStream)
	require.NoError(t, err)
	require.Equal(t, uint64(2), stream.CachedInfo().State.Msgs)
	message, err := stream.GetMsg(t.Context(), 1)
	require.NoError(t, err)
	var event eventv1.Event
	require.NoError(t, proto.Unmarshal(message.Data, &event))
	require.Equal(t, bus.EventID("t1", "audit", "a1", nil), event.GetId())
	require.Equal(t, bus.Version(true, time.Date(2026, 11, 24, 12, 1, 0, 0, time.UTC), 3, 7, 2), event.GetVersion())
	require.Equal(t, "contoso", event.GetIntegration())
}

func TestReplayRefusesWhatIsStillWrong(t *testing.T) {
	b := bustest.New(t)
	operator := b.Connect(t, bus.UserOperator)
	replayer := streamer.Replayer{Publisher: bustest.Publisher(t, operator), Tenants: []string{"other"}}
	require.ErrorIs(t, replayer.Replay(t.Context(), hubLetter(replayedRecord, 0), []byte(replayedRecord)), streamer.ErrTenantNotAllowed)

	var unreadable *decode.Error
	require.ErrorAs(t, replayer.Replay(t.Context(), hubLetter("nothing", 0), []byte("nothing")), &unreadable)
	replayer.Tenants = []string{streamer.AnyTenant}
	require.ErrorAs(t, replayer.Replay(t.Context(), hubLetter("nothing", -1), []byte("nothing")), &unreadable)
}
