package eventhubs

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a set of Event Hubs namespaces. All methods are safe for concurrent use.
type Server struct {
	cfg        Config
	set        Settings
	namespaces []*namespace
	faults     faults
	counters   counters

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
	active sync.WaitGroup
}

type namespace struct {
	cfg  NamespaceConfig
	keys map[string]key

	mu   sync.RWMutex
	hubs map[string]*Hub
}

type key struct {
	secret string
	rights right
}

type counters struct {
	connections, tokensAccepted, tokensRefused, linksRefused, deliveriesRejected atomic.Int64
}

// New checks the configuration and builds the server. It opens and starts nothing. Faults of the configuration are
// returned joined.
func New(cfg Config, set Settings) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking eventhubs configuration: %w", err)
	}
	if set.Logger == nil {
		set.Logger = slog.New(slog.DiscardHandler)
	}
	if set.Now == nil {
		set.Now = time.Now
	}
	if set.TokenNow == nil {
		set.TokenNow = time.Now
	}
	s := &Server{cfg: cfg, set: set, conns: make(map[*conn]struct{})}
	for _, c := range cfg.Namespaces {
		ns := newNamespace(c)
		for _, h := range c.Hubs {
			if _, err := s.addHub(ns, h); err != nil {
				return nil, fmt.Errorf("checking eventhubs configuration: %w", err)
			}
		}
		s.namespaces = append(s.namespaces, ns)
	}
	return s, nil
}

func newNamespace(cfg NamespaceConfig) *namespace {
	cfg.Keys = slices.Clone(cfg.Keys)
	if len(cfg.Keys) == 0 {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret) // never fails, as its documentation promises
		cfg.Keys = []KeyConfig{{Name: DefaultKeyName, Secret: base64.StdEncoding.EncodeToString(secret)}}
	}
	ns := &namespace{cfg: cfg, keys: make(map[string]key), hubs: make(map[string]*Hub)}
	for _, k := range cfg.Keys {
		rights, _ := parseClaims(k.Claims) // Validate has seen them
		ns.keys[k.Name] = key{secret: k.Secret, rights: rights}
	}
	return ns
}

func (n *namespace) hub(name string) *Hub {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.hubs[strings.ToLower(name)]
}

// route returns the namespace of the first host name that one claims, and the first namespace if none does.
func (s *Server) route(hosts ...string) *namespace {
	for _, host := range hosts {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		for _, ns := range s.namespaces {
			if ns.claims(host) {
				return ns
			}
		}
	}
	return s.namespaces[0]
}

func (n *namespace) claims(host string) bool {
	same := func(name string) bool { return strings.EqualFold(name, host) }
	return same(n.cfg.Name) || slices.ContainsFunc(n.cfg.Hosts, same)
}

func (s *Server) namespace(name string) (*namespace, error) {
	if name == "" {
		return s.namespaces[0], nil
	}
	for _, ns := range s.namespaces {
		if strings.EqualFold(ns.cfg.Name, name) {
			return ns, nil
		}
	}
	return nil, fmt.Errorf("namespace %q: %w", name, ErrNotFound)
}

// CreateHub adds a hub to a namespace ("" is the first). It returns ErrExists or ErrNotFound.
func (s *Server) CreateHub(namespace string, cfg HubConfig) (*Hub, error) {
	ns, err := s.namespace(namespace)
	if err != nil {
		return nil, err
	}
	return s.addHub(ns, cfg)
}

func (s *Server) addHub(ns *namespace, cfg HubConfig) (*Hub, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("creating hub %q: %w", cfg.Name, err)
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	name := strings.ToLower(cfg.Name)
	if _, exists := ns.hubs[name]; exists {
		return nil, fmt.Errorf("creating hub %q: %w", cfg.Name, ErrExists)
	}
	h := newHub(s, ns, cfg)
	ns.hubs[name] = h
	return h, nil
}

// Hub returns a hub of a namespace ("" is the first), or ErrNotFound.
func (s *Server) Hub(namespace, name string) (*Hub, error) {
	ns, err := s.namespace(namespace)
	if err != nil {
		return nil, err
	}
	if h := ns.hub(name); h != nil {
		return h, nil
	}
	return nil, fmt.Errorf("hub %q: %w", name, ErrNotFound)
}

// ConnectionString returns a connection string for a namespace ("" is the first) with the first key that has all
// claims, without an EntityPath. endpoint is what clients dial, host[:port]; emulator adds
// UseDevelopmentEmulator=true, which makes clients use plain AMQP and any port.
func (s *Server) ConnectionString(namespace, endpoint string, emulator bool) (string, error) {
	ns, err := s.namespace(namespace)
	if err != nil {
		return "", err
	}
	for _, k := range ns.cfg.Keys {
		if ns.keys[k.Name].rights != rightAll {
			continue
		}
		text := fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s", endpoint, k.Name, k.Secret)
		if emulator {
			text += ";UseDevelopmentEmulator=true"
		}
		return text, nil
	}
	return "", fmt.Errorf("key with all claims in namespace %q: %w", ns.cfg.Name, ErrNotFound)
}

// Serve takes AMQP connections from a listener (plain or TLS) until ctx ends or the listener fails. It closes the
// listener and the connections it took, and returns nil if ctx ended it.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	for {
		nc, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("accepting AMQP connection: %w", err)
		}
		conns.Go(func() {
			if err := s.ServeConn(ctx, nc); err != nil {
				s.set.Logger.DebugContext(ctx, "connection ended", slog.Any("err", err))
			}
		})
	}
}

// ServeConn speaks AMQP on one connection until the client leaves, ctx ends or the protocol is broken. It closes nc.
// It returns nil if the client closed the connection, and ErrClosed after Close.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn) error {
	c := newConn(s, nc)
	if err := s.register(c); err != nil {
		_ = nc.Close()
		return err
	}
	defer s.active.Done()
	defer s.unregister(c)
	return c.serve(ctx)
}

func (s *Server) register(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if len(s.conns) >= s.cfg.MaxConnections {
		return fmt.Errorf("taking connection: %d are open, the bound", len(s.conns))
	}
	s.conns[c] = struct{}{}
	s.counters.connections.Add(1)
	s.active.Add(1)
	return nil
}

func (s *Server) unregister(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// Close cuts all connections and waits until their goroutines have ended. Hubs keep their events; connections that
// come later are refused.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, c := range s.connections() {
		c.cut()
	}
	s.active.Wait()
}
