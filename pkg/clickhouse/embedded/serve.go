package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Limits of the listener. Statements have their own; rows may take as long as they take.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 5 * time.Minute
)

// Serve answers the ClickHouse HTTP interface on listener until ctx ends, then waits at most drain for
// the requests under way, cuts off the rest, and returns nil. It closes the listener, not the engine.
func Serve(ctx context.Context, listener net.Listener, engine *Engine, drain time.Duration) error {
	server := &http.Server{Handler: engine, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving clickhouse: %w", err)
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving clickhouse: %w", err)
	}
	return nil
}
