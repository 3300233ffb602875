package bus

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
)

const (
	// A stream closes its gate when the part of MaxBytes or MaxAge that a required durable has
	// not acknowledged reaches closeUnread per cent, or all it holds closeFull: what was read
	// leaves only while the trimming service works. It opens again below the other two.
	closeUnread, openUnread = 80, 70
	closeFull, openFull     = 92, 85
	// gateTimeout bounds one look at a stream.
	gateTimeout = 5 * time.Second
)

// GateConfig says how a Gate looks at its streams.
type GateConfig struct {
	// Interval is how often the streams are looked at.
	Interval time.Duration `yaml:"interval"`
}

// DefaultGateConfig looks four times a second.
func DefaultGateConfig() GateConfig { return GateConfig{Interval: 250 * time.Millisecond} }

// Validate names every fault by its key.
func (c GateConfig) Validate() error {
	var p config.Problems
	p.Check(c.Interval >= 10*time.Millisecond, "interval", "must be at least 10ms")
	return p.Err()
}

// Gate tells a producer when not to take more from its source, because a required durable has
// fallen so far behind that its stream is nearly full of what it has not read, or nearly too old. The
// backlog then waits where it is, in the hub or in Graph. What several producers publish between
// two looks is no matter: the stream itself refuses what does not fit, see Ensure and trimmer.
//
// Gate is safe for concurrent use.
type Gate struct {
	cfg     GateConfig
	conn    *Conn
	streams []*gatedStream

	mu     sync.Mutex
	opened chan struct{} // closed while open
	open   bool
}

type gatedStream struct {
	Stream
	closed bool
	// floor is how far every required durable had acknowledged at the last look; Gate.mu guards it.
	floor uint64
}

// NewGate returns a gate before the streams of the topology, closed until Run has looked at them.
func NewGate(conn *Conn, cfg GateConfig, streams ...string) (*Gate, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("making gate: %w", err)
	}
	g := &Gate{cfg: cfg, conn: conn, opened: make(chan struct{})}
	for _, name := range streams {
		stream, ok := FindStream(name)
		if !ok {
			return nil, fmt.Errorf("making gate: no stream %q in the topology", name)
		}
		g.streams = append(g.streams, &gatedStream{Stream: stream, closed: true})
	}
	return g, nil
}

// Run looks at the streams until ctx is done; it returns nil. While a stream cannot be looked at its
// state stays what it was.
func (g *Gate) Run(ctx context.Context) error {
	ticker := time.NewTicker(g.cfg.Interval)
	defer ticker.Stop()
	first := true
	for {
		all := true
		for _, s := range g.streams {
			if err := g.look(ctx, s, first); err != nil {
				all = false
				g.conn.set.Logger.Debug("looking at a stream failed", slog.String("stream", s.Name), slog.Any("err", err))
			}
		}
		first = first && !all
		g.set()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Wait returns nil once the gate is open, at once if it is, else ctx's error.
func (g *Gate) Wait(ctx context.Context) error {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	select {
	case <-opened:
		return ctx.Err()
	case <-ctx.Done():
		return fmt.Errorf("waiting at the gate: %w", context.Cause(ctx))
	}
}

// Open reports whether the gate is open.
func (g *Gate) Open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// Floor returns how far every required durable of a stream of the gate had acknowledged when it was last looked at; 0 before
// the first look.
func (g *Gate) Floor(stream string) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.streams {
		if s.Name == stream {
			return s.floor
		}
	}
	return 0
}

// set opens or closes the gate as its streams say.
func (g *Gate) set() {
	open := true
	for _, s := range g.streams {
		open = open && !s.closed
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case open && !g.open:
		close(g.opened)
	case !open && g.open:
		g.opened = make(chan struct{})
	}
	g.open = open
}

func (g *Gate) look(ctx context.Context, s *gatedStream, first bool) error {
	ctx, cancel := context.WithTimeout(ctx, gateTimeout)
	defer cancel()
	load, err := loadOf(ctx, g.conn, s.Stream)
	if err != nil {
		return err
	}
	g.mu.Lock()
	s.floor = load.floor
	g.mu.Unlock()
	closed := load.unread >= closeUnread || load.age >= closeUnread || load.full >= closeFull
	if s.closed && !first {
		closed = load.unread > openUnread || load.age > openUnread || load.full > openFull
	}
	if closed == s.closed && !first {
		return nil
	}
	changed := closed != s.closed
	s.closed = closed
	state := 0.0
	if closed {
		state = 1
	}
	g.conn.metrics.gateClosed.WithLabelValues(g.conn.set.Service, s.Name).Set(state)
	g.log(s, load, changed && !first)
	return nil
}

// log says that the gate changed; that it opens at the start is nothing to tell.
func (g *Gate) log(s *gatedStream, load load, changed bool) {
	attrs := []any{
		slog.String("stream", s.Name), slog.Int64("unread_percent", load.unread),
		slog.Int64("age_percent", load.age), slog.Int64("full_percent", load.full),
	}
	switch {
	case s.closed:
		g.conn.set.Logger.Warn("gate closed: a reader is too far behind", attrs...)
	case changed:
		g.conn.set.Logger.Info("gate opened", attrs...)
	}
}

// load is how much of its limits a stream has used, in per cent.
type load struct {
	unread int64 // of MaxBytes, by messages that some required durable has not acknowledged
	full   int64 // of MaxBytes, by all messages
	age    int64 // of MaxAge, by the oldest unread message
	floor  uint64
}

func loadOf(ctx context.Context, conn *Conn, s Stream) (load, error) {
	stream, err := conn.js.Stream(ctx, s.Name) // asks for its info
	if err != nil {
		return load{}, err
	}
	info := stream.CachedInfo()
	state := info.State
	if state.Msgs == 0 {
		return load{}, nil
	}
	floor, err := lowestFloor(ctx, conn, s)
	if err != nil {
		return load{}, err
	}
	unread := min(state.LastSeq-min(floor, state.LastSeq), state.Msgs)
	l := load{floor: floor}
	if limit := info.Config.MaxBytes; limit > 0 {
		l.full = int64(state.Bytes) * percent / limit         // far below
		l.unread = l.full * int64(unread) / int64(state.Msgs) // at most l.full
	}
	// The oldest message of all is known; only when that is old the oldest unread one is fetched.
	maxAge := maxAgeOf(info.Config)
	if maxAge == 0 || unread == 0 || time.Since(state.FirstTime) < maxAge/percent*openUnread {
		return l, nil
	}
	oldest, err := find(ctx, conn, s.Name, findRequest{Sequence: max(floor+1, state.FirstSeq), Subject: ">"})
	if err != nil {
		return load{}, err
	}
	l.age = int64(time.Since(oldest.Time) / (maxAge / percent))
	return l, nil
}

// lowestFloor is how far every required durable of a stream has acknowledged.
func lowestFloor(ctx context.Context, conn *Conn, s Stream) (uint64, error) {
	var lowest uint64
	for i, name := range s.Required() {
		floor, err := ackFloor(ctx, conn.js, s.Name, name)
		if err != nil {
			return 0, err
		}
		if i == 0 || floor < lowest {
			lowest = floor
		}
	}
	return lowest, nil
}
