package sink_test

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/services/sink"
)

func TestStoreAwayUnderLoad(t *testing.T) {
	w := newWorld(t)
	server := w.serve(t)
	bounds := func(c *sink.Config) {
		server.by(c)
		c.Batch.MaxRows, c.Batch.InFlight = 100, 2
	}
	stop := w.start(t, bounds)
	sign := tablestest.NewWorld(time.Hour)
	w.flood(t, sign.SignIns(400))
	w.stored(t)

	server.close(t)
	before := heap()
	// Far more than the sink may hold.
	for range 10 {
		w.flood(t, sign.SignIns(400))
	}
	require.Eventually(t, func() bool { return w.metric(t, "entraflow_sink_store_up") == 0 }, patience, 10*time.Millisecond)
	held := w.durable(t).NumAckPending
	require.LessOrEqual(t, held, 100*(2+3)+2)
	require.Less(t, heap()-before, int64(100<<20))

	// A sink that is stopped while the store is away does not wait for it, and the next one waits at start.
	began := time.Now()
	stop()
	require.Less(t, time.Since(began), lifecycle.DefaultDrain/2)
	opened := make(chan struct{})
	time.AfterFunc(time.Second, func() {
		defer close(opened)
		server.open(t)
	})
	w.start(t, bounds)
	<-opened
	w.stored(t)
	require.Equal(t, uint64(4_400), w.count(t, "SELECT count() FROM sign_ins FINAL"))
	require.Equal(t, 1, w.metric(t, "entraflow_sink_store_up"))
	require.Zero(t, w.count(t, "SELECT count() FROM dead_letters"))
}

func TestStoreThatComesBackGetsWhatWasHeld(t *testing.T) {
	w := newWorld(t)
	server := w.serve(t)
	w.start(t, server.by)
	events := tablestest.NewWorld(time.Hour).SignIns(3000)
	w.flood(t, events[:1000])
	w.stored(t)
	server.close(t)
	w.flood(t, events[1000:])
	require.Eventually(t, func() bool { return w.metric(t, "entraflow_sink_store_up") == 0 }, patience, 10*time.Millisecond)
	server.open(t)
	w.stored(t)
	require.Equal(t, uint64(3000), w.count(t, "SELECT count() FROM sign_ins FINAL"))
	require.Zero(t, w.durable(t).NumRedelivered, "what is held must not be delivered again")
}

// The rows are stored, but the answer says otherwise or never comes.
func TestLostAnswers(t *testing.T) {
	w := newWorld(t)
	server := w.serve(t)
	var lost atomic.Int64
	engine := embedded.RoundTripper(w.store.Engine())
	server.handler = loseAnswers(server.handler, engine, &lost)
	server.close(t)
	server.open(t)
	w.start(t, server.by)
	w.flood(t, tablestest.NewWorld(time.Hour).SignIns(1000))
	w.stored(t)
	require.Positive(t, lost.Load())
	require.Equal(t, uint64(1000), w.count(t, "SELECT count() FROM sign_ins FINAL"))
}

// loseAnswers runs each of the first three inserts and then breaks the connection.
func loseAnswers(next http.Handler, engine http.RoundTripper, lost *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Query().Get("query"), "INSERT INTO sign_ins") || lost.Load() >= 3 {
			next.ServeHTTP(w, r)
			return
		}
		lost.Add(1)
		answer, err := engine.RoundTrip(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
		panic(http.ErrAbortHandler)
	})
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
