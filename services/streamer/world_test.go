package streamer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	"github.com/entraflow/entraflow/services/streamer"
)

const (
	namespace = "sim.test"
	hubName   = "entra"
	tenant    = "11111111-2222-3333-4444-555555555555"
	foreign   = "99999999-2222-3333-4444-555555555555"
)

// world is a NATS server and a simulated hub, both real and both in this process.
type world struct {
	t    testing.TB
	bus  *bustest.Bus
	sim  *eventhubs.Server
	hub  *eventhubs.Hub
	conn *bus.Conn // as operator
}

func newWorld(tb testing.TB, partitions int, options ...func(*natsserver.Config)) *world {
	tb.Helper()
	return newWorldOf(tb, eventhubs.TokensRefused, partitions, options...)
}

func newWorldOf(tb testing.TB, tokens eventhubs.TokenPolicy, partitions int, options ...func(*natsserver.Config)) *world {
	tb.Helper()
	cfg := eventhubs.DefaultConfig()
	cfg.Namespaces = []eventhubs.NamespaceConfig{{
		Name: namespace, Tokens: tokens,
		Keys: []eventhubs.KeyConfig{{Name: "all", Secret: "c2VjcmV0"}},
		Hubs: []eventhubs.HubConfig{{Name: hubName, Partitions: partitions, ConsumerGroups: []string{"second"}}},
	}}
	sim, err := eventhubs.New(cfg, eventhubs.Settings{})
	require.NoError(tb, err)
	tb.Cleanup(sim.Close)
	hub, err := sim.Hub("", hubName)
	require.NoError(tb, err)
	w := &world{t: tb, bus: bustest.New(tb, options...), sim: sim, hub: hub}
	w.conn = w.bus.Connect(tb, bus.UserOperator)
	return w
}

// dial reaches the simulator by a pipe.
func (w *world) dial(context.Context, azeventhubs.WebSocketConnParams) (net.Conn, error) {
	client, server := net.Pipe()
	go func() { _ = w.sim.ServeConn(context.Background(), server) }() // Close waits for it
	return client, nil
}

// hubConfig reads the simulated hub and allows one tenant.
func (w *world) hubConfig() streamer.HubConfig {
	h := streamer.DefaultHub()
	h.Integration = "contoso"
	h.Tenants = []string{tenant}
	h.ConnectionString = config.NewSecret("Endpoint=sb://" + namespace + ";SharedAccessKeyName=all;SharedAccessKey=c2VjcmV0")
	h.EventHub = hubName
	return h
}

// config is quick to notice and to try again.
func (w *world) config() streamer.Config {
	c := streamer.DefaultConfig()
	c.NATS = w.bus.Server.Config(bus.UserStreamer)
	c.Instance = "one"
	c.Hubs = []streamer.HubConfig{w.hubConfig()}
	c.ClaimInterval, c.ClaimExpiry = 100*time.Millisecond, time.Second
	c.CheckpointInterval = 50 * time.Millisecond
	c.BackOff.First, c.BackOff.Last = 10*time.Millisecond, 200*time.Millisecond
	c.StallTimeout = 2 * time.Second
	c.LagInterval = 100 * time.Millisecond
	return c
}

// run is a streamer that runs.
type run struct {
	t        testing.TB
	registry *prometheus.Registry
	stop     context.CancelFunc
	done     chan error
	logs     *logs
}

// start runs a streamer until the test ends or it is stopped.
func (w *world) start(cfg streamer.Config, change ...func(*streamer.Settings)) *run {
	w.t.Helper()
	r := &run{t: w.t, registry: prometheus.NewRegistry(), done: make(chan error, 1), logs: &logs{}}
	set := streamer.Settings{
		Settings: app.Settings{Logger: slog.New(slog.NewTextHandler(r.logs, nil)), Registry: r.registry},
		Dial:     w.dial,
	}
	for _, f := range change {
		f(&set)
	}
	s, err := streamer.New(cfg, set)
	require.NoError(w.t, err)
	ctx, stop := context.WithCancel(context.Background()) // stopped before the servers are
	r.stop = stop
	go func() { r.done <- s.Run(ctx) }()
	w.t.Cleanup(r.wait)
	select {
	case <-s.Ready():
	case err := <-r.done:
		require.NoError(w.t, err)
		require.FailNow(w.t, "the streamer ended")
	case <-time.After(30 * time.Second):
		require.FailNow(w.t, "the streamer did not get ready")
	}
	return r
}

