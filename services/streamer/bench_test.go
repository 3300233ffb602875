package streamer_test

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/config"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/streamer"
)

// overTCP makes the streamer reach the simulator and NATS by loopback instead of pipes.
func (w *world) overTCP(cfg *streamer.Config) {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	served := make(chan error, 1)
	go func() { served <- w.sim.Serve(w.t.Context(), listener) }()
	w.t.Cleanup(func() { require.NoError(w.t, <-served) })
	cfg.Hubs[0].ConnectionString = config.NewSecret("Endpoint=sb://" + listener.Addr().String() +
		";SharedAccessKeyName=all;SharedAccessKey=c2VjcmV0;UseDevelopmentEmulator=true")
}

func noPipe(set *streamer.Settings) { set.Dial = nil }

// BenchmarkHubToPubAck reads records of 1.1 KB, 100 in a message, from 4 partitions. One operation is one record.
func BenchmarkHubToPubAck(b *testing.B) {
	for _, size := range []struct {
		name       string
		perMessage int
	}{{"100 records a message", 100}, {"1 record a message", 1}} {
		b.Run(size.name, func(b *testing.B) {
			const partitions = 4
			w := newWorld(b, partitions)
			cfg := w.config()
			w.overTCP(&cfg)
			messages := max(b.N/size.perMessage, 1)
			w.fill(0, messages, size.perMessage)
			b.SetBytes(int64(len(signIn(tenant, 0))))
			began, used := time.Now(), cpu(b)
			b.ResetTimer()
			r := w.start(cfg, noPipe)
			for r.metric("entraflow_streamer_acknowledged_seconds") < float64(messages) {
				<-time.After(20 * time.Millisecond)
			}
			b.StopTimer()
			took, used := time.Since(began), cpu(b)-used
			records := float64(messages * size.perMessage)
			b.ReportMetric(records/took.Seconds(), "records/s")
			b.ReportMetric(used.Seconds()*1e6/records, "cpu-us/record") // of the streamer, NATS and the simulator
			require.GreaterOrEqual(b, w.count(eventv1.EventStream), messages*size.perMessage)
			r.wait()
		})
	}
}

// BenchmarkLatency sends 100 records a second to each of 4 partitions, each record a message, and looks at the time
// from the hub's to that of the stream, which is when it sends the PubAck. One operation is one record.
func BenchmarkLatency(b *testing.B) {
	const partitions, perSecond = 4, 100
	w := newWorld(b, partitions)
	cfg := w.config()
	w.overTCP(&cfg)
	cfg.CheckpointInterval = time.Second
	r := w.start(cfg, noPipe)
	eventually(b, "all partitions", func() bool { return r.metric("entraflow_streamer_owned_partitions") == partitions })
	ticker := time.NewTicker(time.Second / perSecond)
	defer ticker.Stop()
	sent := make(map[string]time.Time, b.N)
	b.ResetTimer()
	for n := 0; n < b.N; {
		<-ticker.C
		for p := range min(partitions, b.N-n) {
			record := message(signIn(tenant, n))
			sent[fmt.Sprintf("%08d-0000-4000-8000-000000000000", n)] = time.Now()
			_, err := w.hub.Append(strconv.Itoa(p), record)
			require.NoError(b, err)
			n++
		}
	}
	w.awaitStored(eventv1.EventStream, b.N)
	b.StopTimer()
	r.wait()
	var took []time.Duration
	for _, m := range w.read(eventv1.EventStream) {
		e := &eventv1.Event{}
		require.NoError(b, proto.Unmarshal(m.data, e))
		took = append(took, m.stored.Sub(sent[e.GetSourceId()]))
	}
	slices.Sort(took)
	for _, percent := range []int{50, 99} {
		b.ReportMetric(float64(took[(len(took)-1)*percent/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", percent))
	}
}

// cpu is the CPU time of this process.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
