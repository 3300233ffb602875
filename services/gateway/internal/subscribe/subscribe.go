// Package subscribe answers Subscribe from the stream EVENTS.
//
// One ephemeral consumer reads the whole stream into a ring while somebody subscribes, and each subscriber takes out of
// the ring what it chose: a message is received, read and encoded once, and equal filters are evaluated once. A
// subscriber that is further back than the ring, because it begins in the past or reads slowly, has a consumer of
// its own until it has caught up; so a slow client slows nobody else, and nothing piles up here. It reads EVENTS
// and the object store blobs, and makes and deletes its consumers; it publishes, acknowledges and changes nothing.
package subscribe

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
	"github.com/entraflow/entraflow/services/gateway/internal/expression"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
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
	// BatchEvents and BatchBytes bound the events in one response; one event may be larger. gRPC keeps a buffer
	// for each response that is not read yet: of 32 KiB, and if it does not fit of a MiB.
	BatchEvents int          `yaml:"batch_events"`
	BatchBytes  config.Bytes `yaml:"batch_bytes"`
	// Linger is the least time between two times that new events reach subscribers: what comes meanwhile
	// comes together. An event after a silence does not wait.
	Linger time.Duration `yaml:"linger"`
	// RingEvents and RingBytes bound the last events that are held for all subscribers. RingBytes are bytes of
	// the stream: read and encoded they may take four times as much. A subscriber that is further back needs a
	// consumer of its own.
	RingEvents int          `yaml:"ring_events"`
	RingBytes  config.Bytes `yaml:"ring_bytes"`
	// CatchUp bounds the subscribers that have a consumer of their own at once, as they read what is past; those of
	// one caller may be a fifth of it, and one at least. More wait, and are told after OutageTimeout.
	CatchUp int `yaml:"catch_up"`
	// Buffer and BufferBytes bound what a consumer pulls ahead. BufferBytes must hold the largest
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
		BatchEvents: 256, BatchBytes: 31 * config.KiB, Linger: 50 * time.Millisecond,
		RingEvents: 16_384, RingBytes: 64 * config.MiB, CatchUp: 100,
		Buffer: 256, BufferBytes: 16 * config.MiB, MaxRaw: 16 * config.MiB,
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
	p.Check(c.Linger >= 0 && c.Linger < c.KeepAlive, "linger", "must be 0 or more, and below keep_alive")
	p.Check(c.RingEvents > 0, "ring_events", "must be positive")
	p.Check(c.RingBytes > 0, "ring_bytes", "must be positive")
	p.Check(c.CatchUp > 0, "catch_up", "must be positive")
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

	cfg      Config
	set      Settings
	counted  counters
	compiler func() (*expression.Compiler, error)
	groups   groups
	slots    *slots // of feeds that catch up
	sealed   atomic.Pointer[sealed]
	running  sync.WaitGroup

	mu  sync.Mutex
	hub *hub // nil: nobody subscribes
}

// sealed is the last position of which a token was made: most subscribers are at the same.
type sealed struct {
	position position
	token    string
}

// NewServer returns the EventService. cfg must be valid.
func NewServer(cfg Config, set Settings) *Server {
	return &Server{
		cfg: cfg, set: set, counted: set.Metrics.counters(), compiler: sync.OnceValues(expression.NewCompiler),
		slots: newSlots(cfg.CatchUp),
	}
}

// Wait returns when nothing of any call is left. No call may begin any more.
func (s *Server) Wait() { s.running.Wait() }

func (s *Server) token(p position) string {
	if last := s.sealed.Load(); last != nil && last.position == p {
		return last.token
	}
	made := &sealed{position: p, token: p.token(s.set.Tokens)}
	s.sealed.Store(made)
	return made.token
}

// endGrace is how long a subscription may take to end when its call is over.
const endGrace = time.Second

