package streamer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

// TestTLS reaches a hub by TLS under another address, and trusts it by a CA file alone.
func TestTLS(t *testing.T) {
	w := newWorld(t, 2)
	w.fill(0, 4, 5)
	certificate, caFile := newCertificate(t, namespace)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- w.sim.Serve(t.Context(), listener) }()
	t.Cleanup(func() { require.NoError(t, <-served) })

	cfg := w.config()
	cfg.Hubs[0].CustomEndpoint = listener.Addr().String()
	strange := w.start(cfg, noPipe)
	eventually(t, "the certificate refused", func() bool { return strange.metric("entraflow_streamer_hub_connections_total") >= 2 })
	require.Zero(t, w.count(eventv1.EventStream))
	strange.wait()

	cfg.Hubs[0].CAFile = caFile
	r := w.start(cfg, noPipe)
	w.awaitStored(eventv1.EventStream, 20)
	r.wait()
	requireExactly(t, w.events(), 0, 20)
}

func newCertificate(t *testing.T, host string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// TestManagedIdentity connects with a token from the endpoint that Azure gives to its machines.
func TestManagedIdentity(t *testing.T) {
	identity := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"access_token":"e30.e30.e30","expires_on":"%d","resource":%q,"token_type":"Bearer"}`,
			time.Now().Add(time.Hour).Unix(), r.URL.Query().Get("resource"))
	}))
	t.Cleanup(identity.Close)
	t.Setenv("IDENTITY_ENDPOINT", identity.URL)
	t.Setenv("IDENTITY_HEADER", "x")
	w := newWorldOf(t, eventhubs.TokensAny, 2)
	w.fill(0, 4, 5)
	cfg := w.config()
	h := &cfg.Hubs[0]
	h.ConnectionString, h.Namespace = config.Secret{}, namespace
	h.Credential.Kind = "managed_identity"
	r := w.start(cfg)
	w.awaitStored(eventv1.EventStream, 20)
	r.wait()
	requireExactly(t, w.events(), 0, 20)
}

func TestWrongKeyIsSaid(t *testing.T) {
	w := newWorld(t, 1)
	cfg := w.config()
	cfg.Hubs[0].ConnectionString = config.NewSecret("Endpoint=sb://" + namespace + ";SharedAccessKeyName=all;SharedAccessKey=d3Jvbmc=")
	r := w.start(cfg)
	eventually(t, "attempts", func() bool { return r.metric("entraflow_streamer_hub_connections_total") >= 2 })
	require.Contains(t, r.logs.String(), "processor ended: rpc: failed, status code 401")
	require.NotContains(t, r.logs.String(), "d3Jvbmc=")
	r.wait()
}
