package bus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
)

// DefaultURL is where the embedded server listens.
const DefaultURL = "nats://127.0.0.1:4222"

const (
	connectTimeout = 5 * time.Second
	reconnectWait  = 250 * time.Millisecond
	reconnectSlack = 250 * time.Millisecond
	pingInterval   = 10 * time.Second
	// requestTimeout bounds each request to JetStream's API that has no deadline of its own.
	requestTimeout = 5 * time.Second
)

// Config is the section of a service that says how to reach NATS.
type Config struct {
	// URL has the servers, separated by commas.
	URL string `yaml:"url"`
	// User is the NATS user: the service's name, "reader" or "operator".
	User string `yaml:"user"`
	// Password is the user's.
	Password config.Secret `yaml:"password"`
	// TLS says how the server is verified. Empty fields: not at all with nats://, by the
	// system's roots with tls://.
	TLS TLSConfig `yaml:"tls"`
	// MaxInFlight bounds the messages of a Publisher that wait for their PubAck.
	MaxInFlight int `yaml:"max_in_flight"`
	// MaxInFlightBytes bounds their bytes. A single message may be larger.
	MaxInFlightBytes config.Bytes `yaml:"max_in_flight_bytes"`
}

// TLSConfig names PEM files.
type TLSConfig struct {
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// DefaultConfig returns the config of a service that talks to the embedded server.
func DefaultConfig() Config {
	return Config{URL: DefaultURL, MaxInFlight: 4096, MaxInFlightBytes: 64 * config.MiB}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.URL != "", "url", "must be set")
	p.Check(c.MaxInFlight > 0, "max_in_flight", "must be positive")
	p.Check(c.MaxInFlightBytes > 0, "max_in_flight_bytes", "must be positive")
	p.Check((c.TLS.CertFile == "") == (c.TLS.KeyFile == ""), "tls", "needs cert_file and key_file together")
	return p.Err()
}

// Settings are what the program gives a connection. The zero value logs and measures nothing.
type Settings struct {
	// Service is the name of the service: of the connection, and of who gave up in a dead letter.
	Service string
	// InProcess connects to an embedded server without a socket; Config.URL is not used then.
	InProcess  nats.InProcessConnProvider
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Clock      clock.Clock
}

// Conn is a connection to NATS as one user. It is safe for concurrent use. It reconnects for as long
// as it is open; whoever called Connect closes it, after everything that was made with it.
type Conn struct {
	cfg     Config
	set     Settings
	nats    *nats.Conn
	js      jetstream.JetStream
	metrics *metrics
	closed  chan struct{}

	mu         sync.Mutex
	publishers map[*Publisher]struct{} // to be told what was denied
}

// Connect connects, waiting for the server until ctx is done. It fails at once if the server
// refuses the user.
func Connect(ctx context.Context, cfg Config, set Settings) (*Conn, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("connecting to nats: %w", err)
	}
	if set.Logger == nil {
		set.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(set.Registerer)
	if err != nil {
		return nil, err
	}
	c := &Conn{cfg: cfg, set: set, metrics: m, closed: make(chan struct{}), publishers: map[*Publisher]struct{}{}}
	options, err := c.options()
	if err != nil {
		return nil, fmt.Errorf("connecting to nats: %w", err)
	}
	if c.nats, err = dial(ctx, cfg.URL, options); err != nil {
		return nil, fmt.Errorf("connecting to nats: %w", err)
	}
	if c.js, err = jetstream.New(c.nats, jetstream.WithDefaultTimeout(requestTimeout)); err != nil {
		c.Close()
		return nil, fmt.Errorf("connecting to nats: %w", err)
	}
	m.connected.WithLabelValues(set.Service).Set(1)
	return c, nil
}

// JetStream returns the JetStream context for what this package has no function for. It lives as
// long as the connection.
func (c *Conn) JetStream() jetstream.JetStream { return c.js }

