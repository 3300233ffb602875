package tenant

import (
	"slices"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/services/directorysync/internal/catalogue"
)

// Config says how often a tenant's directory is read. It is the same for all tenants.
type Config struct {
	// DeltaInterval is how often Graph is asked what has changed, where it tells that.
	DeltaInterval time.Duration `yaml:"delta_interval"`
	// WalkInterval is how often the others are read whole, and DailyInterval those that change seldom or cost much.
	WalkInterval  time.Duration `yaml:"walk_interval"`
	DailyInterval time.Duration `yaml:"daily_interval"`
	// WholeInterval is after how long everything is read again though Graph tells what has changed.
	WholeInterval time.Duration `yaml:"whole_interval"`
	// ProbeInterval is how often licences and permissions are looked at.
	ProbeInterval time.Duration `yaml:"probe_interval"`
	// OptIn names data types that are read only if asked for, because they take a request for each user: "mailboxes".
	OptIn []string `yaml:"opt_in"`
}

// DefaultConfig picks changes up within half a minute.
func DefaultConfig() Config {
	const day = 24 * time.Hour
	return Config{
		DeltaInterval: 30 * time.Second, WalkInterval: time.Hour, DailyInterval: day, WholeInterval: 7 * day, ProbeInterval: day,
		OptIn: []string{},
	}
}

// Check names every fault by its key.
func (c Config) Check(p *config.Problems) {
	const least = 100 * time.Millisecond
	p.Check(c.DeltaInterval >= least, "delta_interval", "must be at least %s", least)
	p.Check(c.WalkInterval >= least, "walk_interval", "must be at least %s", least)
	p.Check(c.DailyInterval >= c.WalkInterval, "daily_interval", "must not be less than walk_interval")
	p.Check(c.WholeInterval >= c.DeltaInterval, "whole_interval", "must not be less than delta_interval")
	p.Check(c.ProbeInterval > 0, "probe_interval", "must be positive")
	for _, id := range c.OptIn {
		t, known := catalogue.Find(entra.DataType(id))
		p.Check(known && t.OptIn, "opt_in", "%q is no data type that must be asked for", id)
	}
}

// interval is how often a data type is read.
func (c Config) interval(t catalogue.Type) time.Duration {
	switch {
	case t.Daily:
		return c.DailyInterval
	case t.Delta:
		return c.DeltaInterval
	default:
		return c.WalkInterval
	}
}

// reads reports whether a data type is read at all.
func (c Config) reads(t catalogue.Type) bool {
	return !t.OptIn || slices.Contains(c.OptIn, string(t.ID))
}
