package bus_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// bury makes dead letters of the first messages of EVENTS.
func bury(t *testing.T, b *bustest.Bus, reason string, upTo uint64) {
	t.Helper()
	conn := b.Connect(t, bus.UserSink)
	stop := run(t, func(ctx context.Context) error {
		return consumer(t, conn, "EVENTS").Run(ctx, func(_ context.Context, d *bus.Delivery) error {
			if d.Sequence > upTo {
				return nil
			}
			return bus.Permanent(reason, errFlaky)
		})
	})
	last := state(t, conn, "EVENTS").LastSeq
	eventually(t, func() bool { return durableInfo(t, conn, "EVENTS").AckFloor.Stream == last }, "settled")
	require.NoError(t, stop())
}

func hubLetter(index int32, raw []byte) *eventv1.DeadLetter {
	return &eventv1.DeadLetter{
		Origin: "hub", TenantId: tenant, Integration: "contoso", Reason: "unreadable_json", Detail: "it is cut", Raw: raw,
		Place: &eventv1.DeadLetter_Hub{Hub: &eventv1.HubPlace{
			Namespace: "ns", Hub: "hub", ConsumerGroup: "$Default", Partition: "1", SequenceNumber: 7, RecordIndex: index,
		}},
	}
}

func TestReplayOfMessages(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 3, 100)
	bury(t, b, "row_refused", 2)
	operator := b.Connect(t, bus.UserOperator)
	publisher := bustest.Publisher(t, operator)

	dry, err := bus.Replay(t.Context(), operator, publisher, bus.DeadLetterFilter{}, bus.ReplayOptions{DryRun: true})
	require.NoError(t, err)
	require.Equal(t, bus.ReplayResult{Messages: 2}, dry)
	require.EqualValues(t, 3, state(t, operator, "EVENTS").Msgs)

	// Long before the stream forgets the message ids of the originals, and twice at once.
	for range 2 {
		done, err := bus.Replay(t.Context(), operator, publisher, bus.DeadLetterFilter{Reason: "row_refused"}, bus.ReplayOptions{})
		require.NoError(t, err)
		require.Equal(t, bus.ReplayResult{Messages: 2}, done)
	}
	require.EqualValues(t, 5, state(t, operator, "EVENTS").Msgs)

	// In whatever order, each again as it was: bytes, and so id and version, subject and headers.
	var originals, replays []*eventv1.Event
	for _, sequence := range []uint64{1, 2, 4, 5} {
		m := stored(t, b, "EVENTS", sequence)
		e := new(eventv1.Event)
		require.NoError(t, proto.Unmarshal(m.Data, e))
		require.Equal(t, e.BusSubject(), m.Subject)
		require.Equal(t, e.GetId(), m.Header.Get("ce-id"))
		require.Equal(t, "entraflow.event.v1.Event", m.Header.Get("ce-type"))
		if sequence <= 2 {
			originals = append(originals, e)
			require.Empty(t, m.Header.Get(bus.HeaderReplayOf))
			continue
		}
		replays = append(replays, e)
		require.Equal(t, "replay:"+m.Header.Get(bus.HeaderReplayOf), m.Header.Get("Nats-Msg-Id"))
	}
	byID := func(a, b *eventv1.Event) int { return strings.Compare(a.GetId(), b.GetId()) }
	slices.SortFunc(originals, byID)
	slices.SortFunc(replays, byID)
	require.Empty(t, cmp.Diff(originals, replays, protocmp.Transform()))

	// What fails again is another dead letter, which can be replayed in its turn.
	bury(t, b, "row_refused", 5)
	again, err := bus.Replay(t.Context(), operator, publisher, bus.DeadLetterFilter{}, bus.ReplayOptions{})
	require.NoError(t, err)
	require.Equal(t, 4, again.Messages)
	require.EqualValues(t, 7, state(t, operator, "EVENTS").Msgs, "two are stored already")
}

