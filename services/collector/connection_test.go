package collector_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/seal"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/collector"
	simulated "github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// ask asks whether a connection works, as the gateway does.
func (w *world) ask(i *controlv1.Integration, c *controlv1.Credential) *statev1.TestResponse {
	w.tb.Helper()
	const purpose = "test_connection"
	sealed, err := integrations.SealCredential(context.Background(), w.sealer, c, purpose)
	require.NoError(w.tb, err)
	answer := &statev1.TestResponse{}
	question := &statev1.TestRequest{Integration: i, SealedCredential: sealed, Context: purpose}
	require.NoError(w.tb, bus.Ask(context.Background(), w.gateway, bus.QuestionTestConnection, question, answer))
	return answer
}

// requirePlain checks that an answer holds no secret and no token.
func requirePlain(t *testing.T, answer *statev1.TestResponse, secrets ...string) {
	t.Helper()
	text, err := protojson.Marshal(answer)
	require.NoError(t, err)
	for _, s := range append(secrets, secret, "eyJ", "Bearer", "PRIVATE") {
		require.NotContains(t, string(text), s)
	}
}

// newKeyPair is a self-signed certificate with its key, as PEM, and the certificate alone.
func newKeyPair(t *testing.T, from, until time.Time) (both, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "entraflow"}, NotBefore: from, NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return public + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})), public
}

func certificate(text string) *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_Certificate{Certificate: &controlv1.ClientCertificate{Data: []byte(text)}}}
}

func federated(file string) *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_Federated{Federated: &controlv1.FederatedToken{TokenFile: file}}}
}

// provider is another identity provider.
type provider struct {
	issuer, public string
	key            *ecdsa.PrivateKey
}

func newProvider(t *testing.T, issuer string) provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return provider{issuer, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), key}
}

