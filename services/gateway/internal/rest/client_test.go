package rest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/rest"
)

// What the gRPC server believes of a client is what the front says, whatever the client sends.
func TestNoHeaderOfAClientBecomesMetadata(t *testing.T) {
	w := newWorld(t, answers{})
	sent := map[string][]string{
		"entraflow-client-address": {"203.0.113.1"}, "Entraflow-User-Agent": {"forged"},
		"Grpc-Metadata-Entraflow-Client-Address": {"203.0.113.1"}, "Grpc-Metadata-Entraflow-User-Agent": {"forged"},
		"Grpc-Metadata-Authorization": {"Bearer " + rightToken}, "Grpcgateway-Authorization": {"Bearer x"},
		"X-Forwarded-For": {"203.0.113.1"}, "X-Forwarded-Host": {"forged"}, "Forwarded": {"for=203.0.113.1"}, "X-Real-Ip": {"203.0.113.1"},
		"X-Request-Id": {"forged"}, "Cookie": {"a=b"}, "Grpc-Trace-Bin": {"AAAA"}, "Te": {"trailers"}, "Connection": {"close"},
		"User-Agent": {"cli\u00e9nt " + strings.Repeat("a", 1000)}, "Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}
	for _, path := range []string{"/v1/integrations", "/v1/events:subscribe"} {
		got := w.send(t, "GET", path, "", func(r *http.Request) {
			maps.Copy(r.Header, sent)
		})
		require.Equal(t, http.StatusOK, got.status, got.body)
		require.NotEqual(t, "forged", got.header.Get("X-Request-Id"))
		md := (<-w.calls).metadata
		require.Equal(t, []string{"127.0.0.1"}, md.Get(grpcserver.ClientAddressKey))
		require.Len(t, md.Get(grpcserver.UserAgentKey), 1)
		require.Regexp(t, `^cli\?+nt a+$`, md.Get(grpcserver.UserAgentKey)[0])
		require.LessOrEqual(t, len(md.Get(grpcserver.UserAgentKey)[0]), 256)
		require.Equal(t, []string{"127.0.0.1"}, md.Get("x-forwarded-for"))
		require.Equal(t, sent["Traceparent"], md.Get("traceparent"))
		require.Equal(t, []string{"Bearer " + rightToken}, md.Get("authorization"))
		for name, values := range md {
			require.NotContains(t, strings.Join(values, " "), "forged", name)
			require.NotContains(t, strings.Join(values, " "), "203.0.113.1", name)
			require.NotContains(t, []string{"cookie", "grpcgateway-cookie", "grpc-trace-bin", "x-real-ip", "forwarded"}, name)
		}
	}
}

func TestErrorsKeepTheirDetails(t *testing.T) {
	broken := map[string]error{
		"/v1/integrations": grpcserver.NewError(codes.NotFound, "INTEGRATION_UNKNOWN", "there is none", "list them").Because(errors.New("10.0.0.1")),
		"/v1/api-tokens":   errors.New("dialing 10.0.0.1: refused"),
		"/v1/sign-ins":     nil,
	}
	w := newWorld(t, answers{unary: func(_ context.Context, method string, _ proto.Message) (proto.Message, error) {
		switch method {
		case api + "IntegrationService/ListIntegrations":
			return nil, broken["/v1/integrations"]
		case api + "ApiTokenService/ListApiTokens":
			return nil, broken["/v1/api-tokens"]
		default:
			panic("10.0.0.1")
		}
	}})
	got := w.send(t, "GET", "/v1/integrations", "")
	require.Equal(t, "there is none", requireRefused(t, got, http.StatusNotFound, "INTEGRATION_UNKNOWN").Message)
	require.Contains(t, got.body, "google.rpc.Help")
	for _, path := range []string{"/v1/api-tokens", "/v1/sign-ins"} {
		got = w.send(t, "GET", path, "")
		requireRefused(t, got, http.StatusInternalServerError, "INTERNAL")
		require.NotContains(t, got.body, "10.0.0.1")
	}
	require.Contains(t, w.send(t, "GET", "/v1/integrations?pageSize=-1", "").body, `"field":"page_size"`)
}

func TestAnswersAreJSONOfProtobuf(t *testing.T) {
	w := newWorld(t, answers{unary: func(context.Context, string, proto.Message) (proto.Message, error) {
		return &controlv1.ListIntegrationsResponse{Integrations: []*controlv1.Integration{{Name: integration}}}, nil
	}})
	got := w.send(t, "GET", "/v1/integrations", "")
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.JSONEq(t, `{"integrations":[{"name":"integrations/contoso"}]}`, got.body)
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Access-Control-Allow-Origin": "",
	} {
		require.Equal(t, want, got.header.Get(name), name)
	}
}

