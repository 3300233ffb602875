package entra_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/entraflow/entraflow/pkg/oidc"
	"github.com/entraflow/entraflow/services/simulator/entra"
)

const appURI = "api://entraflow"

// issuer is the address of the world's tenant as an OpenID issuer.
func (w *world) issuer() string { return w.plain.URL + "/" + tenantID + "/v2.0" }

// relyingParty is what the gateway is configured with.
func (w *world) relyingParty() oidc.Config {
	people := entra.DefaultConfig().People
	c := oidc.DefaultConfig()
	c.Issuer, c.AcceptedIssuers = w.issuer(), []string{"https://sts.windows.net/" + tenantID + "/"}
	c.Audience, c.ClientID = []string{people.ClientID, people.AppIDURI}, people.ClientID
	c.Scopes = append(c.Scopes, people.AppIDURI+"/.default")
	c.Roles = map[string]oidc.RoleConfig{
		"Entraflow.Admin":    {Role: oidc.RoleAdmin, Tenants: []string{oidc.AllTenants}},
		"Entraflow.HelpDesk": {Role: oidc.RoleHelpDesk, Tenants: []string{tenantID}},
		"Entraflow.Reader":   {Role: oidc.RoleReadOnly, Tenants: []string{oidc.AllTenants}},
	}
	return c
}

func (w *world) verifier(change ...func(*oidc.Config)) *oidc.Verifier {
	w.t.Helper()
	c := w.relyingParty()
	for _, f := range change {
		f(&c)
	}
	v, err := oidc.New(c, oidc.Settings{})
	require.NoError(w.t, err)
	return v
}

// client is a public client as entractl is one, set up by discovery.
func (w *world) client(ctx context.Context, scopes ...string) *oauth2.Config {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.issuer()+"/.well-known/openid-configuration", nil)
	require.NoError(w.t, err)
	response, err := w.plain.Client().Do(r)
	require.NoError(w.t, err)
	defer response.Body.Close()
	var found struct {
		Auth   string `json:"authorization_endpoint"`
		Token  string `json:"token_endpoint"`
		Device string `json:"device_authorization_endpoint"`
	}
	require.NoError(w.t, json.NewDecoder(response.Body).Decode(&found))
	return &oauth2.Config{
		ClientID: entra.DefaultConfig().People.ClientID, Scopes: append(scopes, "openid", "offline_access", appURI+"/.default"),
		RedirectURL: "http://127.0.0.1:1/back",
		Endpoint:    oauth2.Endpoint{AuthURL: found.Auth, TokenURL: found.Token, DeviceAuthURL: found.Device, AuthStyle: oauth2.AuthStyleInParams},
	}
}

func fastDevices(c *entra.Config) { c.People.DeviceInterval = time.Second }

func TestVersionsOfTokens(t *testing.T) {
	w := newWorld(t)
	v := w.verifier()
	for version, audience := range map[int]string{1: appURI, 2: entra.DefaultConfig().People.ClientID} {
		token, err := w.server.IssuePerson(entra.PersonToken{Tenant: tenantID, Username: "hal", Issuer: w.issuer(), Version: version})
		require.NoError(t, err)
		got, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		person := w.server.People()[1]
		want := oidc.Claims{
			Issuer: got.Issuer, Subject: person.ObjectID(tenantID), Name: "hal@contoso.example", Expires: got.Expires,
			Grants: []oidc.Grant{{Role: oidc.RoleHelpDesk, Tenants: []string{tenantID}}},
		}
		require.Empty(t, cmp.Diff(want, got))
		require.WithinDuration(t, time.Now().Add(time.Hour), got.Expires, time.Minute)
		other := w.verifier(func(c *oidc.Config) { c.Audience = []string{audience + "x"} })
		_, err = other.Verify(t.Context(), token)
		require.ErrorIs(t, err, oidc.ErrWrongAudience)
	}
	_, err := w.server.IssuePerson(entra.PersonToken{Tenant: tenantID, Username: "hal"})
	require.ErrorContains(t, err, "issuer must be set")
	_, err = w.server.IssuePerson(entra.PersonToken{Tenant: tenantID, Username: "nobody", Issuer: "x"})
	require.ErrorIs(t, err, entra.ErrNobody)
	_, err = w.server.IssuePerson(entra.PersonToken{Tenant: otherTenant, Username: "hal", Issuer: "x"})
	require.ErrorIs(t, err, entra.ErrNotFound)
}

