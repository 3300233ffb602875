package clickhouse

import (
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/config"
)

// Config says which ClickHouse stores the tables: a server or cluster if DSN is set, else the engine
// embedded in this process.
type Config struct {
	// DSN is the address of a ClickHouse: clickhouse://host:9000/database for the native protocol,
	// http:// or https:// for HTTP; several hosts with commas. It may hold user and password.
	DSN config.Secret `yaml:"dsn"`
	// Username and Password sign in where the DSN names nobody.
	Username string        `yaml:"username"`
	Password config.Secret `yaml:"password"`
	// Database holds the tables. Open makes it if it is absent, unless told to write nothing.
	Database string `yaml:"database"`
	// Cluster is the name of the cluster that migrations make replicated and distributed tables on.
	// Empty: one server, plain tables.
	Cluster string `yaml:"cluster"`
	// MaxConnections bounds the statements of this process that run at the same time.
	MaxConnections int `yaml:"max_connections"`
	// DialTimeout bounds how long a connection is waited for.
	DialTimeout time.Duration `yaml:"dial_timeout"`
	// ReadTimeout bounds the silence of a server during a statement.
	ReadTimeout time.Duration `yaml:"read_timeout"`
	// Compression of what goes over the network: none, lz4 or zstd. The embedded engine gets none.
	Compression string `yaml:"compression"`
	// Embedded is used where DSN is empty.
	Embedded embedded.Config `yaml:"embedded"`
}

// DefaultConfig returns the embedded engine without its data folder, which every program has to set.
func DefaultConfig() Config {
	return Config{
		Username:       "default",
		Database:       "entraflow",
		MaxConnections: 8,
		DialTimeout:    10 * time.Second,
		ReadTimeout:    time.Minute,
		Compression:    "lz4",
		Embedded:       embedded.DefaultConfig(),
	}
}

// Validate returns every fault, each under its key. A fault of the DSN does not repeat it.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(validName(c.Database), "database", "must be letters, digits and underscores")
	p.Check(c.Cluster == "" || validName(c.Cluster), "cluster", "must be letters, digits and underscores")
	p.Check(c.MaxConnections >= 1 && c.MaxConnections <= 256, "max_connections", "must be between 1 and 256")
	p.Check(c.DialTimeout > 0, "dial_timeout", "must be positive")
	p.Check(c.ReadTimeout > 0, "read_timeout", "must be positive")
	if _, ok := compressionMethod(c.Compression); !ok {
		p.Add("compression", "must be none, lz4 or zstd")
	}
	if c.DSN.IsZero() {
		p.Under("embedded", c.Embedded.Validate())
		p.Check(c.Cluster == "", "cluster", "needs a dsn: the embedded engine is a single server")
		return p.Err()
	}
	options, err := c.options()
	if err != nil {
		p.Add("dsn", "must be clickhouse://, http:// or https:// with a host")
		return p.Err()
	}
	named := options.Auth.Database
	p.Check(named == "" || named == c.Database, "dsn", "must name no other database than database does")
	return p.Err()
}

// options are those of a ClickHouse by DSN.
func (c Config) options() (*ch.Options, error) {
	dsn := c.DSN.Reveal()
	// The client wants TLS said twice.
	if rest, ok := strings.CutPrefix(dsn, "https://"); ok && !strings.Contains(rest, "secure=") {
		separator := "?"
		if strings.Contains(rest, "?") {
			separator = "&"
		}
		dsn += separator + "secure=true"
	}
	scheme, _, _ := strings.Cut(dsn, "://")
	switch scheme {
	case "clickhouse", "http", "https":
	default:
		return nil, errScheme
	}
	options, err := ch.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	if options.Auth.Username == "" {
		options.Auth.Username, options.Auth.Password = c.Username, c.Password.Reveal()
	}
	if options.Compression == nil {
		method, _ := compressionMethod(c.Compression)
		options.Compression = &ch.Compression{Method: method}
	}
	return options, nil
}

func compressionMethod(name string) (ch.CompressionMethod, bool) {
	switch name {
	case "none":
		return ch.CompressionNone, true
	case "lz4":
		return ch.CompressionLZ4, true
	case "zstd":
		return ch.CompressionZSTD, true
	}
	return ch.CompressionNone, false
}

func validName(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
