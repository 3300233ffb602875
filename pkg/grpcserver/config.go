package grpcserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
)

// ErrPlaintext is the fault of an address outside loopback without TLS: tokens would be
// readable on the way.
var ErrPlaintext = errors.New("must be on loopback, or have tls")

// Config is the part of a service's config about its gRPC server.
type Config struct {
	// Address is host:port; port 0 picks a free one. Outside loopback TLS must be set.
	Address string    `yaml:"address"`
	TLS     TLSConfig `yaml:"tls"`
	// MaxRequest bounds a message a client sends.
	MaxRequest config.Bytes `yaml:"max_request"`
	// MaxConnectionCalls bounds the calls open at once on one connection; more wait.
	MaxConnectionCalls uint32 `yaml:"max_connection_calls"`
	// MaxStreams bounds the streaming calls open at once on all connections; more are
	// refused with ResourceExhausted and TOO_MANY_STREAMS.
	MaxStreams int             `yaml:"max_streams"`
	Keepalive  KeepaliveConfig `yaml:"keepalive"`
}

// TLSConfig names the files of the server's certificate; both or none.
type TLSConfig struct {
	// CertFile has the certificate and its chain, KeyFile the key, as PEM. They are read
	// again for each connection.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// KeepaliveConfig finds connections that are dead while a stream waits on them.
type KeepaliveConfig struct {
	// Time is how long a connection is silent before it is asked for a sign of life.
	Time time.Duration `yaml:"time"`
	// Timeout is how long that, or the handshake of a new connection, may take.
	Timeout time.Duration `yaml:"timeout"`
	// MaxIdle is how long a connection without calls is kept.
	MaxIdle time.Duration `yaml:"max_idle"`
	// MinClientTime is how often at most a client may ask the server; it is cut off else.
	MinClientTime time.Duration `yaml:"min_client_time"`
}

// DefaultConfig listens on a free port of loopback.
func DefaultConfig() Config {
	return Config{
		Address:            "127.0.0.1:0",
		MaxRequest:         config.MiB,
		MaxConnectionCalls: 100,
		MaxStreams:         1000,
		Keepalive: KeepaliveConfig{
			Time: 30 * time.Second, Timeout: 10 * time.Second, MaxIdle: 15 * time.Minute, MinClientTime: 10 * time.Second,
		},
	}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.TLS.enabled() || config.IsLoopback(c.Address), "address", "%v", ErrPlaintext)
	p.Check((c.TLS.CertFile == "") == (c.TLS.KeyFile == ""), "tls", "needs both cert_file and key_file")
	p.Check(c.MaxRequest > 0 && c.MaxRequest <= math.MaxInt32, "max_request", "must be positive and below 2GiB")
	p.Check(c.MaxConnectionCalls > 0, "max_connection_calls", "must be positive")
	p.Check(c.MaxStreams > 0, "max_streams", "must be positive")
	p.Under("keepalive", c.Keepalive.validate())
	return p.Err()
}

func (c KeepaliveConfig) validate() error {
	var p config.Problems
	// Below a second gRPC would silently take a second.
	p.Check(c.Time >= time.Second, "time", "must be at least 1s")
	p.Check(c.Timeout > 0, "timeout", "must be positive")
	p.Check(c.MaxIdle > 0, "max_idle", "must be positive")
	p.Check(c.MinClientTime > 0, "min_client_time", "must be positive")
	return p.Err()
}

func (c TLSConfig) enabled() bool { return c.CertFile != "" || c.KeyFile != "" }

func (c TLSConfig) load() (*tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("loading the certificate: %w", err)
	}
	return &certificate, nil
}
