package entractl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// Where a gateway is and where its token lies unless told otherwise: as `entraflow up` has it.
const (
	defaultServer    = "127.0.0.1:7300"
	defaultTokenFile = "data/credentials/gateway.token"
	envServer        = "ENTRAFLOW_SERVER"
	envTokenFile     = "ENTRAFLOW_TOKEN_FILE"
)

const (
	// maxAnswer is the largest answer taken: a page is smaller, a single record may be large.
	maxAnswer = 64 << 20
	// maxTokenFile bounds what is read as a token: a path to a wrong file must not fill memory.
	maxTokenFile = 64 << 10
	// The gateway allows a sign of life each ten seconds.
	keepAliveTime    = 20 * time.Second
	keepAliveTimeout = 10 * time.Second
	connectBackoff   = 250 * time.Millisecond
	maxBackoff       = 10 * time.Second
)

// target is the gateway to ask.
type target struct {
	server, tokenFile, caFile string
	tls                       bool
}

// connect prepares a connection; the gateway is dialed at the first call.
func (t *target) connect() (*grpc.ClientConn, error) {
	transport, err := t.transport()
	if err != nil {
		return nil, err
	}
	token, err := t.token()
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(t.server,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(token),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepAliveTime, Timeout: keepAliveTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: connectBackoff, Multiplier: 2, MaxDelay: maxBackoff},
		}),
	)
	if err != nil {
		return nil, usageError{fmt.Errorf("--server %s: %w", t.server, err)}
	}
	return conn, nil
}

func (t *target) transport() (credentials.TransportCredentials, error) {
	if t.caFile == "" && t.tls {
		return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12}), nil
	}
	if t.caFile == "" {
		if !isLoopback(t.server) {
			return nil, usageError{fmt.Errorf("--server %s is not this machine: without TLS the token could be read on the way; use --tls or --ca-file", t.server)}
		}
		return insecure.NewCredentials(), nil
	}
	pem, err := os.ReadFile(t.caFile)
	if err != nil {
		return nil, usageError{fmt.Errorf("--ca-file: %w", err)}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, usageError{fmt.Errorf("--ca-file: %s holds no certificate", t.caFile)}
	}
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}), nil
}

// token reads the token file.
func (t *target) token() (bearer, error) {
	info, err := os.Stat(t.tokenFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no token file %s\n"+
			"The gateway makes it at its first start: run entractl in the folder where `entraflow up` runs,\n"+
			"or name the file with --token-file or %s", t.tokenFile, envTokenFile)
	}
	if err == nil && info.Size() > maxTokenFile {
		err = fmt.Errorf("%s is too large for a token", t.tokenFile)
	}
	if err != nil {
		return "", fmt.Errorf("reading token file: %w", err)
	}
	text, err := os.ReadFile(t.tokenFile)
	if errors.Is(err, fs.ErrPermission) {
		return "", fmt.Errorf("the token file %s belongs to another user: become that user, or ask for a copy", t.tokenFile)
	}
	if err != nil {
		return "", fmt.Errorf("reading token file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("the file %s holds no token", t.tokenFile)
	}
	return bearer(token), nil
}

// bearer sends a token with each call. Transport is decided by target.transport.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (b bearer) RequireTransportSecurity() bool { return false }

func isLoopback(server string) bool {
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
