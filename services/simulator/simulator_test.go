package simulator_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/app/apptest"
	"github.com/entraflow/entraflow/services/simulator"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(app.MainCommand(simulator.Command)) //nolint:forbidigo // this process is the simulator
	}
	// The SDK does not wait for the goroutine that renews the claim of its management link.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(
		"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2/internal.(*Namespace).startNegotiateClaimRenewer.func3"))
}

// start runs a simulator with the test and returns how to reach it.
func start(t *testing.T, cfg simulator.Config) simulator.Announcement {
	t.Helper()
	announced := make(chan simulator.Announcement, 1)
	s, err := simulator.New(cfg, simulator.Settings{
		Settings: apptest.Settings(t), Announce: func(a simulator.Announcement) { announced <- a },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	select {
	case <-s.Ready():
	case err := <-done:
		done <- err
		t.Fatalf("simulator ended: %v", err)
	}
	return <-announced
}

func anyPort() simulator.Config {
	cfg := simulator.DefaultConfig()
	cfg.Listen = simulator.ListenConfig{AMQP: "127.0.0.1:0", Admin: "127.0.0.1:0"}
	return cfg
}

func TestListensOnAll(t *testing.T) {
	cfg := anyPort()
	folder := t.TempDir()
	cfg.Listen.AMQPS, cfg.Listen.WS, cfg.Listen.WSS = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Listen.TokenStub, cfg.Listen.FakeARM = "127.0.0.1:0", "127.0.0.1:0"
	cfg.TLS.CAOut, cfg.TLS.KeyOut = filepath.Join(folder, "ca.pem"), filepath.Join(folder, "key.pem")
	cfg.Replay.Path = filepath.Join(folder, "r.ndjson")
	require.NoError(t, os.WriteFile(cfg.Replay.Path, []byte("{}\n"), 0o600))
	a := start(t, cfg)
	for name, address := range map[string]string{"amqp": a.AMQP, "amqps": a.AMQPS, "ws": a.WS, "wss": a.WSS, "admin": a.Admin, "arm": a.FakeARM} {
		require.NotEmpty(t, address, name)
	}
	info, err := os.Stat(cfg.TLS.KeyOut)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	pem, err := os.ReadFile(a.CAFile)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))

	secure, _, _ := strings.Cut(a.ConnectionString, ";UseDevelopmentEmulator")
	secure = strings.Replace(secure, a.AMQP, "localhost", 1)
	for name, consumer := range map[string]struct {
		connection string
		opts       azeventhubs.ConsumerClientOptions
	}{
		"plain": {connection: a.ConnectionString},
		"tls": {connection: secure, opts: azeventhubs.ConsumerClientOptions{
			CustomEndpoint: a.AMQPS, TLSConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		}},
	} {
		client, err := azeventhubs.NewConsumerClientFromConnectionString(consumer.connection, "entra", "$Default", &consumer.opts)
		require.NoError(t, err, name)
		reader, err := client.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: new(true)}})
		require.NoError(t, err)
		events, err := reader.ReceiveEvents(t.Context(), 1, nil)
		require.NoError(t, err, name)
		require.JSONEq(t, `{"records":[{}]}`, string(events[0].Body))
		require.NoError(t, reader.Close(t.Context()))
		require.NoError(t, client.Close(t.Context()))
	}
	get := func(token string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Admin+"/v1/state", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusOK, get(a.AdminToken))
	require.Equal(t, http.StatusUnauthorized, get(""))
	http.DefaultClient.CloseIdleConnections()
}

func TestAddressInUse(t *testing.T) {
	a := start(t, anyPort())
	cfg := anyPort()
	cfg.Listen.Admin = a.Admin
	s, err := simulator.New(cfg, simulator.Settings{Settings: apptest.Settings(t)})
	require.NoError(t, err)
	require.ErrorContains(t, s.Run(t.Context()), "listening for admin")
}

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		change func(*simulator.Config)
		want   string
	}{
		"default":          {func(*simulator.Config) {}, ""},
		"not on loopback":  {func(c *simulator.Config) { c.Listen.AMQP = "0.0.0.0:5672" }, "listen.amqp"},
		"remote on demand": {func(c *simulator.Config) { c.Listen.AMQP, c.AllowRemote = "0.0.0.0:5672", true }, ""},
		"half a pair":      {func(c *simulator.Config) { c.TLS.CertFile = "x" }, "tls"},
		"no namespace":     {func(c *simulator.Config) { c.Namespaces = nil }, "eventhubs"},
		"tokens":           {func(c *simulator.Config) { c.Tokens = "some" }, "tokens"},
		"negative rate":    {func(c *simulator.Config) { c.Replay.Rate = -1 }, "replay.rate"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := simulator.DefaultConfig()
			tt.change(&cfg)
			err := cfg.Validate()
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestHubSpec(t *testing.T) {
	for _, text := range []string{"a:4", "a:4:x,y", "a:1::geo", "a:2:x:geo"} {
		var h simulator.HubSpec
		require.NoError(t, h.UnmarshalText([]byte(text)))
		again, err := h.MarshalText()
		require.NoError(t, err)
		require.Equal(t, text, string(again))
	}
	for _, text := range []string{"", "a", "a:x", "a:1::other", "a:1:b:geo:x"} {
		var h simulator.HubSpec
		require.Error(t, h.UnmarshalText([]byte(text)), text)
	}
}

// TestCommand runs the command line and reads its announcement.
func TestCommand(t *testing.T) {
	out, in := io.Pipe()
	signals := make(chan os.Signal, 1)
	var log bytes.Buffer
	p := app.Process{
		Args: []string{
			"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--admin-token", "t0ken", "--key", "c2VjcmV0",
			"--hub", "one:1:g", "--hub", "two:2", "--retention-bytes", "1MiB",
		},
		Stdout: in, Stderr: &log, Signals: signals,
	}
	code := make(chan int, 1)
	go func() { code <- app.Execute(context.WithoutCancel(t.Context()), p, simulator.Command(p)) }()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	var a simulator.Announcement
	require.NoError(t, json.Unmarshal(line, &a))
	require.Equal(t, "t0ken", a.AdminToken)
	require.Contains(t, a.ConnectionString, "SharedAccessKey=c2VjcmV0")
	client, err := azeventhubs.NewConsumerClientFromConnectionString(a.ConnectionString, "two", "$Default", nil)
	require.NoError(t, err)
	props, err := client.GetEventHubProperties(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1"}, props.PartitionIDs)
	require.NoError(t, client.Close(t.Context()))
	signals <- os.Interrupt
	select {
	case got := <-code:
		require.Equal(t, app.ExitClean, got, log.String())
	case <-time.After(20 * time.Second):
		t.Fatal("the command does not end")
	}
	require.NotContains(t, log.String(), "t0ken")
	require.NotContains(t, log.String(), "c2VjcmV0")
}
