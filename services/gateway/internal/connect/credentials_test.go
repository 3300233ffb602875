package connect_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

const good = "g00d-" + secret

// expert says that good secrets work, as the collector and the streamer would.
func expert(i *controlv1.Integration, c *controlv1.Credential) *statev1.TestResponse {
	works := c.GetClientSecret() == good || proto.Equal(c, stringOf(good)) || c.GetCertificate() != nil || c.GetFederated() != nil
	report := &controlv1.ConnectionReport{Connected: works, Headline: "Connected!", TenantDomain: i.GetEntra().GetCloud()}
	if !works {
		report.Headline = "The client secret is wrong"
		report.Problem = &controlv1.Problem{Cause: "secret_wrong", Code: "AADSTS7000215", Remedy: "Enter the secret again."}
	}
	return &statev1.TestResponse{Report: report}
}

func TestConnectionsAreTested(t *testing.T) {
	w := newWorld(t)
	w.answer(bus.UserCollector, bus.QuestionTestConnection, expert)
	w.answer(bus.UserStreamer, bus.QuestionTestHub, expert)
	w.create("tenant", entraOf(tenantA), secretOf(secret))
	w.create("hub", hubOf(tenantA), stringOf(good))
	cases := map[string]struct {
		req       *controlv1.TestConnectionRequest
		connected bool
	}{
		"saved":                      {&controlv1.TestConnectionRequest{Name: "integrations/tenant"}, false},
		"saved, another credential":  {&controlv1.TestConnectionRequest{Name: "integrations/tenant", Credential: secretOf(good)}, true},
		"not saved":                  {&controlv1.TestConnectionRequest{Integration: entraOf(tenantB), Credential: secretOf(good)}, true},
		"not saved, wrong":           {&controlv1.TestConnectionRequest{Integration: entraOf(tenantB), Credential: secretOf(secret)}, false},
		"saved hub":                  {&controlv1.TestConnectionRequest{Name: "integrations/hub"}, true},
		"hub, another credential":    {&controlv1.TestConnectionRequest{Name: "integrations/hub", Credential: stringOf(secret)}, false},
		"hub that is not saved":      {&controlv1.TestConnectionRequest{Integration: hubOf("any"), Credential: stringOf(good)}, true},
		"its cloud gets its default": {&controlv1.TestConnectionRequest{Integration: entraOf(tenantB), Credential: secretOf(good)}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer, err := w.client.TestConnection(t.Context(), tc.req)
			require.NoError(t, err)
			report := answer.GetReport()
			require.Equal(t, tc.connected, report.GetConnected())
			if !tc.connected {
				require.NotEmpty(t, report.GetProblem().GetRemedy())
			}
			if tc.req.GetIntegration().GetEntra() != nil {
				require.Equal(t, "global", report.GetTenantDomain())
			}
		})
	}
	for name, req := range map[string]*controlv1.TestConnectionRequest{
		"nothing":                 {},
		"without credential":      {Integration: entraOf(tenantB)},
		"credential of the other": {Name: "integrations/tenant", Credential: stringOf(good)},
		"data type":               {Integration: &controlv1.Integration{Connection: entraOf(tenantB).GetConnection(), DisabledDataTypes: []string{"x"}}, Credential: secretOf(good)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.client.TestConnection(t.Context(), req)
			requireFault(t, err, codes.InvalidArgument, "REQUEST_INVALID")
		})
	}
	_, err := w.client.TestConnection(t.Context(), &controlv1.TestConnectionRequest{Name: "integrations/none"})
	requireFault(t, err, codes.NotFound, "INTEGRATION_NOT_FOUND")
}

