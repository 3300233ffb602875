package entractl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/entraflow/entraflow/services/entractl/internal/issuer"
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
	connectTimeout   = 20 * time.Second
	maxBackoff       = 10 * time.Second
)

// connect prepares a connection; the gateway is dialed at the first call.
func (t *target) connect() (*grpc.ClientConn, error) {
	at, err := t.resolve()
	if err != nil {
		return nil, err
	}
	transport, err := at.transport()
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepAliveTime, Timeout: keepAliveTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: connectBackoff, Multiplier: 2, MaxDelay: maxBackoff},
			MinConnectTimeout: connectTimeout, // else an attempt has as long as the backoff
		}),
	}
	signsIn, err := t.credentials(at)
	if err != nil {
		return nil, err
	}
	if signsIn != nil {
		options = append(options, grpc.WithPerRPCCredentials(signsIn))
	}
	conn, err := grpc.NewClient(at.Server, options...)
	if err != nil {
		return nil, usageError{fmt.Errorf("--server %s: %w", at.Server, err)}
	}
	return conn, nil
}

// credentials are what each call carries; nil for a certificate, which the connection shows.
func (t *target) credentials(at *place) (credentials.PerRPCCredentials, error) {
	switch at.method {
	case byFile:
		return readToken(at.TokenFile)
	case byAPIToken:
		return bearer(at.login.APIToken), nil
	case byOIDC:
		return newSession(t.store, at), nil
	case byCertificate:
		return nil, nil
	default:
		if at.Name == "" {
			return nil, usageError{fmt.Errorf("no token is named for the gateway at %s, and %s is only for a gateway on this machine\n"+
				"Name its token with --%s or %s, or make a context with `entractl context set` and sign in with `entractl login`",
				clean(at.Server), defaultTokenFile, flagTokenFile, envTokenFile)}
		}
		return nil, fmt.Errorf("nobody has signed in to the gateway at %s yet\nSign in with `entractl login --context %s`", at.Server, at.Name)
	}
}

func (p *place) transport() (credentials.TransportCredentials, error) {
	if p.CAFile == "" && !p.TLS {
		if p.CertificateFile != "" {
			return nil, usageError{fmt.Errorf("--%s needs --tls or --ca-file", flagCertificate)}
		}
		if !isLoopback(p.Server) {
			return nil, usageError{fmt.Errorf("--server %s is not this machine: without TLS the token could be read on the way; use --tls or --ca-file", p.Server)}
		}
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.CAFile != "" {
		pem, err := os.ReadFile(p.CAFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("--ca-file: %w", err)}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usageError{fmt.Errorf("--ca-file: %s holds no certificate", p.CAFile)}
		}
	}
	if p.CertificateFile != "" {
		pair, err := tls.LoadX509KeyPair(p.CertificateFile, p.KeyFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("--%s: %w", flagCertificate, err)}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config), nil
}

// readToken reads a token file.
func readToken(file string) (bearer, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no token file %s\n"+
			"The gateway makes it at its first start: run entractl in the folder where `entraflow up` runs,\n"+
			"or name the file with --token-file or %s. To another gateway sign in with `entractl login`", file, envTokenFile)
	}
	if err == nil && info.Size() > maxTokenFile {
		err = fmt.Errorf("%s is too large for a token", file)
	}
	if err != nil {
		return "", fmt.Errorf("reading token file: %w", err)
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrPermission) {
		return "", fmt.Errorf("the token file %s belongs to another user: become that user, or ask for a copy", file)
	}
	if err != nil {
		return "", fmt.Errorf("reading token file: %w", err)
	}
	token, ok := tokenOf(string(text))
	if !ok {
		return "", fmt.Errorf("the file %s holds no token", file)
	}
	return bearer(token), nil
}

// tokenOf returns the one word that a text is.
func tokenOf(text string) (string, bool) {
	token := strings.TrimSpace(text)
	return token, token != "" && !strings.ContainsAny(token, " \t\r\n")
}

// bearer sends a token with each call. Transport is decided by place.transport.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (b bearer) RequireTransportSecurity() bool { return false }

func isLoopback(server string) bool {
	host, _, err := net.SplitHostPort(server)
	return err == nil && issuer.IsLoopback(host)
}