// token writes a token into a file and returns its path.
func (p provider) token(t *testing.T, subject, audience string, until time.Time) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.RegisteredClaims{
		Issuer: p.issuer, Subject: subject, Audience: jwt.ClaimStrings{audience},
		IssuedAt: jwt.NewNumericDate(until.Add(-time.Hour)), ExpiresAt: jwt.NewNumericDate(until),
	}).SignedString(p.key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// failure is a connection that does not work, and why.
type failure struct {
	// prepare changes Microsoft's side; undo ends that.
	prepare func() (undo func())
	change  func(*controlv1.EntraConnection)
	with    *controlv1.Credential
	cause   entra.Cause
	code    string
}

// TestEveryCredentialError drives the errors of graph.md §1 and those of the network through the question.
func TestEveryCredentialError(t *testing.T) {
	w := newWorld(t)
	tenantID := w.addTenant(tenantConfig(1))
	elsewhere := tenantConfig(2)
	elsewhere.OtherCloud = true
	otherCloud := w.addTenant(elsewhere)

	now := time.Now()
	registered, registeredPublic := newKeyPair(t, now.Add(-time.Hour), now.Add(time.Hour))
	expired, expiredPublic := newKeyPair(t, now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	strange, _ := newKeyPair(t, now.Add(-time.Hour), now.Add(time.Hour))
	idp, unknownIDP := newProvider(t, "https://idp.example"), newProvider(t, "https://other.example")
	forger := newProvider(t, "https://idp.example")
	const (
		withKeys = "bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee"
		ended    = "cccccccc-bbbb-cccc-dddd-eeeeeeeeeeee"
		audience = "api://AzureADTokenExchange"
		subject  = "entraflow"
	)
	grants := []simulated.GrantConfig{{Tenant: tenantID, Consents: simulated.ReadPermissions()}}
	require.NoError(t, w.sim.AddIssuer(simulated.IssuerConfig{Issuer: idp.issuer, PEM: idp.public}))
	require.NoError(t, w.sim.AddApp(simulated.AppConfig{
		ClientID: withKeys, Grants: grants,
		Certificates: []simulated.CertificateConfig{{PEM: registeredPublic}, {PEM: expiredPublic}},
		Federated:    []simulated.FederatedConfig{{Issuer: idp.issuer, Subject: subject, Audience: audience}},
	}))
	require.NoError(t, w.sim.AddApp(simulated.AppConfig{
		ClientID: ended, Grants: grants,
		Secrets: []simulated.SecretConfig{{Value: config.NewSecret(secret), Expires: now.Add(-time.Hour)}},
	}))

	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	proxy := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", "text/html")
		_, _ = out.Write([]byte("<html>Please sign in to the proxy</html>"))
	}))
	t.Cleanup(proxy.Close)
	proxyCA := filepath.Join(t.TempDir(), "proxy.pem")
	require.NoError(t, os.WriteFile(proxyCA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}), 0o600))

	w.start(w.config(func(c *collector.Config) {
		at := func(address, ca string) collector.CloudConfig {
			return collector.CloudConfig{AuthorityURL: "https://" + address, GraphURL: "https://" + address, CAFile: ca}
		}
		own := strings.TrimPrefix(w.http.URL, "https://")
		c.Clouds["nowhere"] = at("login.entraflow.invalid", "")
		c.Clouds["refused"] = at(closed.Addr().String(), "")
		c.Clouds["silent"] = at(silent.Addr().String(), "")
		c.Clouds["untrusted"] = at(own, "")
		c.Clouds["no_ca"] = at(own, filepath.Join(t.TempDir(), "absent.pem"))
		c.Clouds["proxied"] = at(strings.TrimPrefix(proxy.URL, "https://"), proxyCA)
	}))

	inCloud := func(name string) func(*controlv1.EntraConnection) {
		return func(c *controlv1.EntraConnection) { c.Cloud = name }
	}
	asApp := func(id string) func(*controlv1.EntraConnection) {
		return func(c *controlv1.EntraConnection) { c.ClientId = id }
	}
	ofTenant := func(id string) func(*controlv1.EntraConnection) {
		return func(c *controlv1.EntraConnection) { c.TenantId = id }
	}
	soon := now.Add(time.Hour)
	cases := map[string]failure{
		"wrong secret":          {with: clientSecret("wr0ng-secret"), cause: entra.CauseSecretWrong, code: "AADSTS7000215"},
		"expired secret":        {change: asApp(ended), cause: entra.CauseSecretExpired, code: "AADSTS7000222"},
		"no credential":         {with: &controlv1.Credential{}, cause: entra.CauseCredentialMissing},
		"empty secret":          {with: clientSecret(""), cause: entra.CauseCredentialMissing},
		"hub's credential":      {with: &controlv1.Credential{Kind: &controlv1.Credential_ConnectionString{ConnectionString: "x"}}, cause: entra.CauseCredentialMissing},
		"unknown application":   {change: asApp("dddddddd-bbbb-cccc-dddd-eeeeeeeeeeee"), cause: entra.CauseAppNotFound, code: "AADSTS700016"},
		"application of no id":  {change: asApp("entraflow"), cause: entra.CauseAppNotFound},
		"unknown tenant":        {change: ofTenant("99999999-bbbb-cccc-dddd-eeeeeeeeeeee"), cause: entra.CauseTenantNotFound, code: "AADSTS90002"},
		"tenant of no id":       {change: ofTenant("common"), cause: entra.CauseTenantMalformed},
		"tenant with a slash":   {change: ofTenant("contoso/x"), cause: entra.CauseTenantMalformed},
		"tenant in other cloud": {change: ofTenant(otherCloud), cause: entra.CauseWrongCloud, code: "AADSTS90038"},
		"unknown cloud":         {change: inCloud("mars"), cause: entra.CauseWrongCloud},
		"certificate works not": {change: asApp(withKeys), with: certificate(strange), cause: entra.CauseCertificateRejected, code: "AADSTS700027"},
		"certificate expired":   {change: asApp(withKeys), with: certificate(expired), cause: entra.CauseCertificateRejected, code: "AADSTS1000502"},
		"certificate damaged":   {change: asApp(withKeys), with: certificate("-----BEGIN"), cause: entra.CauseCertificateRejected},
		"certificate, no key":   {change: asApp(withKeys), with: certificate(registeredPublic), cause: entra.CauseCertificateRejected},
		"federated, no file":    {change: asApp(withKeys), with: federated("/nonexistent/token"), cause: entra.CauseCredentialMissing},
		"federated, issuer":     {change: asApp(withKeys), with: federated(unknownIDP.token(t, subject, audience, soon)), cause: entra.CauseAssertionRejected, code: "AADSTS700211"},
		"federated, subject":    {change: asApp(withKeys), with: federated(idp.token(t, "other", audience, soon)), cause: entra.CauseAssertionRejected, code: "AADSTS700213"},
		"federated, audience":   {change: asApp(withKeys), with: federated(idp.token(t, subject, "other", soon)), cause: entra.CauseAssertionRejected, code: "AADSTS700212"},
		"federated, expired":    {change: asApp(withKeys), with: federated(idp.token(t, subject, audience, now.Add(-time.Hour))), cause: entra.CauseAssertionRejected, code: "AADSTS700024"},
		"federated, forged":     {change: asApp(withKeys), with: federated(forger.token(t, subject, audience, soon)), cause: entra.CauseAssertionRejected, code: "AADSTS50013"},
		"no such host":          {change: inCloud("nowhere"), cause: entra.CauseNetworkDNS},
		"connection refused":    {change: inCloud("refused"), cause: entra.CauseNetworkRefused},
		"no answer":             {change: inCloud("silent"), cause: entra.CauseNetworkTimeout},
		"unknown CA":            {change: inCloud("untrusted"), cause: entra.CauseNetworkTLS},
		"CA file absent":        {change: inCloud("no_ca"), cause: entra.CauseNetworkTLS},
		"a proxy's page":        {change: inCloud("proxied"), cause: entra.CauseGatewayHTML},
		"disabled application": {
			prepare: func() func() {
				require.NoError(t, w.sim.SetDisabled(clientID, tenantID, true))
				return func() { require.NoError(t, w.sim.SetDisabled(clientID, tenantID, false)) }
			},
			cause: entra.CauseAppDisabled, code: "AADSTS7000112",
		},
	}
	for code, cause := range aadsts {
		cases["AADSTS"+strconv.Itoa(code)] = failure{
			prepare: func() func() {
				require.NoError(t, w.sim.ForceError(clientID, tenantID, code))
				return func() { require.NoError(t, w.sim.ForceError(clientID, tenantID, 0)) }
			},
			cause: cause, code: "AADSTS" + strconv.Itoa(code),
		}
	}

	eventually(t, "somebody who answers", func() bool {
		return bus.Ask(t.Context(), w.gateway, bus.QuestionTestConnection, &statev1.TestRequest{}, &statev1.TestResponse{}) == nil
	})
	require.True(t, w.ask(integration(tenantID), clientSecret(secret)).GetReport().GetConnected())
	for what, with := range map[string]*controlv1.Credential{
		"certificate": certificate(registered), "federated token": federated(idp.token(t, subject, audience, soon)),
	} {
		i := integration(tenantID)
		i.GetEntra().ClientId = withKeys
		answer := w.ask(i, with)
		require.Equal(t, "Connected!", answer.GetReport().GetHeadline(), what)
		requirePlain(t, answer)
	}
	for _, name := range sortedKeys(cases) {
		t.Run(name, func(t *testing.T) {
			f := cases[name]
			if f.prepare != nil {
				defer f.prepare()()
			} else {
				t.Parallel() // the slow ones wait for a network
			}
			i := integration(tenantID)
			if f.change != nil {
				f.change(i.GetEntra())
			}
			if f.with == nil {
				f.with = clientSecret(secret)
			}
			asked := time.Now()
			answer := w.ask(i, f.with)
			require.Less(t, time.Since(asked), 35*time.Second)
			report := answer.GetReport()
			require.Empty(t, answer.GetFault())
			require.False(t, report.GetConnected())
			require.NotEqual(t, "Connected!", report.GetHeadline())
			require.NotEmpty(t, report.GetHeadline())
			problem := report.GetProblem()
			require.Equal(t, string(f.cause), problem.GetCause(), problem)
			require.Equal(t, f.code, problem.GetCode(), problem)
			require.NotEmpty(t, problem.GetDetail())
			require.NotEmpty(t, problem.GetRemedy())
			requirePlain(t, answer, "wr0ng-secret", "Trace ID", "trace_id")
		})
	}
}

