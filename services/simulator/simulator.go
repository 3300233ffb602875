// Package simulator plays Microsoft's side for tests, demos and benchmarks: Event Hubs over AMQP, Entra's login and
// Graph over HTTP, with an admin API that appends and replays records, changes tenants and apps, and injects faults. It reads the record files it is told to replay and writes
// certificates where the configuration says; hubs live in memory. It listens on loopback unless it is told
// otherwise, asks for credentials on every port, and never contacts Microsoft.
package simulator

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

// Settings is what the program sets.
type Settings struct {
	app.Settings
	// Announce, if set, is called once when all listeners are open.
	Announce func(Announcement)
}

// Announcement tells how to reach a simulator. Addresses that are not listened on are empty.
type Announcement struct {
	AMQP      string `json:"amqp,omitempty"`
	AMQPS     string `json:"amqps,omitempty"`
	WS        string `json:"ws,omitempty"`
	WSS       string `json:"wss,omitempty"`
	Admin     string `json:"admin,omitempty"`
	TokenStub string `json:"token_stub,omitempty"`
	FakeARM   string `json:"fake_arm,omitempty"`
	// Login is the authority over HTTPS, without a tenant. Graph is the Graph root over HTTPS, without a version, and
	// HTTP the root of both over plain HTTP.
	Login string `json:"login,omitempty"`
	Graph string `json:"graph,omitempty"`
	HTTP  string `json:"http,omitempty"`
	// Tenant is the one that entra.quick makes.
	Tenant *entra.Quick `json:"tenant,omitempty"`
	// AdminToken is the bearer token of the admin API.
	AdminToken string `json:"admin_token,omitempty"`
	// ConnectionString is for the plain AMQP listener and the first namespace.
	ConnectionString string `json:"connection_string,omitempty"`
	CAFile           string `json:"ca_file,omitempty"`
}

// Simulator is a lifecycle.Service.
type Simulator struct {
	cfg   Config
	set   Settings
	hubs  *eventhubs.Server
	entra *entra.Server
	ready chan struct{}
}

// New checks the configuration and builds a simulator. It opens nothing.
func New(cfg Config, set Settings) (*Simulator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	hubs, err := eventhubs.New(cfg.eventHubs(), eventhubs.Settings{Logger: set.Logger, Now: set.Clock.Now})
	if err != nil {
		return nil, err
	}
	directory, err := entra.New(cfg.Entra, entra.Settings{Clock: set.Clock})
	if err != nil {
		return nil, err
	}
	if err := registerMetrics(set.Registry, hubs); err != nil {
		return nil, err
	}
	if cfg.AdminToken.IsZero() {
		token := make([]byte, 24)
		_, _ = rand.Read(token) // never fails, as its documentation promises
		cfg.AdminToken = config.NewSecret(base64.RawURLEncoding.EncodeToString(token))
	}
	return &Simulator{cfg: cfg, set: set, hubs: hubs, entra: directory, ready: make(chan struct{})}, nil
}

// Name is the service's name.
func (s *Simulator) Name() string { return "simulator" }

// Ready is closed when all listeners are open.
func (s *Simulator) Ready() <-chan struct{} { return s.ready }

// EventHubs is the Event Hubs side, for use in the same process. It works before Run, too.
func (s *Simulator) EventHubs() *eventhubs.Server { return s.hubs }

// Entra is the login and Graph side, for use in the same process. It works before Run, too.
func (s *Simulator) Entra() *entra.Server { return s.entra }

// Run listens until ctx ends or a listener fails, then cuts all connections and closes everything it opened.
func (s *Simulator) Run(ctx context.Context) error {
	defer s.hubs.Close()
	ls, err := s.listen(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	ls.serve(ctx, group)
	announcement, err := s.announcement(ls)
	if err != nil {
		ls.close()
		return errors.Join(err, group.Wait())
	}
	if s.set.Announce != nil {
		s.set.Announce(announcement)
	}
	close(s.ready)
	if s.cfg.Replay.Path != "" {
		group.Go(func() error { return s.replay(ctx) })
	}
	<-ctx.Done()
	s.hubs.Close()
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// replay does the configured replay. Its end, or an error, does not end the simulator.
func (s *Simulator) replay(ctx context.Context) error {
	hub, err := s.replayHub()
	if err != nil {
		return err
	}
	result, err := hub.Replay(ctx, eventhubs.ReplayOptions{
		Path: s.cfg.Replay.Path, Rate: s.cfg.Replay.Rate,
		BatchRecords: s.cfg.Replay.BatchRecords, BatchBytes: int(s.cfg.Replay.BatchBytes),
	})
	attrs := []slog.Attr{slog.Int64("records", result.Records), slog.Int64("messages", result.Messages)}
	if err != nil {
		if ctx.Err() == nil {
			s.set.Logger.LogAttrs(ctx, slog.LevelError, "replay failed", append(attrs, slog.Any("err", err))...)
		}
		return nil
	}
	s.set.Logger.LogAttrs(ctx, slog.LevelInfo, "replay done", attrs...)
	return nil
}

func (s *Simulator) replayHub() (*eventhubs.Hub, error) {
	if s.cfg.Replay.Hub != "" {
		return s.hubs.Hub("", s.cfg.Replay.Hub)
	}
	all := s.hubs.Hubs()
	if len(all) == 0 {
		return nil, fmt.Errorf("finding a hub to replay to: %w", eventhubs.ErrNotFound)
	}
	return all[0], nil
}
