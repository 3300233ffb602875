package collector_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/runs"
	"github.com/entraflow/entraflow/pkg/seal"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/collector"
	"github.com/entraflow/entraflow/services/simulator/entra"
)

const (
	clientID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	secret   = "s3cret-value-of-the-application"
	cloud    = "simulator"
)

// world is a NATS server and Microsoft's side, both real and both in this process.
type world struct {
	tb     testing.TB
	bus    *bustest.Bus
	sim    *entra.Server
	http   *httptest.Server
	caFile string
	key    seal.Config
	sealer *seal.Sealer
	// gateway and operator are connections of those users.
	gateway, operator *bus.Conn
	store             *integrations.Store
	runs              *runs.Reader
	// tokens are those that Microsoft's side has seen.
	mu     sync.Mutex
	tokens map[string]struct{}
}

// newWorld has no tenant; Graph knows no limits.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	return newWorldWith(tb, clock.Real())
}

func newWorldWith(tb testing.TB, clk clock.Clock, change ...func(*entra.Config)) *world {
	tb.Helper()
	w := &world{tb: tb, tokens: map[string]struct{}{}}
	cfg := entra.DefaultConfig()
	cfg.Throttle.Mode = "off"
	cfg.Apps = []entra.AppConfig{{
		ClientID: clientID, Name: "entraflow", Secrets: []entra.SecretConfig{{Value: config.NewSecret(secret)}},
	}}
	if clk != clock.Real() {
		cfg.TokenLifetime = 30 * 24 * time.Hour // clients keep them by the real clock
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	w.sim, err = entra.New(cfg, entra.Settings{Clock: clk})
	require.NoError(tb, err)
	w.http = httptest.NewTLSServer(http.HandlerFunc(w.serve))
	w.http.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	tb.Cleanup(w.http.Close)
	w.caFile = filepath.Join(tb.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.http.Certificate().Raw})
	require.NoError(tb, os.WriteFile(w.caFile, certificate, 0o600))

	quick := func(c *natsserver.Config) { c.Topology.LeaseTTL = 10 * time.Second }
	w.bus = bustest.New(tb, quick)
	w.gateway, w.operator = w.bus.Connect(tb, bus.UserGateway), w.bus.Connect(tb, bus.UserOperator)
	w.key = seal.Config{KeyFile: filepath.Join(tb.TempDir(), "seal.key")}
	w.sealer, err = seal.Open(tb.Context(), w.key)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, w.sealer.Close()) })
	w.store, err = integrations.Open(tb.Context(), w.gateway, w.sealer)
	require.NoError(tb, err)
	w.runs, err = runs.OpenReader(tb.Context(), w.gateway)
	require.NoError(tb, err)
	return w
}

func (w *world) serve(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	if token := r.Header.Get("Authorization"); token != "" {
		w.tokens[token] = struct{}{}
	}
	w.mu.Unlock()
	w.sim.ServeHTTP(out, r)
}

// tenantConfig is a small tenant.
func tenantConfig(seed uint64) entra.TenantConfig {
	var c entra.TenantConfig
	c.SetDefaults()
	c.Seed, c.Users, c.Days = seed, 200, 10
	c.Rates.NonInteractive, c.Rates.ServicePrincipal = 2, 1
	return c
}

// addTenant makes a tenant in which the application may read everything.
func (w *world) addTenant(c entra.TenantConfig) string {
	w.tb.Helper()
	id, err := w.sim.AddTenant(c)
	require.NoError(w.tb, err)
	require.NoError(w.tb, w.sim.SetGrant(clientID, entra.GrantConfig{Tenant: id, Consents: entra.ReadPermissions()}))
	return id
}

func integration(tenantID string) *controlv1.Integration {
	return &controlv1.Integration{Connection: &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{
		TenantId: tenantID, ClientId: clientID, Cloud: cloud,
	}}}
}

func clientSecret(value string) *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: value}}
}

// connect adds an integration.
func (w *world) connect(id, tenantID string, change ...func(*controlv1.Integration)) integrations.Record {
	w.tb.Helper()
	i := integration(tenantID)
	for _, f := range change {
		f(i)
	}
	record, err := w.store.Create(context.Background(), id, i, clientSecret(secret))
	require.NoError(w.tb, err)
	return record
}

// config is quick to notice and to try again, and knows no limits.
func (w *world) config(change ...func(*collector.Config)) collector.Config {
	c := collector.DefaultConfig()
	c.NATS = w.bus.Server.Config(bus.UserCollector)
	c.Seal = w.key
	c.Instance = "one"
	c.BudgetScale = 0
	c.Clouds = map[string]collector.CloudConfig{cloud: {AuthorityURL: w.http.URL, GraphURL: w.http.URL, CAFile: w.caFile}}
	for _, f := range change {
		f(&c)
	}
	return c
}

// run is a collector that runs.
type run struct {
	tb       testing.TB
	registry *prometheus.Registry
	stop     context.CancelFunc
	done     chan error
	logs     *logs
}

// start runs a collector until the test ends or it is stopped.
func (w *world) start(cfg collector.Config, change ...func(*collector.Settings)) *run {
	w.tb.Helper()
	r := &run{tb: w.tb, registry: prometheus.NewRegistry(), done: make(chan error, 1), logs: &logs{}}
	set := collector.Settings{Settings: app.Settings{
		Logger: slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Registry: r.registry,
	}}
	for _, f := range change {
		f(&set)
	}
	c, err := collector.New(cfg, set)
	require.NoError(w.tb, err)
	ctx, stop := context.WithCancel(context.Background()) // stopped before the servers are
	r.stop = stop
	go func() { r.done <- c.Run(ctx) }()
	w.tb.Cleanup(r.wait)
	w.tb.Cleanup(func() {
		if w.tb.Failed() {
			w.tb.Log(r.logs.tail())
		}
	})
	select {
	case <-c.Ready():
	case err := <-r.done:
		require.NoError(w.tb, err)
		require.FailNow(w.tb, "the collector ended")
	case <-time.After(30 * time.Second):
		require.FailNow(w.tb, "the collector did not get ready")
	}
	return r
}

// wait stops the collector and waits for it; it may be called again.
func (r *run) wait() {
	r.tb.Helper()
	r.stop()
	if r.done == nil {
		return
	}
	select {
	case err := <-r.done:
		r.done = nil
		require.NoError(r.tb, err)
	case <-time.After(30 * time.Second):
		require.FailNow(r.tb, "the collector did not stop")
	}
}

// metric adds up the metric over all labels that match.
func (r *run) metric(name string, labels ...string) float64 {
	r.tb.Helper()
	families, err := r.registry.Gather()
	require.NoError(r.tb, err)
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

// logs collects what a collector says.
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

// tail is the end, for a test that failed.
func (l *logs) tail() string {
	const most = 6000
	text := l.String()
	return text[max(0, len(text)-most):]
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.Now().Add(3 * time.Minute) // of a machine that has much else to do
	for !condition() {
		require.True(tb, time.Now().Before(deadline), "waited too long for: %s", what)
		<-time.After(20 * time.Millisecond)
	}
}

func id(n int) string { return fmt.Sprintf("int-%s", strconv.Itoa(n)) }
