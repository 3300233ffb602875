// Package natsserver runs nats-server with JetStream inside the process: for the one-process
// program, for tests, and as a program of its own (cmd/nats-embedded).
//
// It owns its store directory, listens on the address it is given, loopback by default, and in the
// process; it makes one user for each service, reader and operator, with passwords in files of mode 0600 and the
// permissions of the topology; it makes the topology's streams and buckets. Nobody without one of the passwords
// can do anything. It has no monitoring port and leaves signals alone.
package natsserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
)

// Durability says what an acknowledged message survives.
type Durability string

// Durabilities.
const (
	// DurabilityProcess survives the death of any process: the operating system has the bytes.
	DurabilityProcess Durability = "process"
	// DurabilityPower survives a power cut: each write is synced, at a fraction of the speed.
	DurabilityPower Durability = "power"
)

// MaxPayload is the largest message with its headers.
const MaxPayload = 8 * config.MiB

const (
	// maxPending is what a client may be behind before the server drops its connection: more than
	// the largest pull of a Consumer.
	maxPending = 128 * config.MiB
	// maxStore is no limit. Each stream and bucket has its own, and their sum may exceed the disk.
	maxStore     = 1024 * config.TiB
	readyTimeout = 30 * time.Second
	// readyPoll is how often a server that is not ready is asked whether it has given up.
	readyPoll = 100 * time.Millisecond
)

var errNotReady = errors.New("nats server not ready")

// ErrStoreInUse is returned by Start if another process has the store open.
var ErrStoreInUse = errors.New("store in use by another process")

// Config is the section of a program that embeds the server.
type Config struct {
	// Listen is host:port; port 0 picks a free one. Empty listens only inside the process.
	Listen string `yaml:"listen"`
	// Durability is process or power.
	Durability Durability `yaml:"durability"`
	// Topology overrides limits of streams.
	Topology bus.Options `yaml:"topology"`
}

// DefaultConfig listens on loopback and survives the death of processes.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:4222", Durability: DurabilityProcess}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	if c.Listen != "" {
		_, _, err := c.address()
		p.Check(err == nil, "listen", "must be host:port")
	}
	p.Check(c.Durability == DurabilityProcess || c.Durability == DurabilityPower, "durability", "must be process or power")
	p.Under("topology", c.Topology.Validate())
	return p.Err()
}

// Settings are what the program gives the server.
type Settings struct {
	// Store is the directory of the streams, Credentials that of the password files.
	Store, Credentials string
	Logger             *slog.Logger
}

// Server is an embedded nats-server.
type Server struct {
	cfg       Config
	set       Settings
	passwords map[string]config.Secret
	log       *logger
	nats      *server.Server
	lock      *storeLock
	ready     chan struct{} // closed once it takes connections
}

// New validates; it opens and writes nothing.
func New(cfg Config, set Settings) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("embedding nats: %w", err)
	}
	if set.Logger == nil {
		set.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, set: set, log: &logger{to: set.Logger}, ready: make(chan struct{})}, nil
}

// Name is the server's as a lifecycle.Service.
func (s *Server) Name() string { return "nats" }

// Ready is closed once the server takes connections and the topology is made.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run starts the server and shuts it down when ctx is done.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before it was ready
		}
		return err
	}
	<-ctx.Done()
	s.Shutdown()
	return nil
}

// Start is the first half of Run: it makes the credentials, opens the store, listens, and makes the topology. When it returns nil
// the server takes connections and must be shut down. It is called once.
func (s *Server) Start(ctx context.Context) error {
	err := s.start(ctx)
	if err != nil {
		s.Shutdown()
		return fmt.Errorf("starting nats: %w", err)
	}
	return nil
}

func (s *Server) start(ctx context.Context) (err error) {
	if s.passwords, err = Credentials(s.set.Credentials); err != nil {
		return err
	}
	if s.lock, err = lockStore(s.set.Store); err != nil {
		return err
	}
	options, err := s.options()
	if err != nil {
		return err
	}
	if s.nats, err = server.NewServer(options); err != nil {
		return err
	}
	s.nats.SetLoggerV2(s.log, false, false, false)
	s.nats.Start()
	for began := time.Now(); !s.nats.ReadyForConnections(readyPoll); {
		if fatal := s.log.fatal.Load(); fatal != nil {
			return errors.New(*fatal)
		}
		if time.Since(began) > readyTimeout {
			return errors.New("not ready in time")
		}
	}
	if err := s.ensure(ctx); err != nil {
		return err
	}
	close(s.ready)
	return nil
}

// Shutdown closes the connections, writes the store's state and waits for the end. It may be called twice.
func (s *Server) Shutdown() {
	if s.nats != nil {
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
	}
	s.lock.release()
	s.lock = nil
}

// InProcessConn connects without a socket: the server is a nats.InProcessConnProvider. Before
// Ready it fails, and bus.Connect tries again.
func (s *Server) InProcessConn() (net.Conn, error) {
	select {
	case <-s.ready:
		return s.nats.InProcessConn()
	default:
		return nil, errNotReady
	}
}

// URL is where the server listens: with the port that was picked. It is empty if it does not listen.
func (s *Server) URL() string {
	if s.cfg.Listen == "" {
		return ""
	}
	return s.nats.ClientURL()
}

// Password returns the password of a user. The server must be started.
func (s *Server) Password(user string) config.Secret { return s.passwords[user] }

// Config returns the config that connects a service of this process as its user.
func (s *Server) Config(user string) bus.Config {
	cfg := bus.DefaultConfig()
	cfg.User, cfg.Password = user, s.Password(user)
	if s.cfg.Listen != "" {
		cfg.URL = s.URL()
	}
	return cfg
}

func (s *Server) ensure(ctx context.Context) error {
	conn, err := bus.Connect(ctx, s.Config(bus.UserOperator), bus.Settings{
		Service: bus.UserOperator, InProcess: s.nats, Logger: s.set.Logger,
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	return bus.Ensure(ctx, conn.JetStream(), s.cfg.Topology)
}

func (s *Server) options() (*server.Options, error) {
	options := new(server.Options)
	// The users are those of a cluster; only the passwords are the configuration's own.
	if err := options.ProcessConfigString(s.variables() + bus.PermissionsConf()); err != nil {
		return nil, fmt.Errorf("configuring users: %w", err)
	}
	options.ServerName = "entraflow"
	options.NoSigs = true
	options.MaxPayload = int32(MaxPayload)
	options.MaxPending = int64(maxPending)
	options.JetStream = true
	options.StoreDir = filepath.Clean(s.set.Store)
	options.JetStreamMaxStore = int64(maxStore)
	options.SyncAlways = s.cfg.Durability == DurabilityPower
	if s.cfg.Listen == "" {
		options.DontListen = true
		return options, nil
	}
	var err error
	if options.Host, options.Port, err = s.cfg.address(); err != nil {
		return nil, err
	}
	if options.Port == 0 {
		options.Port = server.RANDOM_PORT
	}
	return options, nil
}

// variables are the passwords as nats-server's configuration has them.
func (s *Server) variables() string {
	var b strings.Builder
	for _, user := range bus.Users() {
		fmt.Fprintf(&b, "%s: %q\n", bus.PasswordVariable(user), s.passwords[user].Reveal())
	}
	return b.String()
}

func (c Config) address() (host string, port int, err error) {
	host, text, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", 0, err
	}
	number, err := strconv.ParseUint(text, 10, 16)
	return host, int(number), err
}
