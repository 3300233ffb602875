package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/status"
)

// Enabled reports whether a certificate is named.
func (c TLSConfig) Enabled() bool { return c.enabled() }

// Listen listens on a host:port as Server does, for a front of it that speaks another protocol. It fails with
// ErrPlaintext for an address outside loopback unless TLS is enabled or allowPlaintext says so, after asking where it
// really listens, and with the error of the files. The connections are bare: the caller adds what Server returns.
func (c TLSConfig) Listen(ctx context.Context, address string, allowPlaintext bool) (net.Listener, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(context.WithoutCancel(ctx), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	// localhost is what the resolver says it is.
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !c.enabled() && !allowPlaintext && (!ok || !addr.IP.IsLoopback()) {
		return nil, errors.Join(fmt.Errorf("listening on %s: %w", listener.Addr(), ErrPlaintext), listener.Close())
	}
	return listener, nil
}

// StatusOf returns what a client sees of an error, as of one that a method returns.
func StatusOf(shown Shown, requestID string) *status.Status { return describe(shown, requestID) }
