package grpcserver

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"os"
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
	// MaxHeader bounds the headers of a call together, as HTTP/2 counts them.
	MaxHeader config.Bytes `yaml:"max_header"`
	// MaxConnections bounds the open connections; more wait to be accepted.
	MaxConnections int `yaml:"max_connections"`
	// RequestTimeout is how long the message of a call that has one may take to come, once the caller is known.
	RequestTimeout time.Duration `yaml:"request_timeout"`
	// MaxConnectionCalls bounds the calls open at once on one connection; more wait.
	MaxConnectionCalls uint32 `yaml:"max_connection_calls"`
	// MaxStreams bounds the streaming calls open at once on all connections; more are
	// refused with ResourceExhausted and TOO_MANY_STREAMS.
	MaxStreams int `yaml:"max_streams"`
	// RecheckStreams is how often it is asked whether the caller of an open stream may still have it.
	RecheckStreams time.Duration `yaml:"recheck_streams"`
	// PerCaller bounds what one caller may take of all this.
	PerCaller CallerConfig    `yaml:"per_caller"`
	Keepalive KeepaliveConfig `yaml:"keepalive"`
	// AllowPlaintextOnPublicAddress lets the server listen outside loopback without TLS: for a proxy in front that has
	// it. Tokens can then be read between the two.
	AllowPlaintextOnPublicAddress bool `yaml:"allow_plaintext_on_public_address"`
}

// TLSConfig names the files of the server's certificate; both or none.
type TLSConfig struct {
	// CertFile has the certificate and its chain, KeyFile the key, as PEM. They are read
	// again for each connection.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// ClientCAFile has the authorities that sign clients' certificates, as PEM. Empty: clients are not asked for one.
	ClientCAFile string `yaml:"client_ca_file"`
	// RequireClientCertificate lets nobody in without one; a token may be needed besides, to say who it is.
	RequireClientCertificate bool `yaml:"require_client_certificate"`
}

// KeepaliveConfig finds connections that are dead while a stream waits on them.
type KeepaliveConfig struct {
	// Time is how long a connection is silent before it is asked for a sign of life.
	Time time.Duration `yaml:"time"`
	// Timeout is how long that, or the handshake of a new connection, may take.
	Timeout time.Duration `yaml:"timeout"`
	// MaxIdle is how long a connection without calls is kept.
	MaxIdle time.Duration `yaml:"max_idle"`
	// MaxAge is how long a connection is used, give or take a tenth: the certificates of both sides are judged when one is
	// made. Calls under way then have MaxAgeGrace to end; streams that outlast it are cut off with Unavailable.
	MaxAge      time.Duration `yaml:"max_age"`
	MaxAgeGrace time.Duration `yaml:"max_age_grace"`
	// MinClientTime is how often at most a client may ask the server; it is cut off else.
	MinClientTime time.Duration `yaml:"min_client_time"`
}

// DefaultConfig listens on a free port of loopback.
func DefaultConfig() Config {
	return Config{
		Address:            "127.0.0.1:0",
		MaxRequest:         config.MiB,
		MaxHeader:          32 * config.KiB,
		MaxConnections:     4096,
		RequestTimeout:     30 * time.Second,
		MaxConnectionCalls: 100,
		MaxStreams:         1000,
		RecheckStreams:     15 * time.Second,
		PerCaller:          CallerConfig{Rate: 50, Burst: 200, MaxCalls: 32, MaxStreams: 100},
		Keepalive: KeepaliveConfig{
			Time: 30 * time.Second, Timeout: 10 * time.Second, MaxIdle: 15 * time.Minute,
			MaxAge: time.Hour, MaxAgeGrace: time.Minute, MinClientTime: 10 * time.Second,
		},
	}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.TLS.enabled() || c.AllowPlaintextOnPublicAddress || config.IsLoopback(c.Address), "address", "%v", ErrPlaintext)
	p.Under("tls", c.TLS.Validate())
	p.Check(c.MaxRequest > 0 && c.MaxRequest <= math.MaxInt32, "max_request", "must be positive and below 2GiB")
	p.Check(c.MaxHeader >= config.KiB && c.MaxHeader <= config.MiB, "max_header", "must be between 1KiB and 1MiB")
	p.Check(c.MaxConnections > 0, "max_connections", "must be positive")
	p.Check(c.RequestTimeout > 0, "request_timeout", "must be positive")
	p.Check(c.MaxConnectionCalls > 0, "max_connection_calls", "must be positive")
	p.Check(c.MaxStreams > 0, "max_streams", "must be positive")
	p.Check(c.RecheckStreams > 0, "recheck_streams", "must be positive")
	p.Under("per_caller", c.PerCaller.validate())
	p.Under("keepalive", c.Keepalive.validate())
	return p.Err()
}

