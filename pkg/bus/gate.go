package bus

import (
	"context"
	"time"
)

// GateConfig says how a Gate looks at its streams.
type GateConfig struct {
	// Interval is how often the streams are looked at.
	Interval time.Duration `yaml:"interval"`
}

// DefaultGateConfig looks four times a second.
func DefaultGateConfig() GateConfig { return GateConfig{Interval: 250 * time.Millisecond} }

// Gate tells a producer when not to take more.
type Gate struct {
	cfg  GateConfig
	conn *Conn
}

// NewGate returns a gate before the streams, closed until Run has looked at them.
func NewGate(conn *Conn, cfg GateConfig, streams ...string) (*Gate, error) { return nil, nil }

// Run looks at the streams until ctx is done.
func (g *Gate) Run(ctx context.Context) error { return nil }

// Wait returns when the gate is open, at once if it is, or with ctx's error.
func (g *Gate) Wait(ctx context.Context) error { return nil }

// Open reports whether the gate is open.
func (g *Gate) Open() bool { return true }
