package entraflow

import (
	"path/filepath"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/collector"
	"github.com/entraflow/entraflow/services/directorysync"
	"github.com/entraflow/entraflow/services/gateway"
	"github.com/entraflow/entraflow/services/simulator"
	"github.com/entraflow/entraflow/services/sink"
	"github.com/entraflow/entraflow/services/streamer"
)

// Config is what a user sets: the section entraflow, and a section for each service as in its own
// process. What the services need to reach NATS and ClickHouse is filled in.
type Config struct {
	Own           `yaml:",inline"`
	Collector     collector.Config     `yaml:"-"`
	DirectorySync directorysync.Config `yaml:"-"`
	Streamer      streamer.Config      `yaml:"-"`
	Sink          sink.Config          `yaml:"-"`
	Gateway       gateway.Config       `yaml:"-"`
	Simulated     simulator.Config     `yaml:"-"`
}

// Own is the section entraflow.
type Own struct {
	// DataDir holds everything that is kept: streams, tables, credentials.
	DataDir string            `yaml:"data_dir"`
	NATS    natsserver.Config `yaml:"nats"`
	// ClickHouse is the embedded engine; its data_dir is inside DataDir and cannot be set.
	ClickHouse ClickHouseConfig `yaml:"clickhouse"`

	// Simulator adds a simulated Event Hub that the streamer reads, and without Replay a simulated tenant that the
	// collector and directorysync read.
	Simulator bool `yaml:"simulator"`
	// Elsewhere names services that run as processes of their own against this one's NATS and ClickHouse, and not
	// here. Only collector and directorysync may.
	Elsewhere []string `yaml:"elsewhere"`
	// Seed chooses the simulated tenant.
	Seed uint64 `yaml:"seed"`
	// ThrottleScale multiplies Microsoft's limits for the simulated tenant and those who read it alike; 0 is none.
	ThrottleScale float64 `yaml:"throttle_scale"`
	// Replay is a folder or file of records to feed through the simulated hub. It implies Simulator.
	// Empty: the simulated tenant's own records.
	Replay string `yaml:"replay"`
	// ReplayRate is in records a second; 0 is as fast as can be.
	ReplayRate float64 `yaml:"replay_rate"`
	// Once ends the program when everything replayed is stored. All listeners get free ports then,
	// unless they are configured.
	Once bool `yaml:"once"`
	// Summary is a file to write a summary to when Once ends; see Summary.
	Summary string `yaml:"summary"`
}

// ClickHouseConfig is the embedded engine's.
type ClickHouseConfig struct {
	// Listen is where the ClickHouse HTTP interface is served; port 0 picks a free one, empty serves nobody.
	Listen string          `yaml:"listen"`
	Engine embedded.Config `yaml:"engine"`
}

const (
	defaultDataDir        = "data"
	defaultClickHouseHTTP = "127.0.0.1:8123"
	defaultGateway        = gateway.DefaultAddress
	anyPort               = "127.0.0.1:0"
)

// DefaultConfig returns everything on loopback with the data in ./data.
func DefaultConfig() Config {
	c := Config{
		Own: Own{
			DataDir:    defaultDataDir,
			NATS:       natsserver.DefaultConfig(),
			ClickHouse: ClickHouseConfig{Listen: defaultClickHouseHTTP, Engine: embedded.DefaultConfig()},
			Seed:       1, ThrottleScale: defaultThrottleScale,
		},
		Collector:     collector.DefaultConfig(),
		DirectorySync: directorysync.DefaultConfig(),
		Streamer:      streamer.DefaultConfig(),
		Sink:          sink.DefaultConfig(),
		Gateway:       gateway.DefaultConfig(),
		Simulated:     simulator.DefaultConfig(),
	}
	return c.wired()
}

