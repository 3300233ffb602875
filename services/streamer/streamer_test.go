package streamer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

func TestEveryRecordArrivesOnce(t *testing.T) {
	w := newWorld(t, 4)
	w.fill(0, 40, 25)
	r := w.start(w.config())
	w.awaitStored(eventv1.EventStream, 1000)
	w.fill(1000, 40, 25)
	w.awaitStored(eventv1.EventStream, 2000)
	r.wait()
	requireExactly(t, w.events(), 0, 2000)
	require.Empty(t, w.deadLetters())
	for _, p := range []string{"0", "1", "2", "3"} {
		require.Equal(t, int64(19), w.position("$Default", p))
	}
	require.InDelta(t, 2000, r.metric("entraflow_streamer_records_total"), 0)
	require.InDelta(t, 80, r.metric("entraflow_streamer_hub_messages_total"), 0)
	require.InDelta(t, 80, r.metric("entraflow_streamer_acknowledged_seconds"), 0)
}