// deviceLogin signs somebody in as entractl does.
func (w *world) deviceLogin(client *oauth2.Config, decide func(userCode string)) (*oauth2.Token, error) {
	w.t.Helper()
	device, err := client.DeviceAuth(w.t.Context())
	require.NoError(w.t, err)
	require.Equal(w.t, w.plain.URL+"/common/oauth2/deviceauth", device.VerificationURI)
	require.Len(w.t, device.UserCode, 9)
	require.WithinDuration(w.t, time.Now().Add(15*time.Minute), device.Expiry, time.Minute)
	decide(device.UserCode)
	return client.DeviceAccessToken(w.t.Context(), device)
}

func TestDeviceLogin(t *testing.T) {
	w := newWorld(t, fastDevices)
	client := w.client(t.Context())
	token, err := w.deviceLogin(client, func(code string) {
		require.Len(t, w.server.WaitingSignIns(), 1)
		require.NoError(t, w.server.ApproveSignIn(strings.ToLower(code[:4])+"-"+code[4:], "ada"))
		require.Empty(t, w.server.WaitingSignIns())
		require.ErrorIs(t, w.server.RefuseSignIn(code), entra.ErrNobody)
	})
	require.NoError(t, err)
	v := w.verifier()
	got, err := v.Verify(t.Context(), token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, []oidc.Grant{{Role: oidc.RoleAdmin, AllTenants: true}}, got.Grants)
	require.Equal(t, "ada@contoso.example", got.Name)
	identity, _ := token.Extra("id_token").(string)
	_, err = v.Verify(t.Context(), identity)
	require.NoError(t, err)

	// A renewed token has the roles of now.
	require.NoError(t, w.server.SetRoles("ada@contoso.example", []string{"Entraflow.Reader"}))
	token.Expiry = time.Now().Add(-time.Second)
	renewed, err := client.TokenSource(t.Context(), token).Token()
	require.NoError(t, err)
	got, err = v.Verify(t.Context(), renewed.AccessToken)
	require.NoError(t, err)
	require.Equal(t, []oidc.Grant{{Role: oidc.RoleReadOnly, AllTenants: true}}, got.Grants)
	require.NotEqual(t, token.RefreshToken, renewed.RefreshToken)
}

func TestDeviceLoginIsRefused(t *testing.T) {
	w := newWorld(t, fastDevices)
	_, err := w.deviceLogin(w.client(t.Context()), func(code string) { require.NoError(t, w.server.RefuseSignIn(code)) })
	var refused *oauth2.RetrieveError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "authorization_declined", refused.ErrorCode)
}

func TestTokenForGraphIsForAnotherAudience(t *testing.T) {
	w := newWorld(t, fastDevices)
	client := w.client(t.Context())
	client.Scopes = []string{"openid", "profile"}
	token, err := w.deviceLogin(client, func(code string) { require.NoError(t, w.server.ApproveSignIn(code, "ada")) })
	require.NoError(t, err)
	_, err = w.verifier().Verify(t.Context(), token.AccessToken)
	require.ErrorIs(t, err, oidc.ErrWrongAudience)
	require.Empty(t, token.RefreshToken)
	answer, _, err := w.raw(t.Context(), "/v1.0/users", token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, answer.StatusCode, "a person has no permission that an app has")
}

