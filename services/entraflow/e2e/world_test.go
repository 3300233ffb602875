package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/streamer"
)

// world is every part of the product as a process of its own.
type world struct {
	hub       *hub
	simulator *program
	nats      *program
	store     *program
	sink      *program
	streamers []*program
	// tenant is how to reach a simulated tenant; collectors read it.
	tenant     simulatedTenant
	collectors []*program
	// directories keep the tenant's directory.
	directories []*program

	dir           string
	credentials   string // the folder of NATS passwords
	natsAddress   string
	storeAddress  string
	storeUser     string
	storePassword string    // the file
	operator      *bus.Conn // as whoever looks after it
}

// options say how a world differs from the usual.
type options struct {
	// streamers is their number; 0 is one.
	streamers int
	// eventBytes limits the stream EVENTS; 0 is the topology's limit.
	eventBytes int
	// tenant makes the simulator have a tenant instead of being read by streamers, and collectors read it.
	tenant     *tenantOptions
	collectors int
	// directories is how many replicas keep the tenant's directory.
	directories int
	// leaseTTL is how long a lease outlives its holder; 0 is the topology's.
	leaseTTL time.Duration
}

// newWorld starts everything but streamers and sink, and returns a context that ends with the test or
// when a program ends by itself, which is then its cause.
func newWorld(t *testing.T, o options) (context.Context, *world) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	dir := t.TempDir()
	w := &world{
		hub: &hub{}, dir: dir, credentials: filepath.Join(dir, "credentials"),
		natsAddress: freeAddress(t), storeAddress: freeAddress(t),
		storeUser: "entraflow", storePassword: filepath.Join(dir, "store", "password"),
	}
	w.simulator = w.program(t, "simulator", cancel)
	w.nats = w.program(t, "nats", cancel)
	w.store = w.program(t, "store", cancel)
	w.sink = w.program(t, "sink", cancel)
	streamers := max(o.streamers, 1)
	if o.tenant != nil {
		streamers = 0
		for i := range o.collectors {
			w.collectors = append(w.collectors, w.program(t, fmt.Sprintf("collector-%d", i), cancel))
		}
		for i := range o.directories {
			w.directories = append(w.directories, w.program(t, fmt.Sprintf("directory-%d", i), cancel))
		}
	}
	for i := range streamers {
		w.streamers = append(w.streamers, w.program(t, fmt.Sprintf("streamer-%d", i), cancel))
	}
	w.startSimulator(ctx, t, o.tenant)
	w.nats.command.Path = filepath.Join(programs, "nats-embedded")
	w.nats.command.Args = []string{
		"--store", filepath.Join(w.dir, "nats"), "--credentials", w.credentials, "--listen", w.natsAddress,
		"--events-max-bytes", strconv.Itoa(o.eventBytes), "--lease-ttl", o.leaseTTL.String(),
	}
	w.store.command.Path = filepath.Join(programs, "clickhouse-embedded")
	w.store.command.Args = []string{"--data-dir", filepath.Join(w.dir, "store"), "--listen", w.storeAddress}
	require.NoError(t, w.nats.start(ctx))
	require.NoError(t, w.store.start(ctx))
	require.NoError(t, w.nats.announced(ctx))
	require.NoError(t, w.store.announced(ctx))

	w.connect(ctx, t)
	w.configureStreamers(t)
	w.configureCollectors(t, o.tenant)
	w.configureDirectories(t)
	w.configureSink(t)
	return ctx, w
}

func (w *world) program(t *testing.T, name string, cancel context.CancelCauseFunc) *program {
	t.Helper()
	return newProgram(t, w.dir, name, func(err error) { cancel(err) })
}

// connect connects as the operator until the test ends.
func (w *world) connect(ctx context.Context, t *testing.T) {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.URL, cfg.User = "nats://"+w.natsAddress, bus.UserOperator
	var err error
	cfg.Password, err = config.ReadSecret(natsserver.PasswordFile(w.credentials, bus.UserOperator))
	require.NoError(t, err)
	w.operator, err = bus.Connect(ctx, cfg, bus.Settings{Service: "e2e"})
	require.NoError(t, err)
	t.Cleanup(w.operator.Close)
}

