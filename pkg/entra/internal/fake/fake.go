// Package fake is a login and a Graph for the tests of pkg/entra, over TLS. It answers what a test tells it to.
package fake

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/entra"
)

// Ids of the tenant and application that the fake knows.
const (
	Tenant = "11111111-2222-3333-4444-555555555555"
	App    = "66666666-7777-8888-9999-aaaaaaaaaaaa"
	Secret = "s3cr3t-Value~that.nobody_may_see"
)

// Server is both endpoints. Set the handlers before it is asked.
type Server struct {
	*httptest.Server
	// Token answers token requests; nil gives a token with Roles.
	Token http.HandlerFunc
	// Graph answers everything else; nil is an empty page.
	Graph http.HandlerFunc
	Roles []string

	mu     sync.Mutex
	tokens int
	forms  []map[string][]string
}

// New starts a server that ends with the test.
func New(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	tb.Cleanup(s.Close)
	return s
}

// Endpoints are the server's, with its certificate trusted.
func (s *Server) Endpoints(tb testing.TB) entra.Endpoints {
	tb.Helper()
	e, err := entra.NewEndpoints("global", entra.Overrides{AuthorityURL: s.URL, GraphURL: s.URL, CAFile: s.CAFile(tb)})
	require.NoError(tb, err)
	return e
}

// CAFile writes the server's certificate to a file.
func (s *Server) CAFile(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	require.NoError(tb, os.WriteFile(path, block, 0o600))
	_, err := x509.ParseCertificate(s.Certificate().Raw)
	require.NoError(tb, err)
	return path
}

// Tokens is how many tokens were asked for, Forms what was sent.
func (s *Server) Tokens() (n int, forms []map[string][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens, s.forms
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		tenant := strings.Split(r.URL.Path, "/")[1]
		writeJSON(w, http.StatusOK, map[string]string{
			"issuer": s.URL + "/" + tenant + "/v2.0", "authorization_endpoint": s.URL + "/" + tenant + "/oauth2/v2.0/authorize",
			"token_endpoint": s.URL + "/" + tenant + "/oauth2/v2.0/token",
		})
	case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token"):
		_ = r.ParseForm()
		s.mu.Lock()
		s.tokens++
		n := s.tokens
		s.forms = append(s.forms, r.PostForm)
		s.mu.Unlock()
		if s.Token != nil {
			s.Token(w, r)
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": JWT(n, s.Roles)})
	case s.Graph != nil:
		s.Graph(w, r)
	default:
		writeJSON(w, http.StatusOK, map[string]any{"value": []any{}})
	}
}

// JWT is the nth token, unsigned.
func JWT(n int, roles []string) string {
	text, _ := json.Marshal(map[string]any{
		"roles": roles, "tid": Tenant, "appid": App, "oid": "0b1ec7", "exp": time.Now().Add(time.Hour).Unix(), "n": n,
	})
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(text) + ".s1gnature-of-t0ken"
}

// Refuse answers like the token endpoint with an error.
func Refuse(code, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, status, map[string]any{
			"error":             "invalid_client",
			"error_description": fmt.Sprintf("AADSTS%d: something about %s", code, r.PostForm.Get("client_secret")),
			"error_codes":       []int{code}, "trace_id": "c0ffee00-0000-0000-0000-000000000000",
		})
	}
}

// Fail answers like Graph with an error.
func Fail(code string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, status, map[string]any{"error": map[string]any{
			"code": code, "message": "about jane.doe@contoso.com and " + r.Header.Get("Authorization"),
			"innerError": map[string]any{"request-id": "deadbeef-0000-0000-0000-000000000000"},
		}})
	}
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
