package collector

import (
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/seal"
	"github.com/entraflow/entraflow/pkg/session"
	"github.com/entraflow/entraflow/services/collector/internal/tenant"
)

// Config is what a user sets.
type Config struct {
	// NATS says how to reach NATS, and bounds what waits for its PubAck.
	NATS bus.Config `yaml:"nats"`
	// Gate says how often the streams are looked at, which stop the collector when they are nearly full.
	Gate bus.GateConfig `yaml:"gate"`
	// Seal is the master key that opens the credentials: the same as the gateway's.
	Seal seal.Config `yaml:"seal"`
	// Instance tells this collector from its replicas. Empty: host and process.
	Instance string `yaml:"instance"`
	// Clouds are clouds beside Microsoft's, by the name that integrations give: simulators and proxies.
	Clouds session.Clouds `yaml:"clouds"`
	// BudgetScale multiplies Microsoft's documented limits; 1 keeps to them, 0 knows none and is for simulators.
	BudgetScale float64 `yaml:"budget_scale"`
	// Pages bounds the pages that are held in memory at once, over all tenants; each is one or a few megabytes.
	Pages int `yaml:"pages"`
	// RecentRecords is how many records are remembered so as not to publish them again, in some 50 bytes each.
	RecentRecords int `yaml:"recent_records"`

	Tenant tenant.Config `yaml:",inline"`
}

// CloudConfig is a cloud with other addresses.
type CloudConfig = session.CloudConfig

const (
	defaultPages  = 12
	defaultRecent = 400_000
)

// DefaultConfig keeps to Microsoft's limits.
func DefaultConfig() Config {
	c := Config{
		NATS: bus.DefaultConfig(), Gate: bus.DefaultGateConfig(), Seal: seal.DefaultConfig(), BudgetScale: 1,
		Pages: defaultPages, RecentRecords: defaultRecent, Tenant: tenant.DefaultConfig(),
	}
	c.NATS.User = bus.UserCollector
	return c
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Under("nats", c.NATS.Validate())
	p.Under("gate", c.Gate.Validate())
	p.Under("seal", c.Seal.Validate())
	p.Check(c.BudgetScale >= 0, "budget_scale", "must not be negative")
	p.Check(c.Pages > 0, "pages", "must be positive")
	p.Check(c.RecentRecords > 0, "recent_records", "must be positive")
	c.Clouds.Check(&p)
	c.Tenant.Check(&p)
	return p.Err()
}

// endpoints returns where a cloud is.
func (c *Collector) endpoints(cloud string) (entra.Endpoints, error) {
	return c.cfg.Clouds.Endpoints(cloud, c.set.Cloud)
}
