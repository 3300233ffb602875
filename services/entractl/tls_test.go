package entractl_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// certificate makes files of a certificate that vouches for itself, and for this machine.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: certificate}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
	return certFile, keyFile
}

func TestACertificateIsEnough(t *testing.T) {
	serverCert, serverKey := certificate(t)
	clientCert, clientKey := certificate(t)
	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	require.NoError(t, err)
	trusted, err := os.ReadFile(clientCert)
	require.NoError(t, err)
	clients := x509.NewCertPool()
	require.True(t, clients.AppendCertsFromPEM(trusted))
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	})))
	states := health.NewServer()
	for _, name := range []string{
		controlv1.SignInService_ServiceDesc.ServiceName, controlv1.DirectoryService_ServiceDesc.ServiceName, controlv1.EventService_ServiceDesc.ServiceName,
	} {
		states.SetServingStatus(name, healthv1.HealthCheckResponse_SERVING)
	}
	healthv1.RegisterHealthServer(server, states)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-done)
	})

	h := newHome(t)
	require.Equal(t, 0, h.run(t.Context(), "context", "set", "mtls", "--server", listener.Addr().String(), "--ca-file", serverCert,
		"--client-certificate-file", clientCert, "--client-key-file", clientKey).code)
	require.Contains(t, h.run(t.Context(), "context", "show").stdout, "Signs in by  certificate\n")
	got := h.run(t.Context(), "health")
	require.Equal(t, 0, got.code, got.stderr)

	got = h.run(t.Context(), "health", "--server", listener.Addr().String(), "--ca-file", serverCert, "--client-certificate-file", clientCert, "--client-key-file", serverKey)
	require.Equal(t, 2, got.code)
	require.Contains(t, got.stderr, "entractl: --client-certificate-file: tls: private key does not match public key")
	got = h.run(t.Context(), "health", "--server", listener.Addr().String(), "--client-certificate-file", clientCert, "--client-key-file", clientKey)
	require.Equal(t, 2, got.code)
	require.Contains(t, got.stderr, "--client-certificate-file needs --tls or --ca-file")
}
