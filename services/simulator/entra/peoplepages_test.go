package entra_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/entraflow/entraflow/pkg/oidc"
	"github.com/entraflow/entraflow/services/simulator/entra"
)

func TestPageForDevices(t *testing.T) {
	w := newWorld(t, fastDevices)
	_, page, err := w.raw(t.Context(), "/common/oauth2/deviceauth?user_code=%3Cscript%3E", "")
	require.NoError(t, err)
	require.Contains(t, string(page), "Ruth Reader")
	require.Contains(t, string(page), "&lt;script&gt;")
	require.NotContains(t, string(page), "<script>")
	token, err := w.deviceLogin(w.client(t.Context()), func(code string) {
		status, body := w.post("/common/oauth2/deviceauth", url.Values{"user_code": {"WRONG"}, "username": {"ruth"}})
		require.Equal(t, http.StatusNotFound, status, body)
		status, body = w.post("/common/oauth2/deviceauth", url.Values{"user_code": {"WRONG"}, "refuse": {"1"}})
		require.Equal(t, http.StatusNotFound, status, body)
		status, body = w.post("/common/oauth2/deviceauth", url.Values{"user_code": {code}, "username": {"ruth@contoso.example"}})
		require.Equal(t, http.StatusOK, status, body)
	})
	require.NoError(t, err)
	got, err := w.verifier().Verify(t.Context(), token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, []oidc.Grant{{Role: oidc.RoleReadOnly, AllTenants: true}}, got.Grants)
}

func TestPagesChooseNobodyUnlessTold(t *testing.T) {
	w := newWorld(t, func(c *entra.Config) { c.People.Choose = false })
	device, err := w.client(t.Context()).DeviceAuth(t.Context())
	require.NoError(t, err)
	status, body := w.post("/common/oauth2/deviceauth", url.Values{"user_code": {device.UserCode}, "username": {"ada"}})
	require.Equal(t, http.StatusForbidden, status)
	require.NotContains(t, body, "Ada")
	require.Len(t, w.server.WaitingSignIns(), 1)
	answer, page, err := w.raw(t.Context(), "/common/oauth2/deviceauth", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, answer.StatusCode)
	require.NotContains(t, string(page), "Ada")
}

func TestBrowserLogin(t *testing.T) {
	w := newWorld(t)
	client := w.client(t.Context())
	v := w.verifier()
	authorize := func(change url.Values, form url.Values) (int, *url.URL) {
		t.Helper()
		verifier := strings.Repeat("v", 43)
		address, err := url.Parse(client.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("nonce", "n")))
		require.NoError(t, err)
		query := address.Query()
		maps.Copy(query, change)
		status, text := w.post(address.Path+"?"+query.Encode(), form)
		back, err := url.Parse(text)
		if err != nil || status != http.StatusSeeOther {
			return status, nil
		}
		return status, back
	}
	answer, page, err := w.raw(t.Context(), client.AuthCodeURL("state", oauth2.S256ChallengeOption(strings.Repeat("v", 43))), "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Contains(t, string(page), "Hal Helpdesk")

	_, back := authorize(nil, url.Values{"username": {"hal"}})
	require.NotNil(t, back)
	require.Equal(t, []string{"127.0.0.1:1", "/back", "state"}, []string{back.Host, back.Path, back.Query().Get("state")})
	code := back.Query().Get("code")
	token, err := client.Exchange(t.Context(), code, oauth2.VerifierOption(strings.Repeat("v", 43)))
	require.NoError(t, err)
	got, err := v.Verify(t.Context(), token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, oidc.RoleHelpDesk, got.Grants[0].Role)
	_, err = client.Exchange(t.Context(), code, oauth2.VerifierOption(strings.Repeat("v", 43)))
	require.ErrorContains(t, err, "AADSTS70000", "a code is good once")

	_, back = authorize(nil, url.Values{"username": {"hal"}})
	_, err = client.Exchange(t.Context(), back.Query().Get("code"), oauth2.VerifierOption(strings.Repeat("w", 43)))
	require.ErrorContains(t, err, "AADSTS501481")
	_, back = authorize(nil, url.Values{"username": {"hal"}})
	elsewhere := *client
	elsewhere.RedirectURL = "http://127.0.0.1:2/back"
	_, err = elsewhere.Exchange(t.Context(), back.Query().Get("code"), oauth2.VerifierOption(strings.Repeat("v", 43)))
	require.ErrorContains(t, err, "AADSTS50011")
	_, back = authorize(nil, url.Values{"refuse": {"1"}})
	require.Equal(t, "access_denied", back.Query().Get("error"))

	for name, change := range map[string]url.Values{
		"elsewhere":     {"redirect_uri": {"https://evil.example/"}},
		"no challenge":  {"code_challenge": {""}},
		"plain":         {"code_challenge_method": {"plain"}},
		"other client":  {"client_id": {clientID}},
		"implicit flow": {"response_type": {"token"}},
		"other scope":   {"scope": {"https://graph.microsoft.com/.default"}},
	} {
		status, back := authorize(change, url.Values{"username": {"hal"}})
		require.Nil(t, back, name)
		require.Equal(t, http.StatusBadRequest, status, name)
	}
	status, _ := authorize(nil, url.Values{"username": {"nobody"}})
	require.Equal(t, http.StatusNotFound, status)
}
