package entra_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenantID = "11111111-2222-3333-4444-555555555555"
	clientID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	password = "s3cret-value"
)

// world is a server with one tenant and one app, behind the two listeners.
type world struct {
	t           *testing.T
	server      *entra.Server
	plain, tls  *httptest.Server
	accessToken string
}

func smallTenant() entra.TenantConfig {
	var c entra.TenantConfig
	c.SetDefaults()
	c.ID, c.Seed, c.Users, c.Days = tenantID, 7, 100, 10
	c.Rates.NonInteractive, c.Rates.ServicePrincipal = 1.5, 0.5
	c.End = time.Now().UTC().Truncate(time.Second)
	c.Domains = []string{"contoso.example"}
	return c
}

// newWorld changes the tenant of a server without limits before it is made.
func newWorld(t *testing.T, change ...func(*entra.Config)) *world {
	t.Helper()
	cfg := entra.DefaultConfig()
	cfg.Throttle.Mode = "off"
	cfg.Tenants = []entra.TenantConfig{smallTenant()}
	cfg.Apps = []entra.AppConfig{{
		ClientID: clientID, Name: "collector", Secrets: []entra.SecretConfig{{Value: config.NewSecret(password)}},
		Grants: []entra.GrantConfig{{Tenant: tenantID, Consents: entra.ReadPermissions()}},
	}}
	for _, f := range change {
		f(&cfg)
	}
	s, err := entra.New(cfg, entra.Settings{})
	require.NoError(t, err)
	w := &world{t: t, server: s, plain: httptest.NewServer(s), tls: httptest.NewTLSServer(s)}
	t.Cleanup(func() {
		w.plain.Close()
		w.tls.Close()
	})
	return w
}

// login posts a token request with the changed form, and returns the status and the decoded body.
func (w *world) login(tenantName string, change map[string]string) (int, http.Header, map[string]any) {
	w.t.Helper()
	form := url.Values{
		"client_id": {clientID}, "client_secret": {password}, "grant_type": {"client_credentials"},
		"scope": {"https://graph.microsoft.com/.default openid offline_access profile"},
	}
	for name, value := range change {
		form.Set(name, value)
		if value == "" {
			form.Del(name)
		}
	}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.plain.URL+"/"+tenantName+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	require.NoError(w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := w.plain.Client().Do(r)
	require.NoError(w.t, err)
	defer response.Body.Close()
	var body map[string]any
	require.NoError(w.t, json.NewDecoder(response.Body).Decode(&body))
	return response.StatusCode, response.Header, body
}

// token returns an access token, one for the life of the world unless fresh.
func (w *world) token(fresh bool) string {
	w.t.Helper()
	if w.accessToken == "" || fresh {
		status, _, body := w.login(tenantID, nil)
		require.Equal(w.t, http.StatusOK, status, body)
		w.accessToken, _ = body["access_token"].(string)
	}
	return w.accessToken
}

type page struct {
	Context string            `json:"@odata.context"`
	Next    string            `json:"@odata.nextLink"`
	Value   []json.RawMessage `json:"value"`
	Error   *graphError       `json:"error"`
}

type graphError struct {
	Code       string `json:"code"`
	Message    string `json:"message"`
	InnerError struct {
		Date            string `json:"date"`
		RequestID       string `json:"request-id"`
		ClientRequestID string `json:"client-request-id"`
	} `json:"innerError"`
}

// reply is a response without its body.
type reply struct {
	StatusCode int
	Header     http.Header
}

// raw gets a path or a link as it is.
func (w *world) raw(ctx context.Context, link, token string, header ...string) (reply, []byte, error) {
	if !strings.HasPrefix(link, "http") {
		link = w.plain.URL + link
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.ReplaceAll(link, " ", "%20"), nil)
	if err != nil {
		return reply{}, nil, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := w.plain.Client().Do(r)
	if err != nil {
		return reply{}, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header}, body, err
}

// get gets a page, checks its status, and decodes it.
func (w *world) get(link string, status int, header ...string) page {
	w.t.Helper()
	response, body, err := w.raw(w.t.Context(), link, w.token(false), header...)
	require.NoError(w.t, err)
	require.Equal(w.t, status, response.StatusCode, string(body))
	var p page
	require.NoError(w.t, json.Unmarshal(body, &p), string(body))
	return p
}

// ids walks all pages.
func (w *world) ids(link string) []string {
	w.t.Helper()
	var ids []string
	for link != "" {
		p := w.get(link, http.StatusOK)
		for _, v := range p.Value {
			ids = append(ids, member(w.t, v, "id"))
		}
		link = p.Next
	}
	return ids
}

func member(t *testing.T, object json.RawMessage, name string) string {
	t.Helper()
	if name == "id" {
		var o struct {
			ID string `json:"id"`
		}
		require.NoError(t, json.Unmarshal(object, &o))
		return o.ID
	}
	var m map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(object, &m))
	return strings.Trim(string(m[name]), `"`)
}

// sameIDs compares two lists of ids whatever their order.
func sameIDs(t *testing.T, want, got []string, what string) {
	t.Helper()
	require.Equal(t, slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got)), what)
}