// aadsts are the numbers of graph.md §1.
var aadsts = map[int]entra.Cause{
	7000215: entra.CauseSecretWrong, 7000222: entra.CauseSecretExpired, 700016: entra.CauseAppNotFound,
	90002: entra.CauseTenantNotFound, 900023: entra.CauseTenantMalformed, 90124: entra.CauseTenantMalformed,
	9001023: entra.CauseTenantMalformed, 50194: entra.CauseTenantMalformed,
	90038: entra.CauseWrongCloud, 900432: entra.CauseWrongCloud, 900382: entra.CauseWrongCloud,
	7000112: entra.CauseAppDisabled, 70001: entra.CauseAppDisabled,
	700027: entra.CauseCertificateRejected, 700030: entra.CauseCertificateRejected,
	7000218: entra.CauseCredentialMissing, 70011: entra.CauseScopeInvalid, 700022: entra.CauseScopeInvalid,
	700023: entra.CauseScopeInvalid, 500011: entra.CauseResourceMissing,
	53003: entra.CauseConditionalAccess, 530032: entra.CauseConditionalAccess, 50196: entra.CauseLoginLoop,
	90055: entra.CauseThrottled, 90033: entra.CauseTransient, 90006: entra.CauseTransient, 90012: entra.CauseTransient,
	90024: entra.CauseTransient, 50013: entra.CauseAssertionRejected,
	7654321: entra.CauseUnknown,
}

