package streamer

import (
	"strconv"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/seal"
	"github.com/entraflow/entraflow/services/streamer/internal/fleet"
	"github.com/entraflow/entraflow/services/streamer/internal/hub"
)

// Parts of the config, and the word that allows every tenant.
type (
	// HubConfig is one Event Hub as one consumer group reads it.
	HubConfig = hub.Config
	// Tuning is what all hubs have in common.
	Tuning = hub.Tuning
	// NamespaceConfig says how a namespace is reached.
	NamespaceConfig = fleet.NamespaceConfig
)

// AnyTenant in HubConfig.Tenants allows every tenant.
const AnyTenant = hub.AnyTenant

// Config is what a user sets.
type Config struct {
	// NATS says how to reach NATS, and bounds what waits for its PubAck.
	NATS bus.Config `yaml:"nats"`
	// Gate says how often the streams are looked at, which stop the streamer when they are nearly full.
	Gate bus.GateConfig `yaml:"gate"`
	// Instance tells this streamer from others that read the same hubs. Two at a time must not have the
	// same. One that comes back under its name after a crash has its partitions at once; without a
	// name they wait until the claims of the one that crashed expire.
	Instance string `yaml:"instance"`
	// Hubs are the Event Hubs to read. Two may be the same hub with different consumer groups. Those of integrations are
	// read beside them.
	Hubs []HubConfig `yaml:"hubs"`
	// Seal is the master key that opens the credentials of integrations: the same as the gateway's. A key file is never
	// made here, and not looked for until there is an integration with an Event Hub.
	Seal seal.Config `yaml:"seal"`
	// Namespaces say by host name how those are reached that integrations name, where that is not the usual way.
	Namespaces map[string]NamespaceConfig `yaml:"namespaces"`

	Tuning `yaml:",inline"`
}

// DefaultConfig reads no hub but those of integrations: where the records are nobody can guess.
func DefaultConfig() Config {
	c := Config{NATS: bus.DefaultConfig(), Gate: bus.DefaultGateConfig(), Seal: seal.DefaultConfig(), Tuning: hub.DefaultTuning()}
	c.NATS.User = bus.UserStreamer
	return c
}

// DefaultHub returns what an element of Hubs is before it is decoded.
func DefaultHub() HubConfig {
	var c HubConfig
	c.SetDefaults()
	return c
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Under("nats", c.NATS.Validate())
	p.Under("gate", c.Gate.Validate())
	p.Under("seal", c.Seal.Validate())
	fleet.Namespaces(c.Namespaces).Check(&p)
	hub.Check(c.Tuning, &p)
	seen := make(map[[3]string]int, len(c.Hubs))
	for i, h := range c.Hubs {
		key := "hubs." + strconv.Itoa(i)
		err := h.Validate()
		p.Under(key, err)
		if err != nil {
			continue
		}
		namespace, name := h.Name()
		identity := [3]string{namespace, name, h.ConsumerGroup}
		if other, taken := seen[identity]; taken {
			p.Add(key, "reads the same hub in the same consumer group as hubs.%d", other)
		}
		seen[identity] = i
	}
	return p.Err()
}
