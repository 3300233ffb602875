// Package login plays Microsoft Entra's login host: OpenID discovery, keys, tokens for the client credentials grant by
// secret, certificate and federated assertion, with the AADSTS errors of graph.md §1, and tokens for people by device
// code, authorization code and refresh token. It reads state, people and the clock; it issues signed tokens, and never
// logs or repeats a credential.
//
// It is written by hand, as OpenID provider libraries have clocks, paths and errors of their own.
package login

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/people"
	"github.com/entraflow/entraflow/services/simulator/entra/state"
	"github.com/entraflow/entraflow/services/simulator/entra/throttle"
)

// maxForm bounds a token request.
const maxForm = 64 << 10

// Settings is what the program sets.
type Settings struct {
	State    *state.State
	People   *people.People
	Throttle *throttle.Throttle
	Now      func() time.Time
	// TokenLifetime is that of access tokens, CAETokenLifetime that of those for clients that handle claims challenges.
	TokenLifetime, CAETokenLifetime time.Duration
}

// Login is an http.Handler, safe for concurrent use.
type Login struct {
	set  Settings
	keys *ring
	mux  *http.ServeMux
}

// New returns the login host.
func New(set Settings) *Login {
	l := &Login{set: set, keys: &ring{now: set.Now}, mux: http.NewServeMux()}
	l.mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", l.openID)
	l.mux.HandleFunc("GET /common/discovery/instance", l.instance)
	l.mux.HandleFunc("GET /{tenant}/discovery/v2.0/keys", l.keySet)
	l.mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", l.token)
	l.mux.HandleFunc("POST /{tenant}/oauth2/v2.0/devicecode", l.deviceCode)
	l.mux.HandleFunc("GET "+devicePath, l.devicePage)
	l.mux.HandleFunc("POST "+devicePath, l.decideDevice)
	l.mux.HandleFunc("GET /{tenant}/oauth2/v2.0/authorize", l.authorizePage)
	l.mux.HandleFunc("POST /{tenant}/oauth2/v2.0/authorize", l.authorize)
	return l
}

func (l *Login) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.Header().Set("x-ms-request-id", newID())
	if id := r.Header.Get("client-request-id"); id != "" {
		w.Header().Set("client-request-id", id)
	}
	l.mux.ServeHTTP(w, r)
}

// baseURL is the simulator as the client names it.
func baseURL(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone
}

// shared are names in place of a tenant.
var shared = []string{"common", "organizations", "consumers"}

// findTenant returns the tenant a request names, with the errors of the login host.
func (l *Login) findTenant(q request) (*state.Tenant, *Error) {
	name := strings.ToLower(q.tenant)
	if !state.IsGUID(name) && !isDomain(name) {
		return nil, failure(900023, q, "")
	}
	t, err := l.set.State.Tenant(name)
	if err != nil {
		return nil, failure(90002, q, "")
	}
	return t, nil
}

func isDomain(name string) bool {
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(labels) > 1
}

func isShared(tenant string) bool {
	for _, name := range shared {
		if strings.EqualFold(tenant, name) {
			return true
		}
	}
	return false
}

// openID is OpenID Connect Discovery 1.0 with the fields that Entra adds.
func (l *Login) openID(w http.ResponseWriter, r *http.Request) {
	q := request{tenant: r.PathValue("tenant")}
	base, issuer, region, instance := baseURL(r), "{tenantid}", "WW", "microsoftonline.com"
	if !isShared(q.tenant) {
		t, fault := l.findTenant(q)
		if fault != nil {
			if fault.Code == 90002 {
				fault.Name = "invalid_tenant"
			}
			fault.write(w, r, l.set.Now())
			return
		}
		// MSAL holds the issuer's tenant against the authority as the client wrote it.
		issuer = q.tenant
		if t.OtherCloud {
			region, instance = "USGov", "microsoftonline.us"
		}
	}
	body, _ := json.Marshal(map[string]any{ // texts and lists marshal
		"token_endpoint":                        base + "/" + q.tenant + "/oauth2/v2.0/token",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"jwks_uri":                              base + "/" + q.tenant + "/discovery/v2.0/keys",
		"response_modes_supported":              []string{"query", "fragment", "form_post"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"response_types_supported":              []string{"code", "id_token", "code id_token", "id_token token"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"code_challenge_methods_supported":      []string{"S256"},
		"issuer":                                base + "/" + issuer + "/v2.0",
		"authorization_endpoint":                base + "/" + q.tenant + "/oauth2/v2.0/authorize",
		"device_authorization_endpoint":         base + "/" + q.tenant + "/oauth2/v2.0/devicecode",
		"end_session_endpoint":                  base + "/" + q.tenant + "/oauth2/v2.0/logout",
		"tenant_region_scope":                   region,
		"cloud_instance_name":                   instance,
		"cloud_graph_host_name":                 "graph.windows.net",
		"msgraph_host":                          r.Host,
	})
	writeJSON(w, http.StatusOK, body)
}

// instance tells MSAL that this host is an authority of its own.
func (l *Login) instance(w http.ResponseWriter, r *http.Request) {
	tenant := "common"
	if endpoint := r.URL.Query().Get("authorization_endpoint"); endpoint != "" {
		if parts := strings.Split(endpoint, "/"); len(parts) > 3 {
			tenant = parts[3]
		}
	}
	body, _ := json.Marshal(map[string]any{ // texts and lists marshal
		"tenant_discovery_endpoint": baseURL(r) + "/" + tenant + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []map[string]any{{
			"preferred_network": r.Host, "preferred_cache": r.Host, "aliases": []string{r.Host},
		}},
	})
	writeJSON(w, http.StatusOK, body)
}

// keySet tells the public signing keys.
func (l *Login) keySet(w http.ResponseWriter, r *http.Request) {
	body, _ := json.Marshal(l.keys.set(baseURL(r) + "/{tenantid}/v2.0")) // texts marshal
	writeJSON(w, http.StatusOK, body)
}
