package rest

import (
	"net/url"
	"strings"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
)

// Config says where and how clients are served over HTTP.
type Config struct {
	// Address is host:port; port 0 picks a free one. Empty serves nobody. Outside loopback TLS must be set.
	Address string `yaml:"address"`
	// TLS names the files of the certificate. None: those of the gRPC server. A client's certificate may be asked for,
	// but says nothing of who calls: a token does.
	TLS grpcserver.TLSConfig `yaml:"tls"`
	// AllowPlaintextOnPublicAddress lets it listen outside loopback without TLS: for a proxy in front that has it. Tokens
	// can then be read between the two.
	AllowPlaintextOnPublicAddress bool `yaml:"allow_plaintext_on_public_address"`
	// Docs serves /openapi.json and the page /docs to everybody; they hold no data.
	Docs bool `yaml:"docs"`
	// CORS lets pages of other origins call.
	CORS CORSConfig `yaml:"cors"`
	// MaxBody bounds the body of a request.
	MaxBody config.Bytes `yaml:"max_body"`
	// MaxBodies bounds the bodies of all requests under way together; beyond it requests are refused with 503 and
	// TOO_MANY_BODIES. It must be at least MaxBody.
	MaxBodies config.Bytes `yaml:"max_bodies"`
	// MaxHeader bounds request line and headers of a request together, roughly.
	MaxHeader config.Bytes `yaml:"max_header"`
	// MaxConnections bounds the open connections; more wait to be accepted.
	MaxConnections int `yaml:"max_connections"`
	// ReadHeaderTimeout is how long a client may take for the headers, ReadTimeout for the whole request.
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout"`
	ReadTimeout       time.Duration `yaml:"read_timeout"`
	// IdleTimeout is how long a connection without a request is kept.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
}

// CORSConfig is about pages of other origins.
type CORSConfig struct {
	// AllowedOrigins are such as https://console.example.com. Empty: none, and no CORS header is ever sent.
	AllowedOrigins []string `yaml:"allowed_origins"`
}

// DefaultAddress is where REST is served unless told otherwise.
const DefaultAddress = "127.0.0.1:7301"

// DefaultConfig serves on loopback.
func DefaultConfig() Config {
	return Config{
		Address: DefaultAddress, Docs: true,
		MaxBody: config.MiB, MaxBodies: 64 * config.MiB, MaxHeader: 32 * config.KiB, MaxConnections: 4096,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
}

// Validate names every fault by its key. Of a config without an address it looks at nothing else.
func (c Config) Validate() error {
	var p config.Problems
	if c.Address == "" {
		return nil
	}
	p.Under("tls", c.TLS.Validate())
	p.Check(c.TLS.Enabled() || c.AllowPlaintextOnPublicAddress || config.IsLoopback(c.Address), "address", "%v", grpcserver.ErrPlaintext)
	for _, origin := range c.CORS.AllowedOrigins {
		p.Check(isOrigin(origin), "cors.allowed_origins", "%q must be scheme://host or scheme://host:port", origin)
	}
	p.Check(c.MaxBody > 0, "max_body", "must be positive")
	p.Check(c.MaxBodies >= c.MaxBody, "max_bodies", "must be at least max_body")
	p.Check(c.MaxHeader >= config.KiB && c.MaxHeader <= config.MiB, "max_header", "must be between 1KiB and 1MiB")
	p.Check(c.MaxConnections > 0, "max_connections", "must be positive")
	p.Check(c.ReadHeaderTimeout > 0, "read_header_timeout", "must be positive")
	p.Check(c.ReadTimeout > 0, "read_timeout", "must be positive")
	p.Check(c.IdleTimeout > 0, "idle_timeout", "must be positive")
	return p.Err()
}

// isOrigin reports whether text is what a browser sends as Origin. A * would stand for any text to the library that
// compares them.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && !strings.Contains(text, "*") && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Scheme+"://"+u.Host == text
}
