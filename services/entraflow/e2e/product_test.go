package e2e_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
)

// product is `entraflow up`: everything but the hub in one process.
type product struct {
	*world
	up      *program
	dataDir string
	gateway string // host:port of the gRPC gateway
	rest    string // that of its HTTP
}

// newProduct configures the product, with more of the section entraflow and other sections of its own, and
// starts nothing. The context ends with the test or when a program ends by itself.
func newProduct(t *testing.T, own, others map[string]any) (context.Context, *product) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	p := &product{
		world: &world{
			hub: &hub{}, dir: dir, credentials: filepath.Join(data, "credentials"),
			natsAddress: freeAddress(t), storeAddress: freeAddress(t),
			storeUser: "reader", storePassword: filepath.Join(data, "credentials", "clickhouse.password"),
		},
		dataDir: data, gateway: freeAddress(t), rest: freeAddress(t),
	}
	p.up = p.program(t, "entraflow", cancel)
	section := map[string]any{
		"data_dir": data, "nats": map[string]any{"listen": p.natsAddress},
		"clickhouse": map[string]any{"listen": p.storeAddress},
	}
	maps.Copy(section, own)
	sections := map[string]any{
		"entraflow": section, "gateway": map[string]any{
			"grpc": map[string]any{"address": p.gateway}, "http": map[string]any{"address": p.rest},
		},
	}
	maps.Copy(sections, others)
	p.up.command.Args = []string{"up"}
	p.up.service(t, dir, "entraflow", sections)
	return ctx, p
}

// withHub starts a simulated hub in a process of its own and makes the product read it.
func (p *product) withHub(ctx context.Context, t *testing.T) {
	t.Helper()
	p.simulator = p.program(t, "simulator", func(err error) { p.up.fail(err) })
	p.startSimulator(ctx, t, nil)
	streaming := map[string]any{"hubs": []any{p.hubConfig()}}
	if impatient {
		streaming["checkpoint_interval"] = "200ms"
	}
	p.up.configure(t, "streamer", streaming)
}

// configure adds a section to the config of a program.
func (p *program) configure(t *testing.T, name string, section any) {
	t.Helper()
	file := p.command.Args[len(p.command.Args)-1]
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	sections := map[string]any{}
	require.NoError(t, json.Unmarshal(text, &sections))
	sections[name] = section
	text, err = json.Marshal(sections)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
}

// start starts the product and waits until it works; the first time it signs in to its NATS, too.
func (p *product) start(ctx context.Context, t *testing.T) {
	t.Helper()
	require.NoError(t, p.up.start(ctx))
	require.NoError(t, p.up.ready(ctx))
	if p.operator == nil {
		p.connect(ctx, t)
		p.up.token = p.secret(t, "admin.token")
		return
	}
	require.NoError(t, eventually(ctx, "the connection to NATS", func() (bool, error) {
		_, err := p.operator.JetStream().Stream(ctx, "EVENTS")
		return err == nil, err
	}))
}

// secret reads a file of the credentials.
func (p *product) secret(t *testing.T, name string) string {
	t.Helper()
	secret, err := config.ReadSecret(filepath.Join(p.credentials, name))
	require.NoError(t, err)
	return secret.Reveal()
}

// password is a NATS user's.
func (p *product) password(t *testing.T, user string) string {
	t.Helper()
	return p.secret(t, filepath.Base(natsserver.PasswordFile(p.credentials, user)))
}
