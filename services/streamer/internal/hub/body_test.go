package hub

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/decode"
)

func TestBodyOf(t *testing.T) {
	raw := func(body azeventhubs.AMQPAnnotatedMessageBody) *azeventhubs.ReceivedEventData {
		return &azeventhubs.ReceivedEventData{RawAMQPMessage: &azeventhubs.AMQPAnnotatedMessage{Body: body}}
	}
	one := raw(azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{[]byte("other")}})
	one.Body = []byte("body")
	cases := map[string]struct {
		event *azeventhubs.ReceivedEventData
		want  string
		fault bool
	}{
		"one data section":    {one, "body", false},
		"several":             {raw(azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{[]byte(`{"rec`), []byte(`ords":[]}`)}}), `{"records":[]}`, false},
		"string value":        {raw(azeventhubs.AMQPAnnotatedMessageBody{Value: "text"}), "text", false},
		"binary value":        {raw(azeventhubs.AMQPAnnotatedMessageBody{Value: []byte("bytes")}), "bytes", false},
		"number value":        {raw(azeventhubs.AMQPAnnotatedMessageBody{Value: int64(7)}), "7", true},
		"map that is no JSON": {raw(azeventhubs.AMQPAnnotatedMessageBody{Value: map[any]any{"a": 1}}), "map[a:1]", true},
		"sequence":            {raw(azeventhubs.AMQPAnnotatedMessageBody{Sequence: [][]any{{"a", 1}}}), `[["a",1]]`, true},
		"nothing":             {raw(azeventhubs.AMQPAnnotatedMessageBody{}), "", false},
		"no message":          {&azeventhubs.ReceivedEventData{}, "", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, fault := bodyOf(tc.event)
			require.Equal(t, tc.want, string(got))
			require.Equal(t, tc.fault, fault != nil)
			if fault != nil {
				require.Equal(t, decode.ReasonPayloadInvalid, fault.Reason)
			}
		})
	}
}

func TestNumberOf(t *testing.T) {
	require.Equal(t, 17, PartitionNumber("17"))
	again := PartitionNumber("a")
	require.Equal(t, PartitionNumber("a"), again)
	require.NotEqual(t, PartitionNumber("a"), PartitionNumber("b"))
	require.GreaterOrEqual(t, PartitionNumber("-3"), 0)
}

func TestLag(t *testing.T) {
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "lag", Help: "Lag."})
	l := lag{gauge: gauge}
	shows := func(want float64) {
		t.Helper()
		require.InDelta(t, want, testutil.ToFloat64(gauge), 0)
	}
	l.saw(100, 149)
	shows(50) // nothing read yet: all that is there
	l.received(159)
	l.checkpointed(119)
	shows(40)
	l.saw(130, 159)
	shows(30) // what is no longer there cannot be read
	l.checkpointed(159)
	shows(0)
	l.saw(0, -1) // an older answer
	shows(0)
}

func TestSuspectsAreBounded(t *testing.T) {
	var s suspects
	require.False(t, s.isSuspect("0", 1))
	for i := range int64(3 * maxSuspects) {
		s.suspect("0", i)
		require.True(t, s.isSuspect("0", i))
		require.LessOrEqual(t, len(s.messages), maxSuspects)
	}
	s.acquit("0", 3*maxSuspects-1)
	require.False(t, s.isSuspect("0", 3*maxSuspects-1))
}
