package entra_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/entra"
)

const (
	otherTenant = "99999999-2222-3333-4444-555555555555"
	govTenant   = "77777777-2222-3333-4444-555555555555"
	idp         = "https://idp.example"
)

// key is a self-signed certificate with its key.
type key struct {
	private     *rsa.PrivateKey
	certificate *x509.Certificate
	pem         string
}

func newKey(t *testing.T, name string, notAfter time.Time) key {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: notAfter.Add(-365 * 24 * time.Hour), NotAfter: notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return key{private, certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// assertion signs claims; header fields replace those of the certificate.
func (k key) assertion(t *testing.T, method jwt.SigningMethod, claims jwt.MapClaims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(k.private)
	require.NoError(t, err)
	return signed
}

func (k key) s256() string {
	sum := sha256.Sum256(k.certificate.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (k key) s1() string {
	sum := sha1.Sum(k.certificate.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// keys of a world with all kinds of credentials.
type keys struct{ registered, expired, stranger, subject, idp key }

func newLoginWorld(t *testing.T) (*world, keys) {
	t.Helper()
	year := time.Now().Add(24 * time.Hour)
	k := keys{
		newKey(t, "app", year), newKey(t, "old", time.Now().Add(-time.Hour)), newKey(t, "stranger", year),
		newKey(t, "sni.example", year), newKey(t, "idp", year),
	}
	w := newWorld(t, func(c *entra.Config) {
		other, gov := smallTenant(), smallTenant()
		other.ID, gov.ID, gov.OtherCloud = otherTenant, govTenant, true
		other.Domains, gov.Domains = nil, nil
		c.Tenants = append(c.Tenants, other, gov)
		app := &c.Apps[0]
		app.Secrets = append(app.Secrets, entra.SecretConfig{Value: config.NewSecret("old"), Expires: time.Now().Add(-time.Hour)})
		app.Certificates = []entra.CertificateConfig{{PEM: k.registered.pem}, {PEM: k.expired.pem}}
		app.Federated = []entra.FederatedConfig{{Issuer: idp, Subject: "workload", Audience: "api://AzureADTokenExchange"}}
		app.SubjectNames = []string{"sni.example"}
		c.Issuers = []entra.IssuerConfig{{Issuer: idp, PEM: k.idp.pem}}
	})
	return w, k
}

func TestTokenErrors(t *testing.T) {
	w, k := newLoginWorld(t)
	endpoint := w.plain.URL + "/" + tenantID + "/oauth2/v2.0/token"
	claims := func(change jwt.MapClaims) jwt.MapClaims {
		c := jwt.MapClaims{"iss": clientID, "sub": clientID, "aud": endpoint, "jti": "1", "nbf": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix()}
		maps.Copy(c, change)
		return c
	}
	federated := func(change jwt.MapClaims) jwt.MapClaims {
		c := claims(jwt.MapClaims{"iss": idp, "sub": "workload", "aud": "api://AzureADTokenExchange"})
		maps.Copy(c, change)
		return c
	}
	assertion := func(text string) map[string]string {
		return map[string]string{"client_secret": "", "client_assertion": text, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
	}
	signed := func(k key, c jwt.MapClaims) map[string]string {
		return assertion(k.assertion(t, jwt.SigningMethodPS256, c, map[string]any{"x5t#S256": k.s256()}))
	}
	chain := func(k key) map[string]any {
		return map[string]any{"x5t#S256": k.s256(), "x5c": []string{base64.StdEncoding.EncodeToString(k.certificate.Raw)}}
	}
	force := func(code int) func() {
		return func() { require.NoError(t, w.server.ForceError(clientID, tenantID, code)) }
	}
	tests := map[string]struct {
		tenant string
		form   map[string]string
		before func()
		code   int
		status int
		err    string
	}{
		"secret":                {},
		"by domain":             {tenant: "Contoso.example"},
		"RS256 and x5t":         {form: assertion(k.registered.assertion(t, jwt.SigningMethodRS256, claims(nil), map[string]any{"x5t": k.registered.s1()}))},
		"PS256 and x5t#S256":    {form: signed(k.registered, claims(nil))},
		"subject name":          {form: assertion(k.subject.assertion(t, jwt.SigningMethodRS256, claims(nil), chain(k.subject)))},
		"federated":             {form: assertion(k.idp.assertion(t, jwt.SigningMethodRS256, federated(nil), nil))},
		"Event Hubs' scope":     {form: map[string]string{"scope": "https://eventhubs.azure.net//.default"}},
		"wrong secret":          {form: map[string]string{"client_secret": "wrong"}, code: 7000215, status: 401, err: "invalid_client"},
		"expired secret":        {form: map[string]string{"client_secret": "old"}, code: 7000222, status: 401, err: "invalid_client"},
		"nothing":               {form: map[string]string{"client_secret": ""}, code: 7000218, status: 401, err: "invalid_client"},
		"unknown app":           {form: map[string]string{"client_id": otherTenant}, code: 700016, status: 400, err: "unauthorized_client"},
		"app of another tenant": {tenant: otherTenant, code: 700016, status: 400, err: "unauthorized_client"},
		"no tenant":             {tenant: "22222222-2222-3333-4444-555555555555", code: 90002, status: 400, err: "invalid_request"},
		"unknown domain":        {tenant: "fabrikam.example", code: 90002, status: 400, err: "invalid_request"},
		"no GUID":               {tenant: "neither", code: 900023, status: 400, err: "invalid_request"},
		"other cloud":           {tenant: govTenant, code: 90038, status: 400, err: "invalid_request"},
		"common":                {tenant: "common", code: 9001023, status: 400, err: "invalid_request"},
		"organizations":         {tenant: "organizations", code: 50194, status: 400, err: "invalid_request"},
		"grant type":            {form: map[string]string{"grant_type": "password"}, code: 70003, status: 400, err: "unsupported_grant_type"},
		"no grant type":         {form: map[string]string{"grant_type": ""}, code: 900144, status: 400, err: "invalid_request"},
		"no scope":              {form: map[string]string{"scope": ""}, code: 900144, status: 400, err: "invalid_request"},
		"bad scope":             {form: map[string]string{"scope": "https://graph.microsoft.com/User.Read"}, code: 70011, status: 400, err: "invalid_scope"},
		"two resources":         {form: map[string]string{"scope": "https://graph.microsoft.com/.default https://eventhubs.azure.net/.default"}, code: 700022, status: 400, err: "invalid_scope"},
		"no resource":           {form: map[string]string{"scope": "openid"}, code: 700023, status: 400, err: "invalid_scope"},
		"other cloud's Graph":   {form: map[string]string{"scope": "https://graph.microsoft.us/.default"}, code: 500011, status: 400, err: "invalid_resource"},
		"stranger's key":        {form: signed(k.stranger, claims(nil)), code: 700027, status: 401, err: "invalid_client"},
		"wrong signature": {
			form: assertion(k.stranger.assertion(t, jwt.SigningMethodRS256, claims(nil), map[string]any{"x5t": k.registered.s1()})),
			code: 700027, status: 401, err: "invalid_client",
		},
		"expired certificate": {form: signed(k.expired, claims(nil)), code: 1000502, status: 401, err: "invalid_client"},
		"wrong audience":      {form: signed(k.registered, claims(jwt.MapClaims{"aud": "https://elsewhere"})), code: 700027, status: 401, err: "invalid_client"},
		"wrong issuer":        {form: signed(k.registered, claims(jwt.MapClaims{"iss": otherTenant})), code: 700021, status: 400, err: "invalid_request"},
		"late":                {form: signed(k.registered, claims(jwt.MapClaims{"exp": time.Now().Add(-time.Hour).Unix()})), code: 700024, status: 401, err: "invalid_client"},
		"early":               {form: signed(k.registered, claims(jwt.MapClaims{"nbf": time.Now().Add(time.Hour).Unix()})), code: 700024, status: 401, err: "invalid_client"},
		"subject not allowed": {form: assertion(k.stranger.assertion(t, jwt.SigningMethodRS256, claims(nil), chain(k.stranger))), code: 700030, status: 401, err: "invalid_client"},
		"no JWT":              {form: assertion("x.y"), code: 50027, status: 401, err: "invalid_client"},
		"federated, issuer":   {form: assertion(k.idp.assertion(t, jwt.SigningMethodRS256, federated(jwt.MapClaims{"iss": "https://other"}), nil)), code: 700211, status: 401, err: "invalid_client"},
		"federated, audience": {form: assertion(k.idp.assertion(t, jwt.SigningMethodRS256, federated(jwt.MapClaims{"aud": "x"}), nil)), code: 700212, status: 401, err: "invalid_client"},
		"federated, subject":  {form: assertion(k.idp.assertion(t, jwt.SigningMethodRS256, federated(jwt.MapClaims{"sub": "x"}), nil)), code: 700213, status: 401, err: "invalid_client"},
		"federated, late":     {form: assertion(k.idp.assertion(t, jwt.SigningMethodRS256, federated(jwt.MapClaims{"exp": 1}), nil)), code: 700024, status: 401, err: "invalid_client"},
		"federated, key":      {form: assertion(k.stranger.assertion(t, jwt.SigningMethodRS256, federated(nil), nil)), code: 50013, status: 401, err: "invalid_client"},
		"disabled": {
			before: func() { require.NoError(t, w.server.SetDisabled(clientID, tenantID, true)) },
			code:   7000112, status: 400, err: "unauthorized_client",
		},
		"forced 53003":  {before: force(53003), code: 53003, status: 400, err: "access_denied"},
		"forced 530032": {before: force(530032), code: 530032, status: 400, err: "access_denied"},
		"forced 50196":  {before: force(50196), code: 50196, status: 400, err: "invalid_grant"},
		"forced 70001":  {before: force(70001), code: 70001, status: 400, err: "unauthorized_client"},
		"forced 900432": {before: force(900432), code: 900432, status: 400, err: "invalid_request"},
		"forced 90033":  {before: force(90033), code: 90033, status: 503, err: "temporarily_unavailable"},
		"forced 90055":  {before: force(90055), code: 90055, status: 429, err: "temporarily_unavailable"},
		"forced 90006":  {before: force(90006), code: 90006, status: 500, err: "server_error"},
		"forced 90012":  {before: force(90012), code: 90012, status: 408, err: "temporarily_unavailable"},
		"forced 90024":  {before: force(90024), code: 90024, status: 503, err: "temporarily_unavailable"},
		"forced other":  {before: force(123456), code: 123456, status: 400, err: "invalid_request"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.before != nil {
				tt.before()
				defer func() {
					require.NoError(t, w.server.SetDisabled(clientID, tenantID, false))
					require.NoError(t, w.server.ForceError(clientID, tenantID, 0))
				}()
			}
			if tt.tenant == "" {
				tt.tenant = tenantID
			}
			status, header, body := w.login(tt.tenant, tt.form)
			if tt.code == 0 {
				require.Equal(t, 200, status, body)
				require.InDelta(t, 3599, body["expires_in"], 0)
				require.Equal(t, "Bearer", body["token_type"])
				return
			}
			require.Equal(t, []any{tt.status, tt.err, []any{float64(tt.code)}}, []any{status, body["error"], body["error_codes"]}, body)
			description, _ := body["error_description"].(string)
			require.Regexp(t, fmt.Sprintf(`^AADSTS%d: .* Trace ID: [-0-9a-f]{36} Correlation ID: [-0-9a-f]{36} Timestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$`, tt.code), description)
			require.NotContains(t, description, "{")
			require.NotContains(t, description, password)
			require.Contains(t, body["error_uri"], fmt.Sprintf("/error?code=%d", tt.code))
			require.NotEmpty(t, body["trace_id"])
			require.NotEmpty(t, body["timestamp"])
			require.Equal(t, tt.status == 429, header.Get("Retry-After") != "")
		})
	}
}

func TestTokenClaims(t *testing.T) {
	w := newWorld(t)
	decode := func(token any) map[string]any {
		text, _ := token.(string)
		parts := strings.Split(text, ".")
		body, err := base64.RawURLEncoding.DecodeString(parts[1])
		require.NoError(t, err)
		var m map[string]any
		require.NoError(t, json.Unmarshal(body, &m))
		return m
	}
	_, _, body := w.login(tenantID, map[string]string{"claims": `{"access_token":{"xms_cc":{"values":["CP1"]}}}`})
	claims := decode(body["access_token"])
	require.Equal(t, []any{tenantID, clientID, "app", "https://graph.microsoft.com", []any{"CP1"}},
		[]any{claims["tid"], claims["appid"], claims["idtyp"], claims["aud"], claims["xms_cc"]})
	require.Len(t, claims["roles"], len(entra.ReadPermissions()))
	require.NotEmpty(t, claims["oid"])
	require.NoError(t, w.server.SetConsents(clientID, tenantID, nil))
	_, _, body = w.login(tenantID, nil)
	require.NotContains(t, decode(body["access_token"]), "roles")
}

func TestSecretsChange(t *testing.T) {
	w := newWorld(t)
	id, err := w.server.AddSecret(clientID, entra.SecretConfig{Value: config.NewSecret("new")})
	require.NoError(t, err)
	status := func(secret string) int {
		got, _, _ := w.login(tenantID, map[string]string{"client_secret": secret})
		return got
	}
	require.Equal(t, 200, status("new"))
	require.NoError(t, w.server.ExpireSecret(clientID, id))
	require.Equal(t, 401, status("new"))
	require.Equal(t, 200, status(password))
	require.NoError(t, w.server.RemoveSecret(clientID, id))
	require.ErrorIs(t, w.server.ExpireSecret(clientID, id), entra.ErrNotFound)
	require.NoError(t, w.server.ExpireSecret(clientID, ""))
	require.Equal(t, 401, status(password))
}

// TestAzureIdentity uses the unmodified SDK with its discovery of instances.
func TestAzureIdentity(t *testing.T) {
	w, k := newLoginWorld(t)
	client := w.tls.Client()
	options := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: w.tls.URL, Services: map[cloud.ServiceName]cloud.ServiceConfiguration{}},
		Transport: client, Retry: policy.RetryOptions{MaxRetries: -1},
	}
	federated := func(context.Context) (string, error) {
		return k.idp.assertion(t, jwt.SigningMethodRS256, jwt.MapClaims{
			"iss": idp, "sub": "workload", "aud": "api://AzureADTokenExchange", "exp": time.Now().Add(time.Minute).Unix(),
		}, nil), nil
	}
	credentials := map[string]func(tenant, secret string) (azcore.TokenCredential, error){
		"secret": func(tenant, secret string) (azcore.TokenCredential, error) {
			return azidentity.NewClientSecretCredential(tenant, clientID, secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		},
		"certificate": func(tenant, _ string) (azcore.TokenCredential, error) {
			return azidentity.NewClientCertificateCredential(tenant, clientID, []*x509.Certificate{k.registered.certificate}, k.registered.private,
				&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		},
		"certificate by subject": func(tenant, _ string) (azcore.TokenCredential, error) {
			return azidentity.NewClientCertificateCredential(tenant, clientID, []*x509.Certificate{k.subject.certificate}, k.subject.private,
				&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true, SendCertificateChain: true})
		},
		"federated": func(tenant, _ string) (azcore.TokenCredential, error) {
			return azidentity.NewClientAssertionCredential(tenant, clientID, federated, &azidentity.ClientAssertionCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
		},
	}
	for name, build := range credentials {
		for _, enableCAE := range []bool{false, true} {
			credential, err := build(tenantID, password)
			require.NoError(t, err)
			token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}, EnableCAE: enableCAE})
			require.NoError(t, err, name)
			response, body, err := w.raw(t.Context(), "/beta/organization", token.Token)
			require.NoError(t, err)
			require.Equal(t, 200, response.StatusCode, string(body))
		}
	}
	for name, tt := range map[string]struct {
		tenant, secret string
		code           int
	}{
		"secret": {tenantID, "wrong", 7000215}, "expired": {tenantID, "old", 7000222}, "app": {otherTenant, password, 700016},
	} {
		credential, err := credentials["secret"](tt.tenant, tt.secret)
		require.NoError(t, err)
		_, err = credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}})
		var failed *azidentity.AuthenticationFailedError
		require.ErrorAs(t, err, &failed, name)
		text, err := io.ReadAll(failed.RawResponse.Body)
		require.NoError(t, err)
		require.Contains(t, string(text), fmt.Sprintf(`"error_codes":[%d]`, tt.code))
	}
	credential, err := credentials["secret"]("22222222-2222-3333-4444-555555555555", password)
	require.NoError(t, err)
	_, err = credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}})
	require.ErrorContains(t, err, "AADSTS90002")
}

func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	get := func(path string, status int) map[string]any {
		response, body, err := w.raw(t.Context(), path, "")
		require.NoError(t, err)
		require.Equal(t, status, response.StatusCode)
		var m map[string]any
		require.NoError(t, json.Unmarshal(body, &m))
		return m
	}
	m := get("/"+tenantID+"/v2.0/.well-known/openid-configuration", 200)
	require.Equal(t, w.plain.URL+"/"+tenantID+"/v2.0", m["issuer"])
	require.Equal(t, w.plain.URL+"/"+tenantID+"/oauth2/v2.0/token", m["token_endpoint"])
	require.Len(t, get("/common/discovery/v2.0/keys", 200)["keys"], 1)
	require.NotEmpty(t, get("/common/discovery/instance?api-version=1.1&authorization_endpoint=x", 200)["tenant_discovery_endpoint"])
	require.NotEmpty(t, get("/common/v2.0/.well-known/openid-configuration", 200)["issuer"])
	require.Equal(t, "invalid_tenant", get("/22222222-2222-3333-4444-555555555555/v2.0/.well-known/openid-configuration", 400)["error"])
}
