package collector_test

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/collector"
	simulated "github.com/entraflow/entraflow/services/simulator/entra"
)

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
	t.Parallel()
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
