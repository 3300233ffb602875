package gateway

import (
	"context"
	"time"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/services/gateway/internal/rest"
)

// front is the config of the HTTP server with what it has of the gRPC server.
func (c Config) front() rest.Config {
	front := c.HTTP
	if !front.TLS.Enabled() {
		front.TLS = c.GRPC.TLS
	}
	return front
}

// HTTPURL returns where the gateway serves HTTP, such as http://127.0.0.1:7301; empty if it does not. It must not be
// called before Ready is closed.
func (s *Service) HTTPURL() string {
	switch {
	case s.boundHTTP == nil:
		return ""
	case s.cfg.front().TLS.Enabled():
		return "https://" + s.boundHTTP.String()
	default:
		return "http://" + s.boundHTTP.String()
	}
}

// frontOf returns the HTTP server over the gRPC server; nil if there shall be none.
func (s *Service) frontOf(server *grpcserver.Server) (*rest.Server, error) {
	if s.cfg.HTTP.Address == "" {
		return nil, nil //nolint:nilnil // without one there is nothing to go wrong
	}
	return rest.New(s.cfg.front(), rest.Settings{
		Dial: server.DialInProcess, Logger: s.set.Logger, Metrics: s.metrics.http,
		SendTimeout: s.cfg.Subscribe.SendTimeout, KeepAlive: s.cfg.Subscribe.KeepAlive,
	})
}

// listen runs the servers until ctx is done: HTTP stops first, while its calls still have a server. bound is called when
// both listen.
func (s *Service) listen(ctx context.Context, server *grpcserver.Server, bound func()) error {
	front, err := s.frontOf(server)
	if err != nil {
		return err
	}
	services := []lifecycle.Service{server}
	if front != nil {
		services = []lifecycle.Service{front, server}
	}
	group := lifecycle.NewGroup(s.drain(), services...)
	done := make(chan error, 1)
	go func() { done <- group.Run(ctx) }()
	select {
	case <-group.Ready():
		s.bound = server.Addr()
		if front != nil {
			s.boundHTTP = front.Addr()
		}
		bound()
	case err := <-done:
		return err
	}
	return <-done
}

// drain is the time that both servers have to stop in; the program's budget ends it too.
func (s *Service) drain() time.Duration {
	if s.set.Drain > 0 {
		return s.set.Drain
	}
	return lifecycle.DefaultDrain
}