func TestReplayOfRecords(t *testing.T) {
	b := bustest.New(t)
	conn := b.Connect(t, bus.UserStreamer)
	writer := bus.NewDeadLetters(conn, bustest.Publisher(t, conn))
	large := make([]byte, 9<<20)
	for i, raw := range [][]byte{[]byte("{1"), large, []byte("{3")} {
		require.NoError(t, writer.Write(t.Context(), hubLetter(int32(i), raw)))
		require.NoError(t, writer.Write(t.Context(), hubLetter(int32(i), raw)), "failing again")
	}
	operator := b.Connect(t, bus.UserOperator)
	require.EqualValues(t, 3, state(t, operator, "DEAD").Msgs, "each failure once")
	require.Empty(t, letters(t, b)[1].GetRaw())
	require.EqualValues(t, len(large), letters(t, b)[1].GetRawBlob().GetSize())

	publisher := bustest.Publisher(t, operator)
	skipped, err := bus.Replay(t.Context(), operator, publisher, bus.DeadLetterFilter{}, bus.ReplayOptions{})
	require.NoError(t, err)
	require.Equal(t, bus.ReplayResult{Skipped: 3}, skipped)

	sizes := map[int32]int{}
	result, err := bus.Replay(t.Context(), operator, publisher, bus.DeadLetterFilter{Origin: "hub"}, bus.ReplayOptions{
		Hub: func(_ context.Context, letter *eventv1.DeadLetter, raw []byte) error {
			sizes[letter.GetHub().GetRecordIndex()] = len(raw)
			if letter.GetHub().GetRecordIndex() == 2 {
				return errFlaky
			}
			return nil
		},
	})
	require.ErrorIs(t, err, errFlaky)
	require.Equal(t, bus.ReplayResult{Records: 2, Failed: 1}, result)
	require.Equal(t, map[int32]int{0: 2, 1: len(large), 2: 2}, sizes)
}

func TestListDeadLetters(t *testing.T) {
	b := bustest.New(t)
	conn := b.Connect(t, bus.UserStreamer)
	writer := bus.NewDeadLetters(conn, bustest.Publisher(t, conn))
	other := hubLetter(5, []byte("x"))
	other.TenantId, other.Reason, other.Origin = "", "tenant_missing", "other hub"
	for _, letter := range []*eventv1.DeadLetter{hubLetter(0, []byte("a")), hubLetter(1, []byte("b")), other} {
		require.NoError(t, writer.Write(t.Context(), letter))
	}
	operator := b.Connect(t, bus.UserOperator)
	now := time.Now()
	ids := letters(t, b)
	for name, c := range map[string]struct {
		filter bus.DeadLetterFilter
		want   int
	}{
		"all":            {bus.DeadLetterFilter{}, 3},
		"service":        {bus.DeadLetterFilter{Service: "streamer"}, 3},
		"other service":  {bus.DeadLetterFilter{Service: "sink"}, 0},
		"origin":         {bus.DeadLetterFilter{Origin: "other hub"}, 1},
		"tenant":         {bus.DeadLetterFilter{TenantID: tenant}, 2},
		"reason":         {bus.DeadLetterFilter{Reason: "unreadable_json"}, 2},
		"id":             {bus.DeadLetterFilter{IDs: []string{ids[1].GetId()}}, 1},
		"since":          {bus.DeadLetterFilter{Since: now.Add(-time.Hour)}, 3},
		"not since":      {bus.DeadLetterFilter{Since: now.Add(time.Hour)}, 0},
		"until":          {bus.DeadLetterFilter{Until: now.Add(time.Hour)}, 3},
		"before any":     {bus.DeadLetterFilter{Until: now.Add(-time.Hour)}, 0},
		"tenant, reason": {bus.DeadLetterFilter{TenantID: tenant, Reason: "tenant_missing"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := 0
			for letter, err := range bus.ListDeadLetters(t.Context(), operator, c.filter) {
				require.NoError(t, err)
				require.NotZero(t, letter.Sequence)
				require.WithinDuration(t, now, letter.Stored, time.Minute)
				got++
			}
			require.Equal(t, c.want, got)
		})
	}
	for _, err := range bus.ListDeadLetters(t.Context(), operator, bus.DeadLetterFilter{}) {
		require.NoError(t, err)
		break // the iteration may end early
	}
	for _, err := range bus.ListDeadLetters(t.Context(), conn, bus.DeadLetterFilter{}) {
		require.Error(t, err, "only the operator may")
	}
}

func TestPermanent(t *testing.T) {
	require.NoError(t, bus.Permanent("x", nil))
	err := bus.Permanent("outer", bus.Permanent("inner", errFlaky))
	require.ErrorIs(t, err, errFlaky)
	reason, ok := bus.IsPermanent(errors.Join(errors.New("also"), err))
	require.True(t, ok)
	require.Equal(t, "outer", reason)
	_, ok = bus.IsPermanent(errFlaky)
	require.False(t, ok)
}
