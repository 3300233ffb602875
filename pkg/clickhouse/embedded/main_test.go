package embedded_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/config"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := runChild(dir, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1) //nolint:forbidigo // this is the main of the child
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	writer, writerPassword = "writer", "write-secret"
	reader, readerPassword = "reader", "read-secret"
)

// openEngine opens the engine that a process may have, for the duration of a test.
func openEngine(t *testing.T, change ...func(*embedded.Config)) *embedded.Engine {
	t.Helper()
	cfg := embedded.DefaultConfig()
	cfg.DataDir = t.TempDir()
	for _, apply := range change {
		apply(&cfg)
	}
	engine, err := embedded.Open(t.Context(), cfg, embedded.Settings{Users: []embedded.User{
		{Name: writer, Password: config.NewSecret(writerPassword)},
		{Name: reader, Password: config.NewSecret(readerPassword), ReadOnly: true},
	}})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		require.NoError(t, engine.Close(ctx))
	})
	return engine
}

// connect returns a clickhouse-go connection to the engine in this process.
func connect(t *testing.T, engine *embedded.Engine) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol: clickhouse.HTTP,
		Addr:     []string{"embedded:0"},
		TransportFunc: func(*http.Transport) (http.RoundTripper, error) {
			return embedded.RoundTripper(engine), nil
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// dial returns a clickhouse-go connection over HTTP.
func dial(t *testing.T, server *httptest.Server, change ...func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	options := &clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{server.Listener.Addr().String()},
		Auth: clickhouse.Auth{Username: writer, Password: writerPassword},
	}
	for _, apply := range change {
		apply(options)
	}
	conn, err := clickhouse.Open(options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// serve serves the engine on a loopback listener.
func serve(t *testing.T, engine *embedded.Engine) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	return server
}
