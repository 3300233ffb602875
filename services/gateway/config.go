package gateway

import (
	"fmt"
	"time"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/oidc"
	"github.com/entraflow/entraflow/pkg/seal"
	"github.com/entraflow/entraflow/services/gateway/internal/access"
	"github.com/entraflow/entraflow/services/gateway/internal/audit"
	"github.com/entraflow/entraflow/services/gateway/internal/directory"
	"github.com/entraflow/entraflow/services/gateway/internal/rest"
	"github.com/entraflow/entraflow/services/gateway/internal/search"
	"github.com/entraflow/entraflow/services/gateway/internal/subscribe"
)

// DefaultAddress is where the gateway listens unless told otherwise, and where entractl looks for it.
const DefaultAddress = "127.0.0.1:7300"

// DefaultHTTPAddress is where the gateway serves HTTP unless told otherwise.
const DefaultHTTPAddress = rest.DefaultAddress

// Parts of the config.
type (
	// SearchConfig bounds searches.
	SearchConfig = search.Config
	// DirectoryConfig bounds answers about the directory, and has the rules by which users are classified.
	DirectoryConfig = directory.Config
	// AuditConfig bounds answers about the audit log.
	AuditConfig = audit.Config
	// SubscribeConfig bounds subscriptions.
	SubscribeConfig = subscribe.Config
	// HTTPConfig says where and how clients are served over HTTP.
	HTTPConfig = rest.Config
)

// Config is the section `gateway` of the configuration.
type Config struct {
	// GRPC says where clients are served.
	GRPC grpcserver.Config `yaml:"grpc"`
	// HTTP says where clients are served over HTTP: the same API as JSON. Without files of its own it has the certificate
	// of GRPC.
	HTTP HTTPConfig `yaml:"http"`
	// Auth says who is let in besides the holder of TokenFile and of API tokens.
	Auth AuthConfig `yaml:"auth"`
	// TokenFile holds the bearer token that opens every method, as admin of all tenants. It is made with a random token, readable
	// by its owner alone, where it is absent. Page and resume tokens are signed with a key that derives
	// from it: several gateways with one token understand each other's.
	TokenFile string `yaml:"token_file"`
	// NATS says how the bus is reached.
	NATS bus.Config `yaml:"nats"`
	// ClickHouse says where events are searched. A gateway of its own needs a dsn.
	ClickHouse clickhouse.Config `yaml:"clickhouse"`
	// Seal is the master key that seals credentials: the same as that of the collector and the streamer.
	Seal seal.Config `yaml:"seal"`
	// Search bounds SearchSignIns and SearchEvents.
	Search SearchConfig `yaml:"search"`
	// Directory bounds DirectoryService and says what users are.
	Directory DirectoryConfig `yaml:"directory"`
	// Audit bounds answers about the audit log.
	Audit AuditConfig `yaml:"audit"`
	// Subscribe bounds Subscribe.
	Subscribe SubscribeConfig `yaml:"subscribe"`
	// ProbeInterval is how often store and bus are asked whether they are there, for the health service.
	ProbeInterval time.Duration `yaml:"probe_interval"`
}

// AuthConfig says who is let in, and what they may.
type AuthConfig struct {
	// OIDC lets people in by access tokens of an OpenID Connect issuer such as Entra ID. Without an issuer nobody is.
	OIDC oidc.Config `yaml:"oidc"`
	// Certificates lets clients in by their certificate alone; grpc.tls.client_ca_file must be set for it.
	Certificates []access.CertificateConfig `yaml:"certificates"`
}

func (c AuthConfig) validate(tls grpcserver.TLSConfig) error {
	var p config.Problems
	p.Under("oidc", c.OIDC.Validate())
	for i, rule := range c.Certificates {
		p.Under(fmt.Sprintf("certificates[%d]", i), rule.Validate())
	}
	p.Check(len(c.Certificates) == 0 || tls.ClientCAFile != "", "certificates", "needs grpc.tls.client_ca_file")
	return p.Err()
}

// bucketTimeout bounds how long a method waits for a bucket that is not there yet.
const bucketTimeout = 3 * time.Second

// DefaultConfig serves on loopback.
func DefaultConfig() Config {
	c := Config{
		GRPC: grpcserver.DefaultConfig(), HTTP: rest.DefaultConfig(), Auth: AuthConfig{OIDC: oidc.DefaultConfig()},
		TokenFile: "data/credentials/gateway.token",
		NATS:      bus.DefaultConfig(), ClickHouse: clickhouse.DefaultConfig(), Seal: seal.DefaultConfig(),
		Search: search.DefaultConfig(), Directory: directory.DefaultConfig(), Subscribe: subscribe.DefaultConfig(),
		Audit:         audit.DefaultConfig(),
		ProbeInterval: 5 * time.Second,
	}
	c.GRPC.Address = DefaultAddress
	c.NATS.User = bus.UserGateway
	return c
}

// Validate names every fault by its key. Without a dsn the rest of clickhouse is not looked at: the
// engine is then another's.
func (c Config) Validate() error {
	var p config.Problems
	p.Under("grpc", c.GRPC.Validate())
	p.Under("http", c.front().Validate())
	p.Under("auth", c.Auth.validate(c.GRPC.TLS))
	p.Check(c.TokenFile != "", "token_file", "must be set")
	p.Under("nats", c.NATS.Validate())
	if !c.ClickHouse.DSN.IsZero() {
		p.Under("clickhouse", c.ClickHouse.Validate())
	}
	p.Under("seal", c.Seal.Validate())
	p.Under("search", c.Search.Validate())
	p.Under("directory", c.Directory.Validate())
	p.Under("audit", c.Audit.Validate())
	p.Under("subscribe", c.Subscribe.Validate())
	p.Check(c.ProbeInterval > 0, "probe_interval", "must be positive")
	return p.Err()
}
