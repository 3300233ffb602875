// Package bustest gives a test a real NATS server with the topology of pkg/bus on a temporary
// directory. It ends with the test.
package bustest

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
)

// Bus is a server that a test owns.
type Bus struct {
	Server *natsserver.Server
	// Directory holds the store and the credentials; a test may start another server on it
	// once this one is shut down.
	Directory string
}

// New starts a server that listens on a free loopback port. It is shut down after the test's own clean-up.
func New(tb testing.TB, options ...func(*natsserver.Config)) *Bus {
	tb.Helper()
	return Open(tb, tb.TempDir(), options...)
}

// Open is New on a directory that may have been used before.
func Open(tb testing.TB, directory string, options ...func(*natsserver.Config)) *Bus {
	tb.Helper()
	cfg := natsserver.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	for _, option := range options {
		option(&cfg)
	}
	server, err := natsserver.New(cfg, natsserver.Settings{
		Store:       filepath.Join(directory, "store"),
		Credentials: filepath.Join(directory, "credentials"),
	})
	require.NoError(tb, err)
	require.NoError(tb, server.Start(tb.Context()))
	tb.Cleanup(server.Shutdown)
	return &Bus{Server: server, Directory: directory}
}

// Limit overrides what a stream keeps.
func Limit(stream string, limits bus.Limits) func(*natsserver.Config) {
	return func(cfg *natsserver.Config) {
		if cfg.Topology.Streams == nil {
			cfg.Topology.Streams = map[string]bus.Limits{}
		}
		cfg.Topology.Streams[stream] = limits
	}
}

// Connect connects as a user, in process; the service has the user's name. The connection is closed
// after the test.
func (b *Bus) Connect(tb testing.TB, user string) *bus.Conn {
	tb.Helper()
	return b.ConnectWith(tb, b.Server.Config(user), bus.Settings{Service: user, InProcess: b.Server})
}

// ConnectWith connects as the caller wants.
func (b *Bus) ConnectWith(tb testing.TB, cfg bus.Config, set bus.Settings) *bus.Conn {
	tb.Helper()
	conn, err := bus.Connect(tb.Context(), cfg, set)
	require.NoError(tb, err)
	tb.Cleanup(conn.Close)
	return conn
}

// Publisher returns a publisher that is closed after the test.
func Publisher(tb testing.TB, conn *bus.Conn) *bus.Publisher {
	tb.Helper()
	publisher, err := bus.NewPublisher(conn)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // the test's context has ended
		cancel()
		_ = publisher.Close(ctx) // what a test left in flight is its own affair
	})
	return publisher
}

// Drain plays a durable of a stream that acknowledges whatever comes, until the test ends or the function that it returns is
// called.
func (b *Bus) Drain(tb testing.TB, stream, durable string) (stop func()) {
	tb.Helper()
	consumer, err := bus.NewConsumer(b.Connect(tb, durable), bus.DefaultConsumerConfig(), bus.ConsumerSettings{Stream: stream, Durable: durable})
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- consumer.Run(ctx, func(context.Context, *bus.Delivery) error { return nil })
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(tb, <-ended)
		})
	}
	tb.Cleanup(stop)
	return stop
}