func (w *world) truth(log string) []string {
	w.t.Helper()
	source, err := w.server.Tenant(tenantID)
	require.NoError(w.t, err)
	generated, ok := source.(*tenant.Tenant)
	require.True(w.t, ok)
	var ids []string
	for id := range generated.IDs(log, tenant.Query{At: time.Now()}) {
		ids = append(ids, id)
	}
	return ids
}

func TestEveryLogIsServed(t *testing.T) {
	w := newWorld(t)
	sign := "/beta/auditLogs/signIns?$top=300&$filter=signInEventTypes/any(t: t eq '"
	for link, log := range map[string]string{
		"/v1.0/auditLogs/signIns?$top=300":           tenant.Interactive,
		"/beta/auditlogs/signins?$top=301":           tenant.Interactive,
		sign + "interactiveUser')":                   tenant.Interactive,
		sign + "nonInteractiveUser')":                tenant.NonInteractive,
		sign + "servicePrincipal')":                  tenant.ServicePrincipal,
		sign + "managedIdentity')":                   tenant.ManagedIdentity,
		"/v1.0/auditLogs/directoryAudits?$top=77":    tenant.Audit,
		"/beta/auditLogs/provisioning?$top=33":       tenant.Provisioning,
		"/v1.0/auditLogs/provisioning":               tenant.Provisioning,
		"/v1.0/identityProtection/riskDetections":    tenant.RiskDetection,
		"/v1.0/identityProtection/riskyUsers?$top=2": tenant.RiskyUser,
	} {
		want := w.truth(log)
		require.NotEmpty(t, want, log)
		got := w.ids(link)
		sameIDs(t, want, got, link)
	}
}

func TestMergesTypesByTime(t *testing.T) {
	w := newWorld(t)
	link := "/beta/auditLogs/signIns?$top=250&$filter=signInEventTypes/any(t: t eq 'interactiveUser' or t eq 'nonInteractiveUser')"
	var ids []string
	last := ""
	for link != "" {
		p := w.get(link, http.StatusOK)
		for _, v := range p.Value {
			ids = append(ids, member(t, v, "id"))
			at := member(t, v, "createdDateTime")
			if last != "" {
				require.LessOrEqual(t, parse(t, at).Compare(parse(t, last)), 0)
			}
			last = at
		}
		link = p.Next
	}
	sameIDs(t, append(w.truth(tenant.Interactive), w.truth(tenant.NonInteractive)...), ids, link)
}

func parse(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	require.NoError(t, err)
	return at
}

func TestAscending(t *testing.T) {
	w := newWorld(t)
	for _, top := range []string{"1", "70", "1000"} {
		link := "/beta/auditLogs/signIns?$orderby=createdDateTime asc&$top=" + top
		if top == "1" {
			from := time.Now().UTC().Add(-30 * time.Hour).Format(time.RFC3339)
			link += "&$filter=createdDateTime ge " + from
		}
		descending := w.ids(strings.Replace(link, "asc", "desc", 1))
		got := w.ids(link)
		require.NotEmpty(t, got)
		sameIDs(t, descending, got, top)
		require.Equal(t, descending[0], got[len(got)-1])
	}
}

func TestV1HasItsFieldsAlone(t *testing.T) {
	w := newWorld(t)
	v1, beta := w.get("/v1.0/auditLogs/signIns?$top=1", 200), w.get("/beta/auditLogs/signIns?$top=1", 200)
	require.Contains(t, string(v1.Value[0]), "appliedConditionalAccessPolicies")
	require.NotContains(t, string(v1.Value[0]), "signInEventTypes")
	require.NotContains(t, string(v1.Value[0]), "userAgent")
	require.Contains(t, string(beta.Value[0]), "signInEventTypes")
	require.Equal(t, "https://graph.microsoft.com/beta/$metadata#auditLogs/signIns", beta.Context)
	selected := w.get("/beta/auditLogs/signIns?$top=1&$select=id,userAgent", 200)
	var m map[string]any
	require.NoError(t, json.Unmarshal(selected.Value[0], &m))
	require.Len(t, m, 2)
}