func TestDocsAreForEverybody(t *testing.T) {
	w := newWorld(t, answers{})
	anonymous := with("Authorization")
	document := w.send(t, "GET", "/openapi.json", "", anonymous)
	require.Equal(t, http.StatusOK, document.status)
	var openAPI struct {
		OpenAPI string                                `json:"openapi"`
		Paths   map[string]map[string]json.RawMessage `json:"paths"`
	}
	require.NoError(t, json.Unmarshal([]byte(document.body), &openAPI))
	require.Equal(t, "3.1.0", openAPI.OpenAPI)
	documented := 0
	for _, verbs := range openAPI.Paths {
		documented += len(verbs)
	}
	routes := map[string]bool{}
	for _, tc := range routeTests() {
		path, _, _ := strings.Cut(tc.path, "?")
		routes[tc.verb+path] = true
	}
	require.Equal(t, len(routes), documented, "every route is documented")

	page := w.send(t, "GET", "/docs", "", anonymous)
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, page.body, `"swaggerJsonUrl":"/openapi.json"`)
	require.NotRegexp(t, `(src|href)="(https?:)?//`, page.body, "nothing comes from elsewhere")
	policy := page.header.Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.NotContains(t, policy, "unsafe-eval")
	require.NotRegexp(t, `script-src[^;]*unsafe-inline`, policy)
	scripts := regexp.MustCompile(`(?s)<script>.*?</script>`).FindAllString(page.body, -1)
	require.NotEmpty(t, scripts)
	require.Len(t, regexp.MustCompile(`'sha256-`).FindAllString(policy, -1), len(scripts))
	for _, found := range regexp.MustCompile(`(?:src|href)="(/docs/[^"]+)"`).FindAllStringSubmatch(page.body, -1) {
		require.Equal(t, http.StatusOK, w.send(t, "GET", found[1], "", anonymous).status, found[1])
	}
	require.Equal(t, http.StatusOK, w.send(t, "HEAD", "/docs/", "", anonymous).status)
}

func TestDocsCanBeSwitchedOff(t *testing.T) {
	w := newWorld(t, answers{change: func(c *rest.Config, _ *rest.Settings) { c.Docs = false }})
	for _, path := range []string{"/openapi.json", "/docs", "/docs/", "/docs/swagger-ui.css"} {
		requireRefused(t, w.send(t, "GET", path, ""), http.StatusNotFound, "PATH_UNKNOWN")
	}
}

func TestCORS(t *testing.T) {
	const good, bad = "https://console.example.com", "https://evil.example.com"
	preflight := func(origin string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", "PATCH")
			r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,last-event-id")
			r.Header.Del("Authorization")
		}
	}
	t.Run("off", func(t *testing.T) {
		w := newWorld(t, answers{})
		for _, verb := range []string{"OPTIONS", "GET"} {
			got := w.send(t, verb, "/v1/integrations", "", preflight(good))
			for name := range got.header {
				require.NotContains(t, name, "Access-Control")
			}
		}
	})
	t.Run("on", func(t *testing.T) {
		w := newWorld(t, answers{change: func(c *rest.Config, _ *rest.Settings) { c.CORS.AllowedOrigins = []string{good} }})
		got := w.send(t, "OPTIONS", "/v1/integrations/contoso", "", preflight(good))
		require.Equal(t, http.StatusNoContent, got.status)
		require.Equal(t, good, got.header.Get("Access-Control-Allow-Origin"))
		require.Equal(t, "PATCH", got.header.Get("Access-Control-Allow-Methods"))
		require.Empty(t, got.header.Get("Access-Control-Allow-Credentials"))
		got = w.send(t, "GET", "/v1/integrations", "", with("Origin", good))
		require.Equal(t, good, got.header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, got.header.Values("Vary"), "Origin")
		got = w.send(t, "GET", "/v1/integrations", "", with("Origin", good), with("Authorization"))
		require.Equal(t, good, got.header.Get("Access-Control-Allow-Origin"), "a page can read why it was refused")
		require.Equal(t, http.StatusUnauthorized, got.status)
		for _, verb := range []string{"OPTIONS", "GET"} {
			require.Empty(t, w.send(t, verb, "/v1/integrations", "", preflight(bad)).header.Get("Access-Control-Allow-Origin"))
		}
	})
}

func TestTLS(t *testing.T) {
	certFile, keyFile, roots := writeCertificate(t)
	w := newWorld(t, answers{
		stream: stream(nil, response("t1", "a")),
		change: func(c *rest.Config, _ *rest.Settings) {
			c.Address, c.TLS = "0.0.0.0:0", grpcserver.TLSConfig{CertFile: certFile, KeyFile: keyFile}
		},
	})
	_, port, err := net.SplitHostPort(w.front.Addr().String())
	require.NoError(t, err)
	w.url = "https://" + net.JoinHostPort("127.0.0.1", port)
	for name, protocol := range map[string]int{"http/1.1": 1, "h2": 2} {
		t.Run(name, func(t *testing.T) {
			transport := &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: protocol == 2,
			}
			defer transport.CloseIdleConnections()
			w.client = &http.Client{Timeout: patience, Transport: transport}
			response, err := w.client.Do(w.request(t, "GET", "/v1/integrations", ""))
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Equal(t, protocol, response.ProtoMajor)
			require.Contains(t, w.send(t, "GET", "/v1/events:subscribe", "", asEvents).body, "event: events")
		})
	}
	plain := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+net.JoinHostPort("127.0.0.1", port)+"/v1/integrations", http.NoBody)
	require.NoError(t, err)
	got, err := plain.Do(r)
	require.NoError(t, err)
	require.NoError(t, got.Body.Close())
	require.Equal(t, http.StatusBadRequest, got.StatusCode, "plaintext is refused")
}

func writeCertificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	roots = x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certPEM))
	return certFile, keyFile, roots
}