func TestTheOldCredentialStaysUntilTheNewOneWorks(t *testing.T) {
	w := newWorld(t)
	w.answer(bus.UserCollector, bus.QuestionTestConnection, expert)
	made := w.create("tenant", entraOf(tenantA), secretOf("old-"+secret))
	reset := func(c *controlv1.Credential) *controlv1.ResetCredentialsResponse {
		answer, err := w.client.ResetCredentials(t.Context(), &controlv1.ResetCredentialsRequest{Name: made.GetName(), Credential: c})
		require.NoError(t, err)
		return answer
	}
	refused := reset(secretOf("wrong-" + secret))
	require.False(t, refused.GetReplaced())
	require.Equal(t, "secret_wrong", refused.GetReport().GetProblem().GetCause())
	require.Equal(t, made.GetEtag(), refused.GetIntegration().GetEtag())
	_, kept := w.stored("tenant")
	require.Equal(t, "old-"+secret, kept.GetClientSecret())

	taken := reset(secretOf(good))
	require.True(t, taken.GetReplaced())
	require.NotEqual(t, made.GetEtag(), taken.GetIntegration().GetEtag())
	_, kept = w.stored("tenant")
	require.Equal(t, good, kept.GetClientSecret())

	certificate, thumbprintLength, end := newCertificate(t), 64, time.Now().Add(time.Hour)
	taken = reset(&controlv1.Credential{Kind: &controlv1.Credential_Certificate{Certificate: &controlv1.ClientCertificate{Data: certificate}}})
	info := taken.GetIntegration().GetCredential()
	require.Equal(t, "certificate", info.GetKind())
	require.Len(t, info.GetThumbprint(), thumbprintLength)
	require.WithinDuration(t, end, info.GetExpireTime().AsTime(), time.Minute)
	taken = reset(&controlv1.Credential{Kind: &controlv1.Credential_Federated{Federated: &controlv1.FederatedToken{TokenFile: "/run/token"}}})
	require.Equal(t, "federated", taken.GetIntegration().GetCredential().GetKind())
	require.Empty(t, taken.GetIntegration().GetCredential().GetThumbprint())

	_, err := w.client.ResetCredentials(t.Context(), &controlv1.ResetCredentialsRequest{Name: made.GetName(), Credential: stringOf(good)})
	requireFault(t, err, codes.InvalidArgument, "REQUEST_INVALID")
	_, err = w.client.ResetCredentials(t.Context(), &controlv1.ResetCredentialsRequest{Name: made.GetName()})
	requireFault(t, err, codes.InvalidArgument, "REQUEST_INVALID")
}

// A change during the test is not undone by the reset.
func TestAChangeDuringATestWins(t *testing.T) {
	w := newWorld(t)
	made := w.create("tenant", entraOf(tenantA), secretOf("old-"+secret))
	var once sync.Once
	w.answer(bus.UserCollector, bus.QuestionTestConnection, func(i *controlv1.Integration, c *controlv1.Credential) *statev1.TestResponse {
		once.Do(func() {
			_, err := w.client.DeleteIntegration(t.Context(), &controlv1.DeleteIntegrationRequest{Name: made.GetName()})
			require.NoError(t, err)
		})
		return expert(i, c)
	})
	_, err := w.client.ResetCredentials(t.Context(), &controlv1.ResetCredentialsRequest{Name: made.GetName(), Credential: secretOf(good)})
	requireFault(t, err, codes.Aborted, "INTEGRATION_CHANGED")
	list, err := w.client.ListIntegrations(t.Context(), &controlv1.ListIntegrationsRequest{})
	require.NoError(t, err)
	require.Empty(t, list.GetIntegrations())
}

func TestWhoCannotTestSaysSo(t *testing.T) {
	w := newWorld(t)
	w.create("tenant", entraOf(tenantA), secretOf(secret))
	w.create("hub", hubOf(tenantA), stringOf(secret))
	ask := func(name string) error {
		_, err := w.client.TestConnection(t.Context(), &controlv1.TestConnectionRequest{Name: "integrations/" + name})
		return err
	}
	requireFault(t, ask("tenant"), codes.Unavailable, "COLLECTOR_UNAVAILABLE")
	requireFault(t, ask("hub"), codes.Unavailable, "STREAMER_UNAVAILABLE")
	_, err := w.client.ResetCredentials(t.Context(), &controlv1.ResetCredentialsRequest{Name: "integrations/tenant", Credential: secretOf(good)})
	requireFault(t, err, codes.Unavailable, "COLLECTOR_UNAVAILABLE")
	_, kept := w.stored("tenant")
	require.Equal(t, secret, kept.GetClientSecret())

	faults := []string{"sealed_with_another_key", "key_unavailable"}
	next := func(*controlv1.Integration, *controlv1.Credential) *statev1.TestResponse {
		fault := faults[0]
		faults = slices.Clone(faults[1:])
		return &statev1.TestResponse{Fault: fault}
	}
	w.answer(bus.UserCollector, bus.QuestionTestConnection, next)
	requireFault(t, ask("tenant"), codes.FailedPrecondition, "KEYS_DIFFER")
	requireFault(t, ask("tenant"), codes.Unavailable, "KEY_UNAVAILABLE")
}

func newCertificate(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