func (c CallerConfig) validate() error {
	var p config.Problems
	p.Check(c.Rate > 0, "rate", "must be positive")
	p.Check(c.Burst > 0, "burst", "must be positive")
	p.Check(c.MaxCalls > 0, "max_calls", "must be positive")
	p.Check(c.MaxStreams > 0, "max_streams", "must be positive")
	return p.Err()
}

func (c KeepaliveConfig) validate() error {
	var p config.Problems
	// Below a second gRPC would silently take a second.
	p.Check(c.Time >= time.Second, "time", "must be at least 1s")
	p.Check(c.Timeout > 0, "timeout", "must be positive")
	p.Check(c.MaxIdle > 0, "max_idle", "must be positive")
	p.Check(c.MaxAge > 0, "max_age", "must be positive")
	p.Check(c.MaxAgeGrace > 0, "max_age_grace", "must be positive")
	p.Check(c.MinClientTime > 0, "min_client_time", "must be positive")
	return p.Err()
}

// Validate names every fault by its key.
func (c TLSConfig) Validate() error {
	var p config.Problems
	p.Check((c.CertFile == "") == (c.KeyFile == ""), "cert_file", "needs key_file beside it, and that this one")
	p.Check(c.ClientCAFile == "" || c.enabled(), "client_ca_file", "needs cert_file and key_file")
	p.Check(!c.RequireClientCertificate || c.ClientCAFile != "", "require_client_certificate", "needs client_ca_file")
	return p.Err()
}

func (c TLSConfig) enabled() bool { return c.CertFile != "" || c.KeyFile != "" }

// Server returns the TLS of a server; nil if there is no certificate. It reads nothing: certificate and authorities are
// read for each connection, since they may be renewed while the server runs.
func (c TLSConfig) Server() *tls.Config {
	if !c.enabled() {
		return nil
	}
	made := &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.load() },
	}
	if c.ClientCAFile == "" {
		return made
	}
	made.ClientAuth = tls.VerifyClientCertIfGiven
	if c.RequireClientCertificate {
		made.ClientAuth = tls.RequireAndVerifyClientCert
	}
	template := made.Clone()
	made.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		authorities, err := c.authorities()
		if err != nil {
			return nil, err
		}
		own := template.Clone()
		own.ClientCAs = authorities
		return own, nil
	}
	return made
}

// Check reads the files once, to name at the start what is wrong with them.
func (c TLSConfig) Check() error {
	if !c.enabled() {
		return nil
	}
	if _, err := c.load(); err != nil {
		return err
	}
	if c.ClientCAFile == "" {
		return nil
	}
	_, err := c.authorities()
	return err
}

func (c TLSConfig) authorities() (*x509.CertPool, error) {
	text, err := os.ReadFile(c.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of clients: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading the authorities of clients: %s holds no certificate", c.ClientCAFile)
	}
	return pool, nil
}

func (c TLSConfig) load() (*tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("loading the certificate: %w", err)
	}
	return &certificate, nil
}