// NATS returns the connection itself, for subscriptions without JetStream and NATS micro.
func (c *Conn) NATS() *nats.Conn { return c.nats }

// Service is the name of the service that connected.
func (c *Conn) Service() string { return c.set.Service }

// Close sends what is buffered, closes the connection and waits until its callbacks are done.
func (c *Conn) Close() {
	if c.nats.IsConnected() {
		_ = c.nats.FlushTimeout(time.Second) // best effort: what needs an answer has waited for it
	}
	c.nats.Close()
	<-c.closed
	c.metrics.connected.WithLabelValues(c.set.Service).Set(0)
}

// dial tries until it works, the server refuses the user, or ctx is done. It does not leave that to
// nats.RetryOnFailedConnect, which hides why it does not work.
func dial(ctx context.Context, url string, options []nats.Option) (*nats.Conn, error) {
	for {
		conn, err := nats.Connect(url, options...)
		if err == nil || errors.Is(err, nats.ErrAuthorization) {
			return conn, err
		}
		timer := time.NewTimer(reconnectWait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, errors.Join(err, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

func (c *Conn) options() ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name(c.set.Service),
		nats.UserInfo(c.cfg.User, c.cfg.Password.Reveal()),
		nats.CustomInboxPrefix(InboxPrefix(c.cfg.User)),
		nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectSlack, reconnectSlack),
		nats.PingInterval(pingInterval),
		// The password may be wrong for a while when it is rotated.
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.disconnected(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { c.reconnected() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.asyncError(err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(c.closed) }),
	}
	if c.set.InProcess != nil {
		options = append(options, nats.InProcessServer(c.set.InProcess))
	}
	if c.cfg.TLS != (TLSConfig{}) {
		tlsConfig, err := c.cfg.TLS.load()
		if err != nil {
			return nil, err
		}
		options = append(options, nats.Secure(tlsConfig))
	}
	return options, nil
}

func (c *Conn) disconnected(err error) {
	if err == nil {
		return // closed by us
	}
	c.metrics.connected.WithLabelValues(c.set.Service).Set(0)
	c.set.Logger.Warn("nats connection lost", slog.Any("err", err))
}

func (c *Conn) reconnected() {
	c.metrics.connected.WithLabelValues(c.set.Service).Set(1)
	c.set.Logger.Info("nats connection restored")
}

func (c *Conn) asyncError(err error) {
	c.metrics.asyncErrors.WithLabelValues(c.set.Service).Inc()
	c.set.Logger.Warn("nats reported an error", slog.Any("err", err))
	if subject, ok := deniedSubject(err); ok {
		c.mu.Lock()
		publishers := slices.Collect(maps.Keys(c.publishers))
		c.mu.Unlock()
		for _, p := range publishers {
			p.fail(fmt.Errorf("%w: %w", ErrDenied, err), func(s *slot) bool { return s.subject == subject })
		}
	}
}

func (c *Conn) watchDenied(p *Publisher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.publishers[p] = struct{}{}
}

func (c *Conn) forgetDenied(p *Publisher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.publishers, p)
}

// deniedSubject finds what could not be published to. The server answers no denied request: without
// this the publisher would wait and try again for ever.
func deniedSubject(err error) (string, bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return "", false
	}
	_, rest, ok := strings.Cut(strings.ToLower(err.Error()), "for publish to \"")
	if !ok {
		return "", false
	}
	start := len(err.Error()) - len(rest)
	subject, _, ok := strings.Cut(err.Error()[start:], "\"")
	return subject, ok
}

// load reads the files.
func (c TLSConfig) load() (*tls.Config, error) {
	loaded := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading ca file: %w", err)
		}
		loaded.RootCAs = x509.NewCertPool()
		if !loaded.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading ca file: %s holds no certificate", c.CAFile)
		}
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading client certificate: %w", err)
		}
		loaded.Certificates = []tls.Certificate{cert}
	}
	return loaded, nil
}