// wait stops the streamer and waits for it; it may be called again.
func (r *run) wait() {
	r.t.Helper()
	r.stop()
	if r.done == nil {
		return
	}
	select {
	case err := <-r.done:
		r.done = nil
		require.NoError(r.t, err)
	case <-time.After(30 * time.Second):
		require.FailNow(r.t, "the streamer did not stop")
	}
}

// metric adds up the metric over all labels that match.
func (r *run) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	require.NoError(r.t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for i := 0; i < len(labels); i += 2 {
				for _, pair := range m.GetLabel() {
					if pair.GetName() == labels[i] && pair.GetValue() != labels[i+1] {
						continue series
					}
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// refuseDial is a hub that nobody can reach.
func refuseDial(context.Context, azeventhubs.WebSocketConnParams) (net.Conn, error) {
	return nil, errors.New("connection refused")
}

// logs collects what a streamer says.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// signIn is a record of about 1.1 KB; the number makes its id.
func signIn(tenant string, n int) string {
	return fmt.Sprintf(`{"time":"2026-05-06T04:06:06.6547905Z","resourceId":"/tenants/%[1]s/providers/Microsoft.aadiam",`+
		`"operationName":"Sign-in activity","operationVersion":"1.0","category":"SignInLogs","tenantId":"%[1]s","resultType":"0",`+
		`"resultSignature":"None","durationMs":0,"callerIpAddress":"203.0.113.7","correlationId":"5a1f3f2e-0c0b-4b55-9a55-%012[2]d",`+
		`"identity":"Adele Vance","Level":4,"location":"DE","properties":{"id":"%08[2]d-0000-4000-8000-000000000000",`+
		`"createdDateTime":"2026-05-06T04:05:12.1234567+00:00","userDisplayName":"Adele Vance","userPrincipalName":"adele.vance@contoso.example",`+
		`"userId":"0d5a4bdc-5bd3-4ec7-9a5c-2d5f0d1b7a11","appId":"00000003-0000-0ff1-ce00-000000000000","appDisplayName":"Office 365 SharePoint Online",`+
		`"ipAddress":"203.0.113.7","status":{"errorCode":0,"additionalDetails":"MFA requirement satisfied by claim in the token"},`+
		`"clientAppUsed":"Browser","deviceDetail":{"deviceId":"","operatingSystem":"Windows 10","browser":"Edge 124.0.0"},`+
		`"location":{"city":"Berlin","state":"Berlin","countryOrRegion":"DE","geoCoordinates":{"latitude":52.5,"longitude":13.4}},`+
		`"isInteractive":true,"userType":"Member","riskLevelAggregated":"none"}}`, tenant, n)
}

// message wraps records as Azure does.
func message(records ...string) eventhubs.Event {
	return eventhubs.Event{Body: []byte(`{"records":[` + strings.Join(records, ",") + `]}`)}
}

// fill appends count messages of perMessage sign-ins to the partitions in turn, numbered from first.
func (w *world) fill(first, count, perMessage int) {
	w.t.Helper()
	for m := range count {
		records := make([]string, perMessage)
		for i := range records {
			records[i] = signIn(tenant, first+m*perMessage+i)
		}
		_, err := w.hub.Append(fmt.Sprint(m%w.hub.Partitions()), message(records...))
		require.NoError(w.t, err)
	}
}

// stored is a message of a stream.
type stored struct {
	messageID string
	stored    time.Time
	data      []byte
}

// read returns everything that is in a stream.
func (w *world) read(stream string) []stored {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // used in clean-up too
	defer cancel()
	s, err := w.conn.JetStream().Stream(ctx, stream)
	require.NoError(w.t, err)
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	require.NoError(w.t, err)
	info, err := s.Info(ctx)
	require.NoError(w.t, err)
	all := make([]stored, 0, info.State.Msgs)
	for len(all) < int(info.State.Msgs) {
		batch, err := consumer.Fetch(min(int(info.State.Msgs)-len(all), 5000))
		require.NoError(w.t, err)
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			require.NoError(w.t, err)
			all = append(all, stored{m.Headers().Get(jetstream.MsgIDHeader), meta.Timestamp, m.Data()})
		}
		require.NoError(w.t, batch.Error())
	}
	return all
}

func (w *world) events() []*eventv1.Event {
	w.t.Helper()
	var all []*eventv1.Event
	for _, m := range w.read(eventv1.EventStream) {
		e := &eventv1.Event{}
		require.NoError(w.t, proto.Unmarshal(m.data, e))
		all = append(all, e)
	}
	return all
}

func (w *world) deadLetters() []*eventv1.DeadLetter {
	w.t.Helper()
	var all []*eventv1.DeadLetter
	for _, m := range w.read(eventv1.DeadLetterStream) {
		d := &eventv1.DeadLetter{}
		require.NoError(w.t, proto.Unmarshal(m.data, d))
		all = append(all, d)
	}
	return all
}

// count is how many messages a stream has.
func (w *world) count(stream string) int {
	w.t.Helper()
	s, err := w.conn.JetStream().Stream(context.Background(), stream)
	require.NoError(w.t, err)
	return int(s.CachedInfo().State.Msgs)
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !condition() {
		require.True(tb, time.Now().Before(deadline), "waited too long for: %s", what)
		<-time.After(10 * time.Millisecond)
	}
}

// awaitStored waits until a stream has n messages.
func (w *world) awaitStored(stream string, n int) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%d messages in %s", n, stream), func() bool { return w.count(stream) >= n })
}

// sourceIDs counts how often each id is there.
func sourceIDs(events []*eventv1.Event) map[string]int {
	ids := map[string]int{}
	for _, e := range events {
		ids[e.GetSourceId()]++
	}
	return ids
}

// requireExactly checks that sign-ins first to first+n-1 are there, each once.
func requireExactly(tb testing.TB, events []*eventv1.Event, first, n int) {
	tb.Helper()
	ids := sourceIDs(events)
	for i := first; i < first+n; i++ {
		id := fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)
		require.Equal(tb, 1, ids[id], "record %d", i)
		delete(ids, id)
	}
	require.Empty(tb, ids)
}

