package tenant

import (
	"time"

	"github.com/entraflow/entraflow/pkg/config"
)

// Config says how far back and how often a tenant's logs are read. It is the same for all tenants.
type Config struct {
	// History is how far back the first run goes, at most as far as the service keeps a log.
	History time.Duration `yaml:"history"`
	// TailInterval is how often the newest records are read, and TailOverlap how far each read reaches back
	// behind the one before.
	TailInterval time.Duration `yaml:"tail_interval"`
	TailOverlap  time.Duration `yaml:"tail_overlap"`
	// Overlap is how late a record may come: what is younger is read again every OverlapInterval, and is not
	// taken as read for good.
	Overlap         time.Duration `yaml:"overlap"`
	OverlapInterval time.Duration `yaml:"overlap_interval"`
	// ReconcileSpan is read again every ReconcileInterval, for what came later still or changed.
	ReconcileSpan     time.Duration `yaml:"reconcile_span"`
	ReconcileInterval time.Duration `yaml:"reconcile_interval"`
	// ProbeInterval is how often licences and permissions are looked at.
	ProbeInterval time.Duration `yaml:"probe_interval"`
	// Windows bounds the windows of a data type that are read at once.
	Windows int `yaml:"windows"`
	// V1Fallback reads sign-ins from Graph v1.0 where beta is refused. They lack what many checks need.
	V1Fallback bool `yaml:"v1_fallback"`
}

// maxWindows bounds Config.Windows.
const maxWindows = 64

// DefaultConfig follows graph.md §2.1: records come minutes late as a rule and hours at times.
func DefaultConfig() Config {
	const day = 24 * time.Hour
	return Config{
		History:      30 * day,
		TailInterval: time.Minute, TailOverlap: 10 * time.Minute,
		Overlap: 3 * time.Hour, OverlapInterval: 15 * time.Minute,
		ReconcileSpan: 2 * day, ReconcileInterval: day,
		ProbeInterval: day, Windows: 4,
	}
}

// Check names every fault by its key.
func (c Config) Check(p *config.Problems) {
	p.Check(c.History > 0, "history", "must be positive")
	p.Check(c.TailInterval > 0, "tail_interval", "must be positive")
	p.Check(c.TailOverlap >= 0, "tail_overlap", "must not be negative")
	p.Check(c.Overlap > 0, "overlap", "must be positive")
	p.Check(c.OverlapInterval >= c.TailInterval, "overlap_interval", "must be at least tail_interval")
	p.Check(c.ReconcileSpan > 0, "reconcile_span", "must be positive")
	p.Check(c.ReconcileInterval > 0, "reconcile_interval", "must be positive")
	p.Check(c.ProbeInterval > 0, "probe_interval", "must be positive")
	p.Check(c.Windows > 0 && c.Windows <= maxWindows, "windows", "must be 1 to %d", maxWindows)
}
