package streamer_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
			began := time.Now()
			b.ResetTimer()
			r := w.start(cfg, noPipe)
			for r.metric("entraflow_streamer_acknowledged_seconds") < float64(messages) {
				<-time.After(5 * time.Millisecond)
			}
			b.StopTimer()
			took := time.Since(began)
			b.ReportMetric(float64(messages*size.perMessage)/took.Seconds(), "records/s")
			require.GreaterOrEqual(b, w.count(eventv1.EventStream), messages*size.perMessage)
			r.wait()
		})
	}
}