// position is the checkpointed sequence number of a partition, -1 if there is none.
func (w *world) position(group, partition string) int64 {
	w.t.Helper()
	kv, err := w.conn.JetStream().KeyValue(context.Background(), bus.BucketCheckpoints)
	require.NoError(w.t, err)
	e, err := kv.Get(context.Background(), bus.Key("position", namespace, hubName, strings.ToLower(group), partition))
	if err != nil {
		require.ErrorIs(w.t, err, jetstream.ErrKeyNotFound)
		return -1
	}
	var n int64
	_, err = fmt.Fscanf(bytes.NewReader(e.Value()), `{"sequence":%d,`, &n)
	require.NoError(w.t, err)
	return n
}

// limitEvents bounds what EVENTS keeps.
func limitEvents(maxBytes config.Bytes) func(*natsserver.Config) {
	return bustest.Limit(eventv1.EventStream, bus.Limits{MaxBytes: maxBytes})
}

// drainAsSink reads EVENTS as its required durable until n messages were seen. It counts each source id.
func (w *world) drainAsSink(t *testing.T, n int) map[string]int {
	t.Helper()
	consumer, err := bus.NewConsumer(w.bus.Connect(t, bus.UserSink), bus.DefaultConsumerConfig(),
		bus.ConsumerSettings{Stream: eventv1.EventStream, Durable: bus.UserSink})
	require.NoError(t, err)
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	var mu sync.Mutex
	seen, total := map[string]int{}, 0
	err = consumer.Run(ctx, func(_ context.Context, d *bus.Delivery) error {
		e, err := d.Event()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		seen[e.GetSourceId()]++
		if total++; total == n {
			stop()
		}
		return nil
	})
	require.NoError(t, err)
	return seen
}