// without returns the permissions to read but for some.
func without(permissions ...string) (some []string) {
	for _, p := range simulated.ReadPermissions() {
		keep := true
		for _, not := range permissions {
			keep = keep && p != not
		}
		if keep {
			some = append(some, p)
		}
	}
	return some
}

// TestEveryLicenceAndPermissionError drives those of graph.md §2 through the question, data type by data type.
func TestEveryLicenceAndPermissionError(t *testing.T) {
	const (
		available  = controlv1.Availability_AVAILABILITY_AVAILABLE
		licence    = controlv1.Availability_AVAILABILITY_LICENCE_MISSING
		permission = controlv1.Availability_AVAILABILITY_PERMISSION_MISSING
		consent    = controlv1.Availability_AVAILABILITY_CONSENT_MISSING
		faulty     = controlv1.Availability_AVAILABILITY_ERROR
	)
	type answers map[string]controlv1.Availability
	signIns := func(a controlv1.Availability, more answers) answers {
		if more == nil {
			more = answers{}
		}
		for _, log := range []string{tenant.Interactive, tenant.NonInteractive, tenant.ServicePrincipal, tenant.ManagedIdentity} {
			more[log] = a
		}
		return more
	}
	all := signIns(consent, answers{tenant.Audit: consent, tenant.Provisioning: consent, tenant.RiskDetection: consent, tenant.RiskyUser: consent, "users": consent})
	overloaded := signIns(faulty, answers{tenant.Audit: faulty, tenant.RiskDetection: faulty, "users": faulty})
	cases := map[string]struct {
		licence   tenant.Licence
		trap      bool
		consents  []string
		fault     *simulated.Fault
		want      answers
		connected bool
		cause     entra.Cause // of interactive sign-ins, or of the one that is missing
	}{
		"everything": {licence: tenant.P2, want: signIns(available, answers{tenant.RiskyUser: available}), connected: true},
		"free": {
			licence: tenant.Free, connected: true, cause: entra.CauseLicenceMissing,
			want: signIns(licence, answers{tenant.Audit: available, tenant.RiskDetection: licence, tenant.RiskyUser: licence, "users": available}),
		},
		"P1": {
			licence: tenant.P1, connected: true, cause: entra.CauseLicenceMissing,
			want: signIns(available, answers{tenant.Audit: available, tenant.RiskyUser: licence}),
		},
		"no consent": {licence: tenant.P2, consents: []string{}, want: all, cause: entra.CauseConsentMissing},
		"no AuditLog.Read.All": {
			licence: tenant.P2, consents: without("AuditLog.Read.All"), connected: true, cause: entra.CausePermissionMissing,
			want: signIns(permission, answers{tenant.Audit: available, "users": available}),
		},
		"no risk permissions": {
			licence: tenant.P2, consents: without("IdentityRiskEvent.Read.All", "IdentityRiskyUser.Read.All"), connected: true,
			want:  signIns(available, answers{tenant.RiskDetection: permission, tenant.RiskyUser: permission}),
			cause: entra.CausePermissionMissing,
		},
		"audits alone": {
			licence: tenant.Free, consents: []string{"AuditLog.Read.All"}, cause: entra.CauseLicenceMissing,
			want: answers{tenant.Audit: available, "users": permission},
		},
		"the licence trap": {
			licence: tenant.P1, trap: true, consents: []string{"AuditLog.Read.All", "LicenseAssignment.Read.All"},
			want: signIns(permission, answers{tenant.Audit: available}), cause: entra.CausePermissionMissing,
		},
		"throttled":   {licence: tenant.P2, fault: &simulated.Fault{Kind: "throttle", Path: "/"}, want: overloaded, cause: entra.CauseThrottled},
		"unavailable": {licence: tenant.P2, fault: &simulated.Fault{Kind: "unavailable"}, want: overloaded, cause: entra.CauseTransient},
		"HTML":        {licence: tenant.P2, fault: &simulated.Fault{Kind: "bad_gateway"}, want: overloaded, cause: entra.CauseGatewayHTML},
		"cut":         {licence: tenant.P2, fault: &simulated.Fault{Kind: "cut"}, want: overloaded, cause: entra.CauseNetwork},
		"token refused": {
			licence: tenant.P2, fault: &simulated.Fault{Kind: "unauthorized"}, want: overloaded, cause: entra.CauseTokenRejected,
		},
	}
	w := newWorld(t)
	w.start(w.config())
	eventually(t, "somebody who answers", func() bool {
		return bus.Ask(t.Context(), w.gateway, bus.QuestionTestConnection, &statev1.TestRequest{}, &statev1.TestResponse{}) == nil
	})
	for n, name := range sortedKeys(cases) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc := cases[name]
			cfg := tenantConfig(uint64(100 + n))
			cfg.Licence, cfg.LicenceTrap = tc.licence, tc.trap
			tenantID := w.addTenant(cfg)
			if tc.consents != nil {
				require.NoError(t, w.sim.SetConsents(clientID, tenantID, tc.consents))
			}
			if tc.fault != nil {
				f := *tc.fault
				f.Tenant = tenantID
				if f.Path == "" || f.Path == "/" {
					for _, path := range []string{"/v1.0/", "/beta/"} { // Graph's, and not the login's
						f.Path = path
						_, err := w.sim.InjectFault(f)
						require.NoError(t, err)
					}
				}
			}
			answer := w.ask(integration(tenantID), clientSecret(secret))
			report := answer.GetReport()
			require.Equal(t, tc.connected, report.GetConnected(), report.GetHeadline())
			require.Equal(t, tc.connected, report.GetHeadline() == "Connected!")
			require.Equal(t, tc.connected, report.GetProblem() == nil)
			got := answers{}
			var causes []string
			for _, d := range report.GetDataTypes() {
				got[d.GetDataType()] = d.GetAvailability()
				if d.GetAvailability() == available {
					require.True(t, d.GetEnabled())
					require.Nil(t, d.GetProblem())
					continue
				}
				causes = append(causes, d.GetProblem().GetCause())
				require.NotEmpty(t, d.GetProblem().GetDetail(), d.GetDataType())
				require.NotEmpty(t, d.GetProblem().GetRemedy(), d.GetDataType())
			}
			for id, want := range tc.want {
				require.Equal(t, want.String(), got[id].String(), id)
			}
			if tc.cause != "" {
				require.Contains(t, causes, string(tc.cause))
			}
			require.NotEmpty(t, report.GetActions())
			requirePlain(t, answer)
		})
	}
}

func TestACredentialThatDoesNotOpen(t *testing.T) {
	w := newWorld(t)
	w.start(w.config())
	other, err := seal.Open(t.Context(), seal.Config{KeyFile: filepath.Join(t.TempDir(), "other.key")})
	require.NoError(t, err)
	defer other.Close()
	for name, sealer := range map[string]*seal.Sealer{"another key": other, "another purpose": w.sealer} {
		sealed, err := integrations.SealCredential(t.Context(), sealer, clientSecret(secret), "test_connection")
		require.NoError(t, err)
		answer := &statev1.TestResponse{}
		question := &statev1.TestRequest{Integration: integration("11111111-2222-3333-4444-555555555555"), SealedCredential: sealed, Context: "other"}
		if sealer == other {
			question.Context = "test_connection"
		}
		eventually(t, "an answer", func() bool {
			return bus.Ask(t.Context(), w.gateway, bus.QuestionTestConnection, question, answer) == nil
		})
		require.Equal(t, collector.FaultSealed, answer.GetFault(), name)
		require.Nil(t, answer.GetReport())
	}
}
