package entra_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/entra"
)

func TestAdmin(t *testing.T) {
	w := newWorld(t)
	api := w.server.AdminHandler()
	do := func(method, path, body string, status int, out any) {
		t.Helper()
		r := httptest.NewRequest(method, "/v1/entra/"+path, strings.NewReader(body))
		answer := httptest.NewRecorder()
		api.ServeHTTP(answer, r)
		require.Equal(t, status, answer.Code, answer.Body.String())
		require.NotContains(t, answer.Body.String(), password)
		require.NotContains(t, answer.Body.String(), "another-secret")
		if out != nil {
			require.NoError(t, json.Unmarshal(answer.Body.Bytes(), out))
		}
	}
	const second, app = "12121212-2222-3333-4444-555555555555", "bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee"
	do("POST", "tenants", `{"id":"`+second+`","users":100,"days":3,"licence":"p1","late_share":0.02,"domains":["x.example"]}`, 201, nil)
	do("POST", "tenants", `{"id":"`+second+`"}`, 409, nil)
	do("POST", "tenants", `{"users":-1}`, 400, nil)
	do("POST", "tenants", `{"size":1}`, 400, nil)
	var tenants []map[string]any
	do("GET", "tenants", "", 200, &tenants)
	require.Len(t, tenants, 2)
	require.Equal(t, []any{"p1", float64(100)}, []any{tenants[1]["licence"], tenants[1]["users"]})
	do("PATCH", "tenants/"+second, `{"licence":"p2","licence_trap":true}`, 204, nil)
	do("PATCH", "tenants/"+app, `{"licence":"p2"}`, 404, nil)
	var truth map[string]uint64
	do("GET", "tenants/"+second+"/truth", "", 200, &truth)
	require.Len(t, truth, 8)
	require.Positive(t, truth["signin.interactive"])
	do("GET", "tenants/"+second+"/truth?from=x", "", 400, nil)

	do("POST", "apps", `{"client_id":"`+app+`","name":"n","secrets":[{"value":"another-secret"}],
		"federated":[{"issuer":"https://idp","subject":"s"}],"grants":[{"tenant":"`+second+`","consents":["AuditLog.Read.All"]}]}`, 201, nil)
	do("POST", "apps", `{"client_id":"`+app+`"}`, 409, nil)
	do("POST", "apps", `{"client_id":"x"}`, 400, nil)
	login := func(secret string) int {
		status, _, _ := w.login(second, map[string]string{"client_id": app, "client_secret": secret})
		return status
	}
	require.Equal(t, 200, login("another-secret"))
	var key struct {
		ID string `json:"key_id"`
	}
	do("POST", "apps/"+app+"/secrets", `{"value":"s2"}`, 201, &key)
	do("POST", "apps/"+app+"/secrets", `{}`, 400, nil)
	require.Equal(t, 200, login("s2"))
	do("POST", "apps/"+app+"/secrets/"+key.ID+"/expire", "", 204, nil)
	require.Equal(t, 401, login("s2"))
	do("DELETE", "apps/"+app+"/secrets/"+key.ID, "", 204, nil)
	do("DELETE", "apps/"+app+"/secrets/"+key.ID, "", 404, nil)
	var secrets []entra.SecretInfo
	do("GET", "apps/"+app+"/secrets", "", 200, &secrets)
	require.Len(t, secrets, 1)
	do("PATCH", "apps/"+app+"/grants/"+second, `{"consents":["User.Read.All"],"disabled":true,"force_error":53003}`, 204, nil)
	require.Equal(t, 400, login("another-secret"))
	do("PUT", "apps/"+app+"/grants/"+second, `{"consents":["User.Read.All"]}`, 204, nil)
	require.Equal(t, 200, login("another-secret"))
	do("DELETE", "apps/"+app+"/grants/"+second, "", 204, nil)
	require.Equal(t, 400, login("another-secret"))
	var apps []map[string]any
	do("GET", "apps", "", 200, &apps)
	require.Len(t, apps, 2)
	do("POST", "issuers", `{"issuer":"https://idp","pem":"none"}`, 400, nil)
	do("POST", "issuers", mustJSON(t, map[string]string{"issuer": "https://idp", "pem": newKey(t, "idp", w.server.Now()).pem}), 201, nil)

	do("PUT", "throttle", `{"mode":"on","scale":20}`, 204, nil)
	do("PUT", "throttle", `{"mode":"perhaps"}`, 400, nil)
	var limits map[string]any
	do("GET", "throttle", "", 200, &limits)
	require.Equal(t, map[string]any{"mode": "on", "scale": 20.0}, limits)
	var counters []entra.Counter
	do("GET", "counters", "", 200, &counters)
	require.NotEmpty(t, counters)
	do("DELETE", "counters", "", 204, nil)
	do("GET", "counters", "", 200, &counters)
	require.Empty(t, counters)
	var fault struct {
		ID string `json:"id"`
	}
	do("POST", "faults", `{"kind":"throttle","share":0.1,"seed":3,"path":"/auditLogs/","retry_after_seconds":2}`, 201, &fault)
	do("POST", "faults", `{"kind":"boil"}`, 400, nil)
	var standing []entra.StandingFault
	do("GET", "faults", "", 200, &standing)
	require.Len(t, standing, 1)
	do("DELETE", "faults/"+fault.ID, "", 204, nil)
	do("DELETE", "faults/"+fault.ID, "", 404, nil)
	do("DELETE", "faults", "", 204, nil)
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}
