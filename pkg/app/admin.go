package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/telemetry"
)

// Bounds of the admin server: its answers are small and its clients near.
const (
	adminTimeout        = 10 * time.Second
	adminMaxHeaderBytes = 16 * config.KiB
)

// admin is the lifecycle.Service that serves telemetry.Admin.
type admin struct {
	address string
	handler http.Handler
	ready   chan struct{}
	bound   net.Addr // set before ready is closed
}

func newAdmin(address string, shown telemetry.Admin) *admin {
	return &admin{address: address, handler: shown.Handler(), ready: make(chan struct{})}
}

func (a *admin) Name() string           { return "admin" }
func (a *admin) Ready() <-chan struct{} { return a.ready }

// addr returns where it listens, once it is ready; "" if nowhere.
func (a *admin) addr() string {
	if a.bound == nil {
		return ""
	}
	return a.bound.String()
}

func (a *admin) Run(ctx context.Context) error {
	if a.address == "" {
		close(a.ready)
		<-ctx.Done()
		return nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(context.WithoutCancel(ctx), "tcp", a.address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{
		Handler: a.handler, ReadTimeout: adminTimeout, WriteTimeout: adminTimeout, IdleTimeout: adminTimeout,
		MaxHeaderBytes: int(adminMaxHeaderBytes),
	}
	a.bound = listener.Addr()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	close(a.ready)
	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	return shutdown(ctx, server, served)
}

// shutdown lets requests end, and cuts off those that outlast the drain budget.
func shutdown(ctx context.Context, server *http.Server, served <-chan error) error {
	drain, cancel := lifecycle.Draining(ctx)
	defer cancel()
	err := server.Shutdown(drain)
	if err != nil {
		err = errors.Join(fmt.Errorf("draining: %w", err), server.Close())
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serving: %w", ended))
	}
	return err
}
