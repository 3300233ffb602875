package app

import (
	"math"
	"time"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/telemetry"
)

// sectionName is the key of Config in the file.
const sectionName = "app"

// Config is the section app of the config file: what every program has.
type Config struct {
	Log   telemetry.LogConfig `yaml:"log"`
	Admin AdminConfig         `yaml:"admin"`
	Clock ClockConfig         `yaml:"clock"`
	// DrainTimeout is the time from the first signal until everything is stopped.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
}

// AdminConfig says where health, metrics and the redacted config are served.
type AdminConfig struct {
	// Address is host:port; port 0 picks a free one, empty serves nothing.
	Address string `yaml:"address"`
	// Token, if set, is asked for by /metrics and /config. Outside loopback it must be set.
	Token config.Secret `yaml:"token"`
}

// ClockConfig moves and hurries the clock, for tests over hours and days.
type ClockConfig struct {
	// Offset is how far the clock is ahead of the real time.
	Offset time.Duration `yaml:"offset"`
	// Speed is how fast it runs; 1 is real.
	Speed float64 `yaml:"speed"`
	// Anchor is the real time from which Speed counts, by default the start of the process.
	// Processes with one Anchor agree on the time.
	Anchor time.Time `yaml:"anchor,omitempty"`
}

// DefaultConfig returns the config of a program that was told nothing.
func DefaultConfig() Config {
	return Config{
		Log:          telemetry.DefaultLogConfig(),
		Admin:        AdminConfig{Address: "127.0.0.1:0"},
		Clock:        ClockConfig{Speed: 1},
		DrainTimeout: lifecycle.DefaultDrain,
	}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Under("log", c.Log.Validate())
	p.Under("admin", c.Admin.validate())
	p.Under("clock", c.Clock.validate())
	p.Check(c.DrainTimeout > 0, "drain_timeout", "must be positive")
	return p.Err()
}

func (c AdminConfig) validate() error {
	var p config.Problems
	safe := c.Address == "" || config.IsLoopback(c.Address) || !c.Token.IsZero()
	p.Check(safe, "address", "must be a loopback host:port, unless a token is set")
	return p.Err()
}

func (c ClockConfig) validate() error {
	var p config.Problems
	p.Check(c.Speed > 0 && !math.IsInf(c.Speed, 0), "speed", "must be positive")
	return p.Err()
}

func (c ClockConfig) clock() clock.Clock {
	switch {
	case c.Offset == 0 && c.Speed == 1:
		return clock.Real()
	case c.Anchor.IsZero():
		return clock.New(c.Offset, c.Speed)
	default:
		return clock.NewAnchored(c.Anchor, c.Offset, c.Speed)
	}
}

// loaded is everything a program knows of its config before it starts.
type loaded[C any] struct {
	app            Config
	own            C
	report         config.Report
	rendered, diff string // redacted
}

func load[C any](s Service[C], src config.Source) (*loaded[C], error) {
	l := &loaded[C]{app: DefaultConfig(), own: s.Default()}
	sections := s.sections(&l.app, &l.own)
	src.Exclusive = s.Sections != nil
	var err error
	if l.report, err = config.Load(src, sections...); err != nil {
		return nil, err
	}
	if l.rendered, err = config.Render(sections...); err != nil {
		return nil, err
	}
	app, own := DefaultConfig(), s.Default()
	l.diff, err = config.RenderDiff(s.sections(&app, &own), sections)
	return l, err
}

func (s Service[C]) sections(app *Config, own *C) []config.Section {
	sections := []config.Section{{Name: sectionName, Config: app}}
	if s.Sections != nil {
		return append(sections, s.Sections(own)...)
	}
	return append(sections, config.Section{Name: s.Name, Config: own})
}