// post sends a form and returns the status and the body.
func (w *world) post(path string, form url.Values) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.plain.URL+path, strings.NewReader(form.Encode()))
	require.NoError(w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{
		Transport:     w.plain.Client().Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(r)
	require.NoError(w.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	return response.StatusCode, response.Header.Get("Location") + string(body)
}

func TestErrorsOfGrants(t *testing.T) {
	w := newWorld(t, fastDevices)
	id := entra.DefaultConfig().People.ClientID
	device := "/" + tenantID + "/oauth2/v2.0/devicecode"
	status, body := w.post(device, url.Values{"client_id": {id}, "scope": {appURI + "/.default"}})
	require.Equal(t, http.StatusOK, status, body)
	var pending struct {
		Code string `json:"device_code"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &pending))
	tests := []struct {
		name, path string
		form       url.Values
		want       string
	}{
		{"pending", "", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {pending.Code}}, "authorization_pending"},
		{"too fast", "", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {pending.Code}}, "slow_down"},
		{"unknown device", "", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {"x"}}, "bad_verification_code"},
		{"unknown code", "", url.Values{"grant_type": {"authorization_code"}, "code": {"x"}}, "invalid_grant"},
		{"unknown refresh token", "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, "invalid_grant"},
		{"another client", "", url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}}, "unauthorized_client"},
		{"no client", "", url.Values{"grant_type": {"refresh_token"}, "client_id": nil}, "invalid_request"},
		{"unknown tenant", "/" + otherTenant + "/oauth2/v2.0/token", url.Values{"grant_type": {"refresh_token"}}, "invalid_request"},
		{"password", "", url.Values{"grant_type": {"password"}}, "unsupported_grant_type"},
		{"device without a scope", device, url.Values{}, "invalid_request"},
		{"device for another API", device, url.Values{"scope": {"api://other/.default"}}, "invalid_scope"},
		{"device of another client", device, url.Values{"client_id": {clientID}, "scope": {"openid"}}, "unauthorized_client"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.path == "" {
				test.path = "/" + tenantID + "/oauth2/v2.0/token"
			}
			if !test.form.Has("client_id") {
				test.form.Set("client_id", id)
			}
			status, body := w.post(test.path, test.form)
			var got struct {
				Error string `json:"error"`
			}
			require.NoError(t, json.Unmarshal([]byte(body), &got))
			require.Equal(t, test.want, got.Error, body)
			require.Equal(t, http.StatusBadRequest, status)
		})
	}
}

func TestAppsTokensFollowTheKeys(t *testing.T) {
	w := newWorld(t)
	token := w.token(true)
	status := func(token string) int {
		answer, _, err := w.raw(t.Context(), "/v1.0/subscribedSkus", token)
		require.NoError(t, err)
		return answer.StatusCode
	}
	require.Equal(t, http.StatusOK, status(token))
	w.server.RotateKeys(time.Hour)
	require.Equal(t, http.StatusOK, status(w.token(true)))
	require.Equal(t, http.StatusOK, status(token))
}

func TestAdminOfPeople(t *testing.T) {
	w := newWorld(t)
	api := w.server.AdminHandler()
	do := func(method, path, body string, status int, out any) {
		t.Helper()
		answer := httptest.NewRecorder()
		api.ServeHTTP(answer, httptest.NewRequest(method, "/v1/entra/"+path, strings.NewReader(body)))
		require.Equal(t, status, answer.Code, answer.Body.String())
		if out != nil {
			require.NoError(t, json.Unmarshal(answer.Body.Bytes(), out))
		}
	}
	var all []entra.Person
	do("GET", "people", "", 200, &all)
	require.Len(t, all, 4)
	do("PATCH", "people/nora", `{"roles":["Entraflow.Reader"]}`, 204, nil)
	do("PATCH", "people/nora", `{}`, 400, nil)
	do("PATCH", "people/nobody", `{"roles":[]}`, 404, nil)
	var made struct {
		Token string `json:"access_token"`
	}
	do("POST", "people/nora/tokens", `{"tenant":"`+tenantID+`","issuer":"`+w.issuer()+`"}`, 201, &made)
	got, err := w.verifier().Verify(t.Context(), made.Token)
	require.NoError(t, err)
	require.Equal(t, oidc.RoleReadOnly, got.Grants[0].Role)
	do("POST", "people/nora/tokens", `{"tenant":"`+tenantID+`"}`, 400, nil)
	do("POST", "people/nobody/tokens", `{"tenant":"`+tenantID+`","issuer":"x"}`, 404, nil)

	device, err := w.client(t.Context()).DeviceAuth(t.Context())
	require.NoError(t, err)
	var waiting []entra.WaitingSignIn
	do("GET", "sign-ins", "", 200, &waiting)
	require.Len(t, waiting, 1)
	require.Equal(t, device.UserCode, waiting[0].UserCode)
	do("POST", "sign-ins/"+device.UserCode+"/approve", `{"username":"nobody"}`, 404, nil)
	do("POST", "sign-ins/"+device.UserCode+"/approve", `{"username":"ada"}`, 204, nil)
	do("POST", "sign-ins/"+device.UserCode+"/refuse", "", 404, nil)
	do("PUT", "skew", `{"skew_ms":-1000}`, 204, nil)
	var skew map[string]int64
	do("GET", "skew", "", 200, &skew)
	require.Equal(t, map[string]int64{"skew_ms": -1000}, skew)
	var first, second map[string]string
	do("POST", "signing-keys", "", 201, &first)
	do("POST", "signing-keys", `{"keep_ms":0}`, 201, &second)
	require.NotEqual(t, first["kid"], second["kid"])
}
