package directorysync

import (
	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/seal"
	"github.com/entraflow/entraflow/pkg/session"
	"github.com/entraflow/entraflow/services/directorysync/internal/tenant"
)

// Config is what a user sets.
type Config struct {
	// NATS says how to reach NATS, and bounds what waits for its PubAck.
	NATS bus.Config `yaml:"nats"`
	// Gate says how often the streams are looked at, which stop the service when they are nearly full.
	Gate bus.GateConfig `yaml:"gate"`
	// Seal is the master key that opens the credentials: the same as the gateway's.
	Seal seal.Config `yaml:"seal"`
	// Instance tells this process from its replicas. Empty: host and process.
	Instance string `yaml:"instance"`
	// Clouds are clouds beside Microsoft's, by the name that integrations give: simulators and proxies.
	Clouds session.Clouds `yaml:"clouds"`
	// BudgetScale multiplies Microsoft's documented limits; 1 keeps to them, 0 knows none and is for simulators.
	BudgetScale float64 `yaml:"budget_scale"`

	Tenant tenant.Config `yaml:",inline"`
}

// CloudConfig is a cloud with other addresses.
type CloudConfig = session.CloudConfig

// DefaultConfig keeps to Microsoft's limits.
func DefaultConfig() Config {
	c := Config{
		NATS: bus.DefaultConfig(), Gate: bus.DefaultGateConfig(), Seal: seal.DefaultConfig(), BudgetScale: 1, Tenant: tenant.DefaultConfig(),
	}
	c.NATS.User = bus.UserDirectorySync
	return c
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Under("nats", c.NATS.Validate())
	p.Under("gate", c.Gate.Validate())
	p.Under("seal", c.Seal.Validate())
	p.Check(c.BudgetScale >= 0, "budget_scale", "must not be negative")
	c.Clouds.Check(&p)
	c.Tenant.Check(&p)
	return p.Err()
}
