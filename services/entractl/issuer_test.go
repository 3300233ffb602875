package entractl_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// fakeIssuer is an OpenID Connect issuer with nothing but the device flow. Its access tokens are "access-1", "access-2", ….
type fakeIssuer struct {
	url string

	mu       sync.Mutex
	life     int    // of access tokens, in seconds
	pending  int    // answers before the code is confirmed
	refusal  string // error code instead of tokens
	issued   int
	asked    []string // scope and audience of requests for a code
	refreshs []string // refresh tokens that were used
}

func newIssuer(t *testing.T) *fakeIssuer {
	t.Helper()
	i := &fakeIssuer{life: 3600}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.answer(w, http.StatusOK, map[string]any{
			"issuer": i.url, "authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token", "jwks_uri": i.url + "/keys",
			"device_authorization_endpoint": i.url + "/device",
		})
	})
	mux.HandleFunc("POST /device", func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asked = append(i.asked, r.PostFormValue("client_id")+" "+r.PostFormValue("scope")+" "+r.PostFormValue("audience"))
		i.answer(w, http.StatusOK, map[string]any{
			"device_code": "device", "user_code": "ABCD-EFGH", "verification_uri": i.url + "/confirm",
			"verification_uri_complete": i.url + "/confirm?code=ABCD-EFGH", "expires_in": 600, "interval": 1,
		})
	})
	mux.HandleFunc("POST /token", i.token)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

func (i *fakeIssuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if r.PostFormValue("grant_type") == "refresh_token" {
		i.refreshs = append(i.refreshs, r.PostFormValue("refresh_token"))
	} else if i.pending > 0 {
		i.pending--
		i.answer(w, http.StatusBadRequest, map[string]any{"error": "authorization_pending"})
		return
	}
	if i.refusal != "" {
		i.answer(w, http.StatusBadRequest, map[string]any{"error": i.refusal, "error_description": "no\x1b[31m"})
		return
	}
	i.issued++
	i.answer(w, http.StatusOK, map[string]any{
		"access_token": fmt.Sprintf("access-%d", i.issued), "refresh_token": fmt.Sprintf("refresh-%d", i.issued),
		"token_type": "Bearer", "expires_in": i.life,
	})
}

func (i *fakeIssuer) answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}

// set changes the issuer.
func (i *fakeIssuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// last is the access token that it gave last.
func (i *fakeIssuer) last() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return fmt.Sprintf("access-%d", i.issued)
}
