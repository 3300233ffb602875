package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/config"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	"github.com/entraflow/entraflow/services/streamer/internal/hub"
)

const tenant = "11111111-2222-3333-4444-555555555555"

// picky is a publisher whose server refuses one event, by its PubAck as servers do.
type picky struct {
	*bus.Publisher
	sourceID string
	err      error
}

func (p picky) PublishAsync(ctx context.Context, m bus.Message, o bus.PublishOptions, done func(bus.Ack, error)) error {
	if e, ok := m.(*eventv1.Event); ok && e.GetSourceId() == p.sourceID {
		go done(bus.Ack{}, p.err)
		return nil
	}
	return p.Publisher.PublishAsync(ctx, m, o, done)
}

func (p picky) Publish(ctx context.Context, m bus.Message, o bus.PublishOptions) (bus.Ack, error) {
	if e, ok := m.(*eventv1.Event); ok && e.GetSourceId() == p.sourceID {
		return bus.Ack{}, p.err
	}
	return p.Publisher.Publish(ctx, m, o)
}

type open struct{}

func (open) Wait(ctx context.Context) error { return ctx.Err() }

func record(id string) string {
	return fmt.Sprintf(`{"time":"2026-05-06T04:06:06Z","category":"SignInLogs","tenantId":%q,"properties":{"id":%q,"createdDateTime":"2026-05-06T04:05:12Z"}}`, tenant, id)
}

func metrics() *hub.Metrics {
	gauge := func(name string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: name}, labels)
	}
	counter := func(name string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name}, labels)
	}
	group := []string{"integration", "hub", "group"}
	partition := []string{"integration", "hub", "group", "partition"}
	return &hub.Metrics{
		Connected: gauge("a", group...), Owned: gauge("b", group...),
		Connections: counter("c", group...), Retries: counter("d", group...), Lag: gauge("e", partition...),
		Messages: counter("f", partition...), Empty: counter("g", partition...), Skipped: counter("m", partition...), Records: counter("h", partition...),
		Checkpoints: counter("i", partition...), Failures: counter("j", partition...),
		Acked: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "k", Help: "Seconds."}, partition),
		Dead:  counter("l", append(partition, "reason")...),
	}
}

// TestRefusedEventBecomesADeadLetter has a stream that takes every event but one, whatever it does.
func TestRefusedEventBecomesADeadLetter(t *testing.T) {
	for name, refusal := range map[string]error{"refused": bus.ErrRefused, "too large": bus.ErrTooLarge} {
		t.Run(name, func(t *testing.T) {
			server := bustest.New(t)
			conn := server.Connect(t, bus.UserStreamer)
			publisher := bustest.Publisher(t, conn)
			kv, err := conn.JetStream().KeyValue(t.Context(), bus.BucketCheckpoints)
			require.NoError(t, err)

			simCfg := eventhubs.DefaultConfig()
			simCfg.Namespaces[0].Keys = []eventhubs.KeyConfig{{Name: "all", Secret: "c2VjcmV0"}}
			simCfg.Namespaces[0].Hubs[0].Partitions = 1
			sim, err := eventhubs.New(simCfg, eventhubs.Settings{})
			require.NoError(t, err)
			t.Cleanup(sim.Close)
			source, err := sim.Hub("", "entra")
			require.NoError(t, err)
			for _, body := range []string{
				record("a"), `{"records":[` + record("b") + "," + record("refused") + "," + record("c") + `]}`, record("d"),
			} {
				_, err := source.Append("0", eventhubs.Event{Body: []byte(body)})
				require.NoError(t, err)
			}

			var cfg hub.Config
			cfg.SetDefaults()
			cfg.Integration, cfg.Tenants, cfg.EventHub = "contoso", []string{tenant}, "entra"
			cfg.ConnectionString = config.NewSecret("Endpoint=sb://localhost;SharedAccessKeyName=all;SharedAccessKey=c2VjcmV0")
			tuning := hub.DefaultTuning()
			tuning.CheckpointInterval, tuning.ClaimInterval = 20*time.Millisecond, 50*time.Millisecond
			h := hub.New(cfg, tuning, hub.Settings{
				Publisher: picky{publisher, "refused", refusal}, DeadLetters: bus.NewDeadLetters(conn, publisher), Gate: open{},
				Checkpoints: kv, Decoders: hub.NewDecoders(tuning), Metrics: metrics(), Logger: slog.New(slog.DiscardHandler), Instance: "one",
				Dial: func(ctx context.Context, _ azeventhubs.WebSocketConnParams) (net.Conn, error) {
					client, server := net.Pipe()
					go func() { _ = sim.ServeConn(context.WithoutCancel(ctx), server) }() // Close waits for it
					return client, nil
				},
			})
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); h.Run(ctx, t.Context()) }()
			defer func() { stop(); <-done }()

			operator := server.Connect(t, bus.UserOperator)
			count := func(stream string) uint64 {
				s, err := operator.JetStream().Stream(t.Context(), stream)
				require.NoError(t, err)
				return s.CachedInfo().State.Msgs
			}
			require.Eventually(t, func() bool {
				return count(eventv1.EventStream) == 4 && count(eventv1.DeadLetterStream) == 1
			}, 30*time.Second, 10*time.Millisecond)
			s, err := operator.JetStream().Stream(t.Context(), eventv1.DeadLetterStream)
			require.NoError(t, err)
			m, err := s.GetMsg(t.Context(), 1)
			require.NoError(t, err)
			letter := &eventv1.DeadLetter{}
			require.NoError(t, proto.Unmarshal(m.Data, letter))
			require.Equal(t, "payload_invalid", letter.GetReason())
			require.Equal(t, record("refused"), string(letter.GetRaw()))
			require.Equal(t, tenant, letter.GetTenantId())
			require.Equal(t, int32(1), letter.GetHub().GetRecordIndex())
			require.Eventually(t, func() bool {
				e, err := kv.Get(t.Context(), bus.Key("position", "localhost", "entra", "$default", "0"))
				return err == nil && string(e.Value()[:14]) == `{"sequence":2,`
			}, 30*time.Second, 10*time.Millisecond)
		})
	}
}