// Subscribe streams events until the client cancels. The subscription works in a goroutine of its own,
// as only the end of the call ends a Send that the client does not read.
func (s *Server) Subscribe(
	req *controlv1.SubscribeRequest, stream grpc.ServerStreamingServer[controlv1.SubscribeResponse],
) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	sub, end, err := s.open(ctx, req)
	if err != nil {
		return err
	}
	sub.send = stream.Send
	s.set.Metrics.Open.WithLabelValues().Inc()
	done := make(chan error, 1)
	s.running.Go(func() {
		defer end()
		defer s.set.Metrics.Open.WithLabelValues().Dec()
		done <- s.guard(ctx, sub)
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

// guard runs a subscription, whose panic is its error.
func (s *Server) guard(ctx context.Context, sub *subscription) error {
	err := recovered(func() error { return sub.run(ctx) })
	if _, ok := errors.AsType[*panicked](err); ok {
		s.set.Metrics.Panics.WithLabelValues("subscription").Inc()
		if ctx.Err() != nil {
			// The call is over: nobody else tells.
			s.set.Logger.Error("subscription failed", slog.Any("err", err))
		}
	}
	return err
}

// open makes the subscription that a request asks for, at its place. The caller must call end once.
func (s *Server) open(ctx context.Context, req *controlv1.SubscribeRequest) (_ *subscription, end func(), err error) {
	tenants, err := caller.Tenants(ctx, req.GetTenantIds())
	if err != nil {
		return nil, nil, err
	}
	selected := newSelection(req.GetKinds(), tenants)
	begin, err := s.startOf(req)
	if err != nil {
		return nil, nil, err
	}
	group, leaveGroup, err := s.groups.enter(selected, req.GetFilter(), func() (*group, error) { return s.newGroup(selected, req.GetFilter()) })
	if err != nil {
		return nil, nil, err
	}
	hub, leaveHub, err := s.enter(ctx)
	if err != nil {
		leaveGroup()
		return nil, nil, err
	}
	identity, _ := grpcserver.Caller(ctx) // caller.Tenants has refused whoever has none
	sub := &subscription{
		server: s, hub: hub, group: group, includeRaw: req.GetIncludeRaw(), stalled: make(chan struct{}),
		feed: &feed{
			js: s.set.JetStream, cfg: s.cfg, subjects: selected.subjects(), start: begin, slots: s.slots, subject: identity.Subject,
		},
	}
	leave := func() {
		leaveHub()
		leaveGroup()
	}
	started := false
	defer func() {
		if !started { // after a panic too
			sub.feed.close(ctx)
			leave()
		}
	}()
	if err := sub.start(ctx); err != nil {
		return nil, nil, err
	}
	started = true
	return sub, leave, nil
}

// startOf reads where a subscription shall begin.
func (s *Server) startOf(req *controlv1.SubscribeRequest) (start, error) {
	if req.GetResumeToken() != "" {
		after, err := parsePosition(s.set.Tokens, req.GetResumeToken())
		return start{after: &after}, err
	}
	if req.GetStartTime() == nil {
		return start{}, nil
	}
	if err := req.GetStartTime().CheckValid(); err != nil {
		return start{}, errStartTime
	}
	return start{time: req.GetStartTime().AsTime()}, nil
}

// newGroup compiles a filter.
func (s *Server) newGroup(selected selection, filter string) (*group, error) {
	g := &group{selected: selected, unreadable: func(err error) {
		s.set.Metrics.Bad.WithLabelValues().Inc()
		s.set.Logger.Warn("message is no event", slog.String("stream", eventv1.EventStream), slog.Any("err", err))
	}}
	if filter == "" {
		return g, nil
	}
	compiler, err := s.compiler()
	if err != nil {
		return nil, err
	}
	g.filter, err = compiler.Compile(filter)
	if invalid, ok := errors.AsType[*expression.InvalidError](err); ok {
		return nil, failure.NewInvalid("filter", invalid.Error())
	}
	return g, err
}
