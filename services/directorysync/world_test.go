package directorysync_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
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
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/directorysync"
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
	store  *integrations.Store
	runs   *runs.Reader
	// operator may read everything.
	operator *bus.Conn
}

// newWorld has no tenant; Graph knows no limits.
func newWorld(tb testing.TB, change ...func(*entra.Config)) *world {
	tb.Helper()
	w := &world{tb: tb}
	cfg := entra.DefaultConfig()
	cfg.Throttle.Mode = "off"
	cfg.Apps = []entra.AppConfig{{
		ClientID: clientID, Name: "entraflow", Secrets: []entra.SecretConfig{{Value: config.NewSecret(secret)}},
	}}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	w.sim, err = entra.New(cfg, entra.Settings{Clock: clock.Real()})
	require.NoError(tb, err)
	w.http = httptest.NewTLSServer(w.sim)
	w.http.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	tb.Cleanup(w.http.Close)
	w.caFile = filepath.Join(tb.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.http.Certificate().Raw})
	require.NoError(tb, os.WriteFile(w.caFile, certificate, 0o600))

	quick := func(c *natsserver.Config) { c.Topology.LeaseTTL = 4 * time.Second }
	w.bus = bustest.New(tb, quick)
	w.bus.Drain(tb, directoryv1.ObjectStream, bus.UserSink)
	gateway := w.bus.Connect(tb, bus.UserGateway)
	w.operator = w.bus.Connect(tb, bus.UserOperator)
	w.key = seal.Config{KeyFile: filepath.Join(tb.TempDir(), "seal.key")}
	sealer, err := seal.Open(tb.Context(), w.key)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, sealer.Close()) })
	w.store, err = integrations.Open(tb.Context(), gateway, sealer)
	require.NoError(tb, err)
	w.runs, err = runs.OpenReader(tb.Context(), gateway)
	require.NoError(tb, err)
	return w
}

// addTenant makes a tenant in which the application may read everything.
func (w *world) addTenant(c entra.TenantConfig) string {
	w.tb.Helper()
	id, err := w.sim.AddTenant(c)
	require.NoError(w.tb, err)
	require.NoError(w.tb, w.sim.SetGrant(clientID, entra.GrantConfig{Tenant: id, Consents: entra.ReadPermissions()}))
	return id
}

// tenantConfig is a small tenant without logs.
func tenantConfig(seed uint64) entra.TenantConfig {
	var c entra.TenantConfig
	c.SetDefaults()
	c.Seed, c.Users, c.Days = seed, 200, 1
	return c
}

// connect adds an integration.
func (w *world) connect(id, tenantID string) {
	w.tb.Helper()
	_, err := w.store.Create(context.Background(), id, &controlv1.Integration{Connection: &controlv1.Integration_Entra{
		Entra: &controlv1.EntraConnection{TenantId: tenantID, ClientId: clientID, Cloud: cloud},
	}}, &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: secret}})
	require.NoError(w.tb, err)
}

// config is quick to notice and to try again, and knows no limits.
func (w *world) config(change ...func(*directorysync.Config)) directorysync.Config {
	c := directorysync.DefaultConfig()
	c.NATS = w.bus.Server.Config(bus.UserDirectorySync)
	c.Seal = w.key
	c.Instance = "one"
	c.BudgetScale = 0
	c.Clouds = map[string]directorysync.CloudConfig{cloud: {AuthorityURL: w.http.URL, GraphURL: w.http.URL, CAFile: w.caFile}}
	c.Tenant.DeltaInterval, c.Tenant.WalkInterval = 200*time.Millisecond, 500*time.Millisecond
	for _, f := range change {
		f(&c)
	}
	return c
}

// run is a service that runs.
type run struct {
	tb       testing.TB
	registry *prometheus.Registry
	stop     context.CancelFunc
	done     chan error
	logs     *logs
}

// start runs the service until the test ends or it is stopped.
func (w *world) start(cfg directorysync.Config) *run {
	w.tb.Helper()
	r := &run{tb: w.tb, registry: prometheus.NewRegistry(), done: make(chan error, 1), logs: &logs{}}
	set := directorysync.Settings{Settings: app.Settings{
		Clock:  clock.Real(),
		Logger: slog.New(slog.NewTextHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Registry: r.registry,
	}}
	d, err := directorysync.New(cfg, set)
	require.NoError(w.tb, err)
	ctx, stop := context.WithCancel(context.Background()) // stopped before the servers are
	r.stop = stop
	go func() { r.done <- d.Run(ctx) }()
	w.tb.Cleanup(r.wait)
	w.tb.Cleanup(func() {
		if w.tb.Failed() {
			w.tb.Log(r.logs.tail())
		}
	})
	select {
	case <-d.Ready():
	case err := <-r.done:
		require.NoError(w.tb, err)
		require.FailNow(w.tb, "the service ended")
	case <-time.After(30 * time.Second):
		require.FailNow(w.tb, "the service did not get ready")
	}
	return r
}

// wait stops the service and waits for it; it may be called again.
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
		require.FailNow(r.tb, "the service did not stop")
	}
}

// logs keeps what a service logs.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// tail is the end of the log.
func (l *logs) tail() string {
	const most = 8 << 10
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.text.String()
	return all[max(0, len(all)-most):]
}
