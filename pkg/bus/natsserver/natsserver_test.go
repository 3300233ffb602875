package natsserver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/lifecycle/lifecycletest"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func settings(t *testing.T) natsserver.Settings {
	t.Helper()
	dir := t.TempDir()
	return natsserver.Settings{Store: filepath.Join(dir, "store"), Credentials: filepath.Join(dir, "credentials")}
}

func TestCredentials(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "credentials")
	first, err := natsserver.Credentials(dir)
	require.NoError(t, err)
	require.Len(t, first, len(bus.Users()))
	seen := map[string]bool{}
	for user, password := range first {
		require.GreaterOrEqual(t, len(password.Reveal()), 26, user)
		require.False(t, seen[password.Reveal()])
		seen[password.Reveal()] = true
		info, err := os.Stat(natsserver.PasswordFile(dir, user))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	again, err := natsserver.Credentials(dir)
	require.NoError(t, err)
	for user := range first {
		require.True(t, first[user].Equal(again[user]), user)
	}
	require.NoError(t, os.WriteFile(natsserver.PasswordFile(dir, bus.UserSink), nil, 0o600))
	_, err = natsserver.Credentials(dir)
	require.ErrorContains(t, err, "is empty")
	require.NoError(t, os.Chmod(natsserver.PasswordFile(dir, bus.UserSink), 0o640))
	_, err = natsserver.Credentials(dir)
	require.ErrorIs(t, err, config.ErrSecretFile)
}

func TestValidate(t *testing.T) {
	require.NoError(t, natsserver.DefaultConfig().Validate())
	_, err := natsserver.New(natsserver.Config{Listen: "nowhere", Durability: "luck", Topology: bus.Options{
		Replicas: 9, Streams: map[string]bus.Limits{"EVENTS": {MaxBytes: 1}, "NOTHING": {}},
	}}, natsserver.Settings{})
	require.EqualError(t, err, "embedding nats: listen: must be host:port\ndurability: must be process or power\n"+
		"topology.replicas: must be 0 to 5\ntopology.streams.EVENTS.max_bytes: must be at least 32MiB\ntopology.streams.NOTHING: is no stream")
}

func TestOneServerAStore(t *testing.T) {
	b := bustest.New(t)
	cfg := natsserver.DefaultConfig()
	cfg.Listen = ""
	second, err := natsserver.New(cfg, natsserver.Settings{
		Store: filepath.Join(b.Directory, "store"), Credentials: filepath.Join(b.Directory, "credentials"),
	})
	require.NoError(t, err)
	require.ErrorIs(t, second.Start(t.Context()), natsserver.ErrStoreInUse)
	b.Server.Shutdown()
	again, err := natsserver.New(cfg, natsserver.Settings{
		Store: filepath.Join(b.Directory, "store"), Credentials: filepath.Join(b.Directory, "credentials"),
	})
	require.NoError(t, err)
	require.NoError(t, again.Start(t.Context()))
	defer again.Shutdown()
	require.Empty(t, again.URL())
}

func TestPortInUse(t *testing.T) {
	b := bustest.New(t)
	cfg := natsserver.DefaultConfig()
	cfg.Listen = strings.TrimPrefix(b.Server.URL(), "nats://")
	server, err := natsserver.New(cfg, settings(t))
	require.NoError(t, err)
	require.ErrorContains(t, server.Start(t.Context()), "address already in use")
}

func TestPowerDurability(t *testing.T) {
	b := bustest.New(t, func(c *natsserver.Config) { c.Durability = natsserver.DurabilityPower })
	publisher := bustest.Publisher(t, b.Connect(t, bus.UserStreamer))
	_, err := publisher.Publish(t.Context(), &eventv1.Event{Kind: "signin", TenantId: "t"}, bus.PublishOptions{})
	require.NoError(t, err)
}

func TestLifecycle(t *testing.T) {
	lifecycletest.Run(t, func(t *testing.T) lifecycle.Service {
		t.Helper()
		cfg := natsserver.DefaultConfig()
		cfg.Listen = "127.0.0.1:0"
		server, err := natsserver.New(cfg, settings(t))
		require.NoError(t, err)
		return server
	})
}

// process is cmd/nats-embedded.
type process struct {
	*exec.Cmd
	url string
}

func start(t *testing.T, program string, set natsserver.Settings, listen string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), program, "-store", set.Store, "-credentials", set.Credentials, "-listen", listen)}
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = p.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	var ready struct{ URL string }
	require.NoError(t, json.Unmarshal(line, &ready))
	p.url = ready.URL
	return p
}

func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "nats-embedded")
	text, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/nats-embedded").CombinedOutput()
	require.NoError(t, err, string(text))
	return program
}

// Every acknowledged message is there after the server was killed, and each once.
func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	program, set := build(t), settings(t)
	server := start(t, program, set, "127.0.0.1:0")
	password, err := config.ReadSecret(natsserver.PasswordFile(set.Credentials, bus.UserStreamer))
	require.NoError(t, err)
	cfg := bus.DefaultConfig()
	cfg.URL, cfg.User, cfg.Password = server.url, bus.UserStreamer, password
	conn, err := bus.Connect(t.Context(), cfg, bus.Settings{Service: bus.UserStreamer})
	require.NoError(t, err)
	defer conn.Close()
	publisher, err := bus.NewPublisher(conn)
	require.NoError(t, err)

	const messages, kills = 60_000, 3
	var publishing sync.WaitGroup
	batch := publisher.NewBatch()
	quarters := make(chan struct{})
	publishing.Go(func() {
		for n := range messages {
			if n%(messages/(kills+1)) == messages/(kills+1)-1 && n < messages-1 {
				quarters <- struct{}{}
			}
			e := &eventv1.Event{Kind: "signin", TenantId: "t", Raw: make([]byte, 500)}
			assert.NoError(t, batch.Publish(t.Context(), e, bus.PublishOptions{MessageID: bus.HubMessageID("n", "h", "0", int64(n), 0)}))
		}
	})
	for range kills {
		<-quarters
		require.NoError(t, server.Process.Kill())
		_ = server.Wait()
		server = start(t, program, set, strings.TrimPrefix(server.url, "nats://"))
	}
	publishing.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, batch.Wait(ctx))
	require.NoError(t, publisher.Close(ctx))
	stream, err := conn.JetStream().Stream(ctx, "EVENTS")
	require.NoError(t, err)
	require.EqualValues(t, messages, stream.CachedInfo().State.Msgs)

	require.NoError(t, server.Process.Signal(syscall.SIGTERM))
	require.NoError(t, server.Wait(), "SIGTERM ends it cleanly")
	require.Eventually(t, func() bool { return conn.NATS().Status() != nats.CONNECTED }, 10*time.Second, 10*time.Millisecond)
}
