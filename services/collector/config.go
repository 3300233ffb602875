package collector

import (
	"fmt"
	"maps"
	"slices"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/seal"
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
	Clouds map[string]CloudConfig `yaml:"clouds"`
	// BudgetScale multiplies Microsoft's documented limits; 1 keeps to them, 0 knows none and is for simulators.
	BudgetScale float64 `yaml:"budget_scale"`
	// Pages bounds the pages that are held in memory at once, over all tenants; each is one or a few megabytes.
	Pages int `yaml:"pages"`
	// RecentRecords is how many records are remembered so as not to publish them again, in some 50 bytes each.
	RecentRecords int `yaml:"recent_records"`

	Tenant tenant.Config `yaml:",inline"`
}

// CloudConfig is a cloud with other addresses.
type CloudConfig struct {
	// Base is the cloud of Microsoft's that it resembles. Empty: global.
	Base string `yaml:"base"`
	// AuthorityURL and GraphURL replace those of Base. Graph may be http on loopback.
	AuthorityURL string `yaml:"authority_url"`
	GraphURL     string `yaml:"graph_url"`
	// CAFile is a PEM bundle to trust beside the system's.
	CAFile string `yaml:"ca_file"`
}

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
	for _, name := range slices.Sorted(maps.Keys(c.Clouds)) {
		_, taken := entra.CloudByName(name)
		p.Check(!taken, "clouds."+name, "is a cloud of Microsoft's")
		own := c.Clouds[name]
		if _, known := entra.CloudByName(own.Base); !known {
			p.Add("clouds."+name+".base", "must be a cloud of Microsoft's")
			continue
		}
		_, err := entra.NewEndpoints(own.Base, entra.Overrides{AuthorityURL: own.AuthorityURL})
		p.Check(err == nil, "clouds."+name+".authority_url", "must be https://host[:port]")
		_, err = entra.NewEndpoints(own.Base, entra.Overrides{GraphURL: own.GraphURL})
		p.Check(err == nil, "clouds."+name+".graph_url", "must be https://host[:port], or http on loopback")
	}
	c.Tenant.Check(&p)
	return p.Err()
}

// endpoints returns where a cloud is. CA files are read each time: they may be made later than the collector. It fails with
// tenant.ErrCloud if one cannot be read.
func (c *Collector) endpoints(cloud string) (entra.Endpoints, error) {
	own, ok := c.cfg.Clouds[cloud]
	if !ok && c.set.Cloud != nil {
		own, ok = c.set.Cloud(cloud)
	}
	if !ok {
		return entra.NewEndpoints(cloud, entra.Overrides{})
	}
	e, err := entra.NewEndpoints(own.Base, entra.Overrides{AuthorityURL: own.AuthorityURL, GraphURL: own.GraphURL, CAFile: own.CAFile})
	if err != nil {
		return entra.Endpoints{}, fmt.Errorf("cloud %s: %w: %w", cloud, tenant.ErrCloud, err)
	}
	return e, nil
}
