package simulator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	"github.com/entraflow/entraflow/services/simulator/internal/admin"
	"github.com/entraflow/entraflow/services/simulator/internal/azurestub"
	"github.com/entraflow/entraflow/services/simulator/internal/httpserver"
)

// listener is an open listener and what serves it until ctx ends.
type listener struct {
	net.Listener
	serve func(ctx context.Context, ln net.Listener) error
}

// listeners are the open listeners by their name in ListenConfig.
type listeners map[string]*listener

func (ls listeners) address(name string) string {
	if l := ls[name]; l != nil {
		return l.Addr().String()
	}
	return ""
}

func (ls listeners) close() {
	for _, l := range ls {
		_ = l.Close() // they are given up because of another error
	}
}

func (ls listeners) serve(ctx context.Context, group *errgroup.Group) {
	for _, l := range ls {
		group.Go(func() error { return l.serve(ctx, l.Listener) })
	}
}

// listen opens all listeners or none.
func (s *Simulator) listen(ctx context.Context) (listeners, error) {
	tlsConfig, err := s.tlsConfig()
	if err != nil {
		return nil, err
	}
	webSocket := http.NewServeMux()
	webSocket.Handle(eventhubs.WebSocketPath, s.hubs.WebSocketHandler())
	serve := map[string]func(context.Context, net.Listener) error{
		"amqp": s.hubs.Serve,
		"amqps": func(ctx context.Context, ln net.Listener) error {
			return s.hubs.Serve(ctx, tls.NewListener(ln, tlsConfig))
		},
		"ws": func(ctx context.Context, ln net.Listener) error { return httpserver.Serve(ctx, ln, webSocket) },
		"wss": func(ctx context.Context, ln net.Listener) error {
			return httpserver.Serve(ctx, tls.NewListener(ln, tlsConfig), webSocket)
		},
		"admin": s.serveAdmin,
		"entra": func(ctx context.Context, ln net.Listener) error {
			return httpserver.Serve(ctx, tls.NewListener(ln, tlsConfig), s.entra)
		},
		"entra_http": func(ctx context.Context, ln net.Listener) error { return httpserver.Serve(ctx, ln, s.entra) },
		"token_stub": func(ctx context.Context, ln net.Listener) error {
			return httpserver.Serve(ctx, ln, azurestub.Tokens(time.Now))
		},
		"fake_arm": func(ctx context.Context, ln net.Listener) error {
			return azurestub.ServeResourceManager(ctx, ln, tlsConfig, switchboard{s.hubs})
		},
	}
	ls := make(listeners)
	for _, a := range s.cfg.Listen.all() {
		if a.address == "" {
			continue
		}
		var listenConfig net.ListenConfig
		ln, err := listenConfig.Listen(ctx, "tcp", a.address)
		if err != nil {
			ls.close()
			return nil, fmt.Errorf("listening for %s: %w", a.name, err)
		}
		ls[a.name] = &listener{Listener: ln, serve: serve[a.name]}
	}
	return ls, nil
}

func (s *Simulator) serveAdmin(ctx context.Context, ln net.Listener) error {
	api := admin.New(ctx, s.hubs, s.cfg.AdminToken)
	api.Mount(entra.AdminPrefix, s.entra.AdminHandler())
	defer api.Close()
	return httpserver.Serve(ctx, ln, api)
}

// switchboard lets the fake of Resource Manager enable and disable hubs of the first namespace.
type switchboard struct{ hubs *eventhubs.Server }

func (s switchboard) SetEnabled(hub string, enabled bool) error {
	h, err := s.hubs.Hub("", hub)
	if err == nil {
		h.SetEnabled(enabled)
	}
	return err
}

func (s switchboard) Enabled(hub string) (bool, error) {
	h, err := s.hubs.Hub("", hub)
	if err != nil {
		return false, err
	}
	return h.Enabled(), nil
}

func (s *Simulator) announcement(ls listeners) (Announcement, error) {
	a := Announcement{
		AMQP: ls.address("amqp"), AMQPS: ls.address("amqps"), Admin: ls.address("admin"),
		TokenStub: ls.address("token_stub"), FakeARM: ls.address("fake_arm"),
		WS: ls.address("ws"), WSS: ls.address("wss"), CAFile: s.cfg.TLS.CAOut,
	}
	if err := s.announceEntra(ls, &a); err != nil {
		return a, err
	}
	if a.Admin != "" {
		a.AdminToken = s.cfg.AdminToken.Reveal()
	}
	if a.AMQP == "" {
		return a, nil
	}
	var err error
	a.ConnectionString, err = s.hubs.ConnectionString("", a.AMQP, true)
	if errors.Is(err, eventhubs.ErrNotFound) {
		// No key has all claims: whoever configured the keys knows them.
		return a, nil
	}
	return a, err
}

// announceEntra makes the quick tenant and tells where the login and Graph are.
func (s *Simulator) announceEntra(ls listeners, a *Announcement) error {
	if address := ls.address("entra"); address != "" {
		a.Login, a.Graph = "https://"+address, "https://"+address
	}
	if address := ls.address("entra_http"); address != "" {
		a.HTTP = "http://" + address
	}
	if !s.cfg.Entra.Quick.Enabled {
		return nil
	}
	quick, err := s.entra.StartQuick()
	a.Tenant = &quick
	return err
}
