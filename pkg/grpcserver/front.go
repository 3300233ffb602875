package grpcserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/status"
)

// Enabled reports whether a certificate is named.
func (c TLSConfig) Enabled() bool { return c.enabled() }

// Listen listens on a host:port as Server does, for a front of it that speaks another protocol: with TLS if it is
// enabled, on loopback alone otherwise. It fails with ErrPlaintext for another address without TLS, after asking where
// it really listens, and with the error of the files. protocols are offered to TLS clients by ALPN.
func (c TLSConfig) Listen(ctx context.Context, address string, protocols ...string) (net.Listener, error) {
	if c.enabled() {
		if _, err := c.load(); err != nil {
			return nil, err
		}
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(context.WithoutCancel(ctx), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	if c.enabled() {
		return tls.NewListener(listener, &tls.Config{
			MinVersion: tls.VersionTLS13,
			NextProtos: protocols,
			// The files are read for each connection: they may be renewed meanwhile.
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.load() },
		}), nil
	}
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("listening on %s: %w", listener.Addr(), ErrPlaintext), listener.Close())
	}
	return listener, nil
}

// StatusOf returns what a client sees of an error, as of one that a method returns.
func StatusOf(shown Shown, requestID string) *status.Status { return describe(shown, requestID) }
