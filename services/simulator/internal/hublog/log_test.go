package hublog_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	goamqp "github.com/Azure/go-amqp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
	"github.com/entraflow/entraflow/services/simulator/internal/hublog"
)

func event(body []byte) hublog.Event { return hublog.Event{Bare: amqp.AppendDataSection(nil, body)} }

func decode(t *testing.T, encoded []byte) *goamqp.Message {
	t.Helper()
	var m goamqp.Message
	require.NoError(t, m.UnmarshalBinary(encoded))
	return &m
}

// TestReadsWhatWasAppended appends events of random sizes, above and below a segment, and reads from random places.
func TestReadsWhatWasAppended(t *testing.T) {
	l := hublog.New(64<<20, false, 0)
	random := rand.New(rand.NewPCG(1, 2))
	const events = 3000
	for n := range events {
		size := random.IntN(2000)
		if n%500 == 0 {
			size = 3 << 20 / 2
		}
		body := append(fmt.Appendf(nil, "%d:", n), make([]byte, size)...)
		first, stamp := l.Append([]hublog.Event{event(body)}, int64(1000+n))
		require.Equal(t, int64(n), first)
		require.Equal(t, int64(1000+n), stamp)
	}
	for range 200 {
		from := random.Int64N(events)
		views, next := l.Read(nil, from, 1+random.IntN(300), 100_000)
		require.NotEmpty(t, views)
		require.Equal(t, from+int64(len(views)), next)
		for i, v := range views {
			m := decode(t, v)
			require.Equal(t, from+int64(i), m.Annotations["x-opt-sequence-number"])
			require.Equal(t, fmt.Sprintf("%d:", from+int64(i)), string(m.GetData()[:len(fmt.Sprintf("%d:", from+int64(i)))]))
		}
	}
	views, next := l.Read(nil, events, 10, 1000)
	require.Empty(t, views)
	require.Equal(t, int64(events), next)
}

// TestViewsStay keeps slices while the log goes on and trims them away.
func TestViewsStay(t *testing.T) {
	l := hublog.New(8192, false, 0)
	l.Append([]hublog.Event{event([]byte("kept"))}, 1)
	views, _ := l.Read(nil, 0, 1, 1000)
	for range 1000 {
		l.Append([]hublog.Event{event(make([]byte, 100))}, 1)
	}
	require.Positive(t, l.Stats().EventsTrimmed)
	require.Equal(t, "kept", string(decode(t, views[0]).GetData()))
}

func TestTimeNeverGoesBack(t *testing.T) {
	l := hublog.New(1<<20, false, 0)
	_, stamp := l.Append([]hublog.Event{event(nil)}, 500)
	require.Equal(t, int64(500), stamp)
	_, stamp = l.Append([]hublog.Event{event(nil)}, 400)
	require.Equal(t, int64(500), stamp)
}

func TestBoundsOfEmptyLogs(t *testing.T) {
	const never = -62135596800000
	require.Equal(t, hublog.Bounds{Begin: 0, Last: -1, LastOffset: "-1", LastEnqueuedMS: never, Empty: true}, hublog.New(1, false, 0).Bounds())
	require.Equal(t, hublog.Bounds{Begin: -1, Last: -1, LastOffset: "2:-1:-1", LastEnqueuedMS: never, Empty: true}, hublog.New(1, true, 0).Bounds())
}

// TestFirstSequence begins a log behind an earlier one: the earlier one's positions lead to its start, at once.
func TestFirstSequence(t *testing.T) {
	const first = 1_000_000
	l := hublog.New(1<<20, false, first)
	for _, expression := range []string{"", "amqp.annotation.x-opt-offset > '-1'", "amqp.annotation.x-opt-offset > '5000'", "amqp.annotation.x-opt-sequence-number > '7'"} {
		s, err := hublog.ParseSelector(expression)
		require.NoError(t, err)
		next, err := l.Resolve(s)
		require.NoError(t, err, expression)
		require.Equal(t, int64(first), next, expression)
	}
	got, _ := l.Append([]hublog.Event{event(nil)}, 1)
	require.Equal(t, int64(first), got)
	require.Equal(t, hublog.Bounds{Begin: first, Last: first, LastOffset: "1000000", LastEnqueuedMS: 1}, l.Bounds())
}

func TestParseSelector(t *testing.T) {
	for expression, ok := range map[string]bool{
		"":                                    true,
		"amqp.annotation.x-opt-offset > '-1'": true,
		"amqp.annotation.x-opt-offset >= '@latest'":              true,
		" amqp.annotation.x-opt-sequence-number>'5' ":            true,
		"amqp.annotation.x-opt-enqueued-time >= '1700000000000'": true,
		"amqp.annotation.x-opt-sequence-number > 'x'":            false,
		"amqp.annotation.x-opt-offset < '5'":                     false,
		"amqp.annotation.other > '5'":                            false,
		"x-opt-offset > '5'":                                     false,
	} {
		_, err := hublog.ParseSelector(expression)
		if ok {
			require.NoError(t, err, expression)
		} else {
			require.ErrorIs(t, err, hublog.ErrBadSelector, expression)
		}
	}
}

func FuzzParseSelector(f *testing.F) {
	f.Add("amqp.annotation.x-opt-offset > '-1'")
	f.Add("amqp.annotation.x-opt-offset >= '2:5:6'")
	l := hublog.New(1<<20, false, 0)
	l.Append([]hublog.Event{event(nil), event(nil)}, 1)
	f.Fuzz(func(t *testing.T, expression string) {
		s, err := hublog.ParseSelector(expression)
		if err != nil {
			return
		}
		if next, err := l.Resolve(s); err == nil && (next < 0 || next > 2) {
			t.Fatalf("%q resolves to %d", expression, next)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l := hublog.New(64<<20, false, 0)
	batch := make([]hublog.Event, 100)
	for i := range batch {
		batch[i] = event(make([]byte, 1024))
	}
	b.SetBytes(int64(len(batch) << 10))
	for b.Loop() {
		l.Append(batch, 1)
	}
}