func TestHiddenFields(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.server.SetLicence(tenantID, tenant.P1))
	p := w.get("/beta/auditLogs/signIns?$top=1", 200)
	require.Equal(t, "hidden", member(t, p.Value[0], "riskLevelDuringSignIn"))
	require.Equal(t, "hidden", member(t, p.Value[0], "riskLevelAggregated"))
	require.Equal(t, "hidden", member(t, w.get("/v1.0/identityProtection/riskDetections?$top=1", 200).Value[0], "riskLevel"))
	require.NoError(t, w.server.SetConsents(clientID, tenantID, []string{"AuditLog.Read.All"}))
	w.token(true)
	for _, v := range w.get("/beta/auditLogs/signIns", 200).Value {
		require.Contains(t, []string{"", "[]"}, member(t, v, "appliedConditionalAccessPolicies"))
	}
}

func TestUnknownEnumMembers(t *testing.T) {
	w := newWorld(t)
	const link = "/beta/auditLogs/signIns?$filter=signInEventTypes/any(t: t eq 'nonInteractiveUser')"
	const member = `"refreshToken"`
	asked, plain := 0, 0
	for _, v := range w.get(link, 200, "Prefer", "include-unknown-enum-members").Value {
		if strings.Contains(string(v), `"incomingTokenType":`+member) {
			asked++
		}
	}
	for _, v := range w.get(link, 200).Value {
		require.NotContains(t, string(v), `"incomingTokenType":`+member)
		if strings.Contains(string(v), `"incomingTokenType":"unknownFutureValue"`) {
			plain++
		}
	}
	require.Positive(t, asked)
	require.Equal(t, asked, plain)
}

func TestNextLink(t *testing.T) {
	w := newWorld(t)
	p := w.get("/beta/auditLogs/signIns?$filter=signInEventTypes/any(t: t eq 'servicePrincipal')&%24top=5", 200)
	require.True(t, strings.HasPrefix(p.Next, w.plain.URL+"/beta/auditLogs/signins?$filter=signInEventTypes/any"), p.Next)
	require.Contains(t, p.Next, "&$top=5&$skiptoken=")
	second := w.get(p.Next, 200)
	require.Len(t, second.Value, 5)
	require.Equal(t, 1, strings.Count(second.Next, "$skiptoken"))
	_, token, _ := strings.Cut(p.Next, "$skiptoken=")
	for _, bad := range []string{"x", token[:len(token)-1] + "x", token + "00", ""} {
		require.Equal(t, "BadRequest", w.get("/beta/auditLogs/signIns?$skiptoken="+bad, 400).Error.Code, bad)
	}
	require.Contains(t, w.get("/v1.0/auditLogs/provisioning?$skiptoken="+token, 400).Error.Message, "$top")
}

func TestCompression(t *testing.T) {
	w := newWorld(t)
	response, body, err := w.raw(t.Context(), "/v1.0/auditLogs/signIns?$top=10", w.token(false), "Accept-Encoding", "gzip")
	require.NoError(t, err)
	require.Equal(t, "gzip", response.Header.Get("Content-Encoding"))
	z, err := gzip.NewReader(bytes.NewReader(body))
	require.NoError(t, err)
	var p page
	require.NoError(t, json.NewDecoder(z).Decode(&p))
	require.Len(t, p.Value, 10)
	require.NotEmpty(t, response.Header.Get("request-id"))
	require.NotEmpty(t, response.Header.Get("Date"))
	response, _, err = w.raw(t.Context(), "/v1.0/auditLogs/signIns?$top=1", w.token(false), "Accept-Encoding", "identity", "client-request-id", "mine")
	require.NoError(t, err)
	require.Empty(t, response.Header.Get("Content-Encoding"))
	require.Equal(t, "mine", response.Header.Get("client-request-id"))
}

func TestDirectory(t *testing.T) {
	w := newWorld(t)
	for _, link := range []string{"/v1.0/organization", "/v1.0/subscribedSkus", "/beta/applications?$top=3", "/v1.0/servicePrincipals?$top=3"} {
		require.NotEmpty(t, w.ids(link), link)
	}
	users := w.ids("/v1.0/users?$top=30")
	require.Len(t, users, 100)
	one := w.get("/v1.0/users?$top=1", 200).Value[0]
	require.NotContains(t, string(one), "signInActivity")
	require.NotContains(t, string(one), "accountEnabled")
	active := w.get("/beta/users?$select=displayName,signInActivity&$top=500", 200)
	require.Contains(t, string(active.Value[0]), "displayName")
	require.True(t, bytes.Contains(bytes.Join(rawBytes(active.Value), nil), []byte("lastSignInDateTime")))
	response, body, err := w.raw(t.Context(), "/v1.0/users/"+users[5], w.token(false))
	require.NoError(t, err)
	require.Equal(t, 200, response.StatusCode)
	require.Equal(t, "2", response.Header.Get("x-ms-resource-unit"))
	require.Equal(t, users[5], member(t, body, "id"))
}

func rawBytes(all []json.RawMessage) [][]byte {
	out := make([][]byte, len(all))
	for i, v := range all {
		out[i] = v
	}
	return out
}