func (w *world) startSimulator(ctx context.Context, t *testing.T, tenant *tenantOptions) {
	t.Helper()
	if tenant != nil {
		w.startTenant(ctx, t, tenant)
		return
	}
	w.simulator.command.Path = filepath.Join(programs, "simulator")
	w.simulator.command.Args = []string{
		"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--admin-address", "",
		"--hub", fmt.Sprintf("%s:%d", hubName, partitions), "--retention-bytes", "1GiB",
	}
	require.NoError(t, w.simulator.start(ctx))
	require.NoError(t, w.simulator.process.Announced(ctx, w.hub))
}

// natsConfig is how a service reaches NATS.
func (w *world) natsConfig(user string) map[string]any {
	return map[string]any{
		"url": "nats://" + w.natsAddress, "user": user, "password_file": natsserver.PasswordFile(w.credentials, user),
	}
}

// service completes a program that has a config file and an admin server.
func (p *program) service(t *testing.T, dir, name string, sections map[string]any) {
	t.Helper()
	p.admin = freeAddress(t)
	sections["app"] = map[string]any{"admin": map[string]any{"address": p.admin}}
	text, err := json.Marshal(sections) // JSON is YAML
	require.NoError(t, err)
	file := filepath.Join(dir, p.name+".yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	p.command.Path = filepath.Join(programs, name)
	p.command.Args = append(p.command.Args, "--config", file)
}

// hubConfig is the hub as the streamer is told of it.
func (w *world) hubConfig() map[string]any {
	return map[string]any{
		"integration": "contoso", "tenants": []string{tenant}, "event_hub": hubName,
		"connection_string": w.hub.ConnectionString,
	}
}

// configureStreamers names the first replica, which so has its partitions back at once after a crash;
// the others wait until the claims of the one that crashed expire.
func (w *world) configureStreamers(t *testing.T) {
	t.Helper()
	for i, p := range w.streamers {
		section := map[string]any{"nats": w.natsConfig(bus.UserStreamer), "hubs": []any{w.hubConfig()}}
		if i == 0 {
			section["instance"] = p.name
		}
		if impatient {
			section["claim_interval"], section["claim_expiry"] = "200ms", "1500ms"
			section["stall_timeout"], section["checkpoint_interval"] = "5s", "200ms"
			section["back_off"] = map[string]any{"first": "50ms", "last": "500ms"}
		}
		p.service(t, w.dir, "streamer", map[string]any{"streamer": section})
	}
}

// storeConfig is how a service reaches ClickHouse.
func (w *world) storeConfig() map[string]any {
	return map[string]any{
		"dsn": "http://" + w.storeAddress, "username": w.storeUser, "password_file": w.storePassword,
		"embedded": map[string]any{"data_dir": "unused"},
	}
}

func (w *world) configureSink(t *testing.T) {
	t.Helper()
	section := map[string]any{
		"nats":       w.natsConfig(bus.UserSink),
		"clickhouse": w.storeConfig(),
	}
	if impatient {
		section["retry"] = map[string]any{"first": "100ms", "max": "1s"}
	}
	w.sink.service(t, w.dir, "sink", map[string]any{"sink": section})
}

// startServices starts streamers and sink and waits until they work.
func (w *world) startServices(ctx context.Context) error {
	for _, p := range w.services() {
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	return w.servicesReady(ctx)
}

func (w *world) servicesReady(ctx context.Context) error {
	var errs []error
	for _, p := range w.services() {
		errs = append(errs, p.ready(ctx))
	}
	return errors.Join(errs...)
}

func (w *world) services() []*program {
	return slices.Concat([]*program{w.sink}, w.streamers, w.collectors, w.directories)
}

// announced waits for the line by which a program says that it is ready.
func (p *program) announced(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	p.mu.Lock()
	process := p.process
	p.mu.Unlock()
	var line json.RawMessage
	return process.Announced(ctx, &line)
}

// positions says how far each partition is checkpointed.
func (w *world) positions(ctx context.Context) (map[string]int64, error) {
	h := streamer.DefaultHub()
	h.EventHub, h.ConnectionString = hubName, config.NewSecret(w.hub.ConnectionString)
	return streamer.Positions(ctx, w.operator.JetStream(), h)
}

// waitTimeout bounds one question to a part that may be away.
const waitTimeout = 5 * time.Second
