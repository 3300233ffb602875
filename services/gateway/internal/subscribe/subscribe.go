// Package subscribe answers Subscribe from the stream EVENTS.
//
// Each subscriber has an ephemeral consumer of its own that it pulls from, so that a slow client slows
// nobody else and nothing piles up here. It reads EVENTS and the object store blobs, and makes and
// deletes its consumers; it publishes, acknowledges and changes nothing.
package subscribe

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc"

	"github.com/entraflow/entraflow/pkg/config"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

// Config bounds a subscription.
type Config struct {
	// KeepAlive is the silence after which a client gets a response without events.
	KeepAlive time.Duration `yaml:"keep_alive"`
	// SendTimeout is how long a client may leave a response unread before it is cut off.
	SendTimeout time.Duration `yaml:"send_timeout"`
	// OutageTimeout is how long NATS may be away before a client is told.
	OutageTimeout time.Duration `yaml:"outage_timeout"`
	// BatchEvents and BatchBytes bound the events in one response; one event may be larger.
	BatchEvents int          `yaml:"batch_events"`
	BatchBytes  config.Bytes `yaml:"batch_bytes"`
	// Buffer and BufferBytes bound what is pulled ahead of a client. BufferBytes must hold the largest
	// message there can be.
	Buffer      int          `yaml:"buffer"`
	BufferBytes config.Bytes `yaml:"buffer_bytes"`
	// MaxRaw is the largest Event.raw that is read out of the object store; larger ones stay there.
	MaxRaw config.Bytes `yaml:"max_raw"`
}

const minBufferBytes = 9 * config.MiB // the largest message and its headers

// DefaultConfig suits clients on the internet.
func DefaultConfig() Config {
	return Config{
		KeepAlive: 15 * time.Second, SendTimeout: 30 * time.Second, OutageTimeout: time.Minute,
		BatchEvents: 256, BatchBytes: config.MiB, Buffer: 256, BufferBytes: 16 * config.MiB, MaxRaw: 16 * config.MiB,
	}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.KeepAlive > 0, "keep_alive", "must be positive")
	p.Check(c.SendTimeout > 0, "send_timeout", "must be positive")
	p.Check(c.OutageTimeout > 0, "outage_timeout", "must be positive")
	p.Check(c.BatchEvents > 0, "batch_events", "must be positive")
	p.Check(c.BatchBytes > 0, "batch_bytes", "must be positive")
	p.Check(c.Buffer > 0, "buffer", "must be positive")
	p.Check(c.BufferBytes >= minBufferBytes, "buffer_bytes", "must be at least %s, to hold the largest message", minBufferBytes)
	p.Check(c.MaxRaw > 0, "max_raw", "must be positive")
	return p.Err()
}

// Blobs loads raw records that are too large for a message.
type Blobs interface {
	Load(ctx context.Context, ref *eventv1.BlobReference) ([]byte, error)
}

// Settings are what the service gives to its subscriptions.
type Settings struct {
	JetStream jetstream.JetStream
	Blobs     Blobs
	Tokens    *token.Codec
	Metrics   Metrics
	Logger    *slog.Logger
}

// Server is the EventService.
type Server struct {
	controlv1.UnimplementedEventServiceServer

	cfg     Config
	set     Settings
	running sync.WaitGroup
}

// NewServer returns the EventService. cfg must be valid.
func NewServer(cfg Config, set Settings) *Server { return &Server{cfg: cfg, set: set} }

// Wait returns when nothing of any call is left. No call may begin any more.
func (s *Server) Wait() { s.running.Wait() }

// endGrace is how long a subscription may take to end when its call is over.
const endGrace = time.Second

// Subscribe streams events until the client cancels. The subscription works in a goroutine of its own,
// as only the end of the call ends a Send that the client does not read.
func (s *Server) Subscribe(
	req *controlv1.SubscribeRequest, stream grpc.ServerStreamingServer[controlv1.SubscribeResponse],
) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	tenants, err := caller.Tenants(ctx, req.GetTenantIds())
	if err != nil {
		return err
	}
	selected := newSelection(req.GetKinds(), tenants)
	feed, err := s.open(ctx, req, selected)
	if err != nil {
		return err
	}
	s.set.Metrics.Open.WithLabelValues().Inc()
	sub := &subscription{
		server: s, feed: feed, selected: selected, includeRaw: req.GetIncludeRaw(),
		send: stream.Send, stalled: make(chan struct{}),
	}
	done := make(chan error, 1)
	s.running.Go(func() {
		defer s.set.Metrics.Open.WithLabelValues().Dec()
		done <- sub.run(ctx)
	})
	select {
	case err := <-done:
		return err
	case <-sub.stalled:
		s.set.Metrics.Slow.WithLabelValues().Inc()
		return errSlow
	case <-ctx.Done():
		grace := time.NewTimer(endGrace)
		defer grace.Stop()
		select {
		case err := <-done:
			return err
		case <-grace.C:
			return context.Cause(ctx)
		}
	}
}