// wired fills in what the services need of DataDir.
func (c Config) wired() Config {
	c.ClickHouse.Engine.DataDir = filepath.Join(c.DataDir, "clickhouse")
	c.Sink.ClickHouse.Embedded = c.ClickHouse.Engine
	c.Gateway.TokenFile = filepath.Join(c.credentials(), "gateway.token")
	key := filepath.Join(c.credentials(), "seal.key")
	c.Collector.Seal.KeyFile, c.DirectorySync.Seal.KeyFile, c.Gateway.Seal.KeyFile, c.Streamer.Seal.KeyFile = key, key, key, key
	return c
}

// effective is the config with what follows from it.
func (c Config) effective() Config {
	c = c.wired()
	c.Simulator = c.Simulator || c.Replay != ""
	if c.simulatesTenant() {
		c = c.withTenant()
	}
	if c.Streamer.Instance == "" {
		// One process at a time has the data directory, so after a crash its claims are its own.
		c.Streamer.Instance = "entraflow"
	}
	if c.Once {
		// A run of a moment must not be refused because the product runs beside it.
		replaceDefault(&c.NATS.Listen, natsserver.DefaultConfig().Listen)
		replaceDefault(&c.ClickHouse.Listen, defaultClickHouseHTTP)
		replaceDefault(&c.Gateway.GRPC.Address, defaultGateway)
		replaceDefault(&c.Gateway.HTTP.Address, gateway.DefaultHTTPAddress)
		replaceDefault(&c.Simulated.Listen.AMQP, simulator.DefaultConfig().Listen.AMQP)
		replaceDefault(&c.Simulated.Listen.Admin, simulator.DefaultConfig().Listen.Admin)
		replaceDefault(&c.Simulated.Listen.Entra, defaultEntra)
	}
	return c
}

func replaceDefault(address *string, usual string) {
	if *address == usual {
		*address = anyPort
	}
}

// credentials is the folder of passwords and tokens.
func (c Config) credentials() string { return filepath.Join(c.DataDir, "credentials") }

// Validate names every fault by its key. The services' own faults are named by their sections.
func (c Config) Validate() error {
	var p config.Problems
	p.Under("entraflow", c.Own.Validate())
	p.Under("collector", c.Collector.Validate())
	p.Under("directorysync", c.DirectorySync.Validate())
	p.Under("streamer", c.Streamer.Validate())
	p.Under("sink", c.Sink.Validate())
	p.Under("gateway", c.Gateway.Validate())
	p.Under("simulator", c.Simulated.Validate())
	return p.Err()
}

// Validate names every fault by its key.
func (c Own) Validate() error {
	var p config.Problems
	p.Check(c.DataDir != "", "data_dir", "must be set")
	p.Under("nats", c.NATS.Validate())
	p.Check(c.ClickHouse.Listen == "" || config.IsLoopback(c.ClickHouse.Listen), "clickhouse.listen",
		"must be a loopback host:port: it has no TLS")
	p.Check(config.IsLoopback(c.NATS.Listen) || c.NATS.Listen == "", "nats.listen",
		"must be a loopback host:port: it has no TLS")
	for _, name := range c.Elsewhere {
		p.Check(name == bus.UserCollector || name == bus.UserDirectorySync, "elsewhere", "names %s, which only runs here", name)
	}
	p.Check(c.ThrottleScale >= 0, "throttle_scale", "must not be negative")
	p.Check(c.ReplayRate >= 0, "replay_rate", "must not be negative")
	p.Check(c.Once || c.Summary == "", "summary", "is written with once only")
	return p.Err()
}

// Sections lists the sections of the config file.
func (c *Config) Sections() []config.Section {
	return []config.Section{
		{Name: "entraflow", Config: &c.Own},
		{Name: "collector", Config: &c.Collector},
		{Name: "directorysync", Config: &c.DirectorySync},
		{Name: "streamer", Config: &c.Streamer},
		{Name: "sink", Config: &c.Sink},
		{Name: "gateway", Config: &c.Gateway},
		{Name: "simulator", Config: &c.Simulated},
	}
}
