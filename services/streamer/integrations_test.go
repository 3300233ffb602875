package streamer_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/seal"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	"github.com/entraflow/entraflow/services/streamer"
)

// integrated is a world with integrations, as the gateway keeps them.
type integrated struct {
	*world
	keyFile string
	sealer  *seal.Sealer
	store   *integrations.Store
}

// newIntegrated has one hub of the config; further hubs are named.
func newIntegrated(t *testing.T, tokens eventhubs.TokenPolicy, hubs ...string) *integrated {
	t.Helper()
	w := &integrated{world: newWorldOf(t, tokens, 1), keyFile: filepath.Join(t.TempDir(), "seal.key")}
	for _, name := range hubs {
		_, err := w.sim.CreateHub("", eventhubs.HubConfig{Name: name, Partitions: 1})
		require.NoError(t, err)
	}
	return w
}

// unlock makes the key, as the gateway does.
func (w *integrated) unlock() {
	w.t.Helper()
	var err error
	w.sealer, err = seal.Open(w.t.Context(), seal.Config{KeyFile: w.keyFile})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, w.sealer.Close()) })
	w.store, err = integrations.Open(w.t.Context(), w.bus.Connect(w.t, bus.UserGateway), w.sealer)
	require.NoError(w.t, err)
}

func (w *integrated) config() streamer.Config {
	c := w.world.config()
	c.Seal.KeyFile = w.keyFile
	return c
}

func integrationOf(hub string, tenants ...string) *controlv1.Integration {
	return &controlv1.Integration{Connection: &controlv1.Integration_EventHub{EventHub: &controlv1.EventHubConnection{
		Hub: hub, TenantIds: tenants,
	}}}
}

func (w *integrated) keyOf(secret string) *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_ConnectionString{
		ConnectionString: "Endpoint=sb://" + namespace + ";SharedAccessKeyName=all;SharedAccessKey=" + secret,
	}}
}

func (w *integrated) create(id string, i *controlv1.Integration, c *controlv1.Credential) integrations.Record {
	w.t.Helper()
	record, err := w.store.Create(w.t.Context(), id, i, c)
	require.NoError(w.t, err)
	return record
}

func (w *integrated) update(r integrations.Record, c *controlv1.Credential, change func(*controlv1.Integration)) integrations.Record {
	w.t.Helper()
	next := proto.CloneOf(r.Integration)
	change(next)
	record, err := w.store.Update(w.t.Context(), r, next, c)
	require.NoError(w.t, err)
	return record
}

// send puts a sign-in into a hub.
func (w *integrated) send(hub, tenant string, n int) {
	w.t.Helper()
	h, err := w.sim.Hub("", hub)
	require.NoError(w.t, err)
	_, err = h.Append("0", message(signIn(tenant, n)))
	require.NoError(w.t, err)
}

func (r *run) connections(integration string) float64 {
	r.t.Helper()
	return r.metric("entraflow_streamer_hub_connections_total", "integration", integration)
}

func (r *run) owned(integration string) float64 {
	r.t.Helper()
	return r.metric("entraflow_streamer_owned_partitions", "integration", integration)
}

func TestHubsOfIntegrationsComeAndGo(t *testing.T) {
	w := newIntegrated(t, eventhubs.TokensRefused, "second", "third")
	w.unlock()
	before := w.create("before", integrationOf("second", tenant), w.keyOf("c2VjcmV0"))
	r := w.start(w.config())
	w.send("entra", tenant, 1)
	w.send("second", tenant, 2)
	w.awaitStored(eventv1.EventStream, 2)

	later := w.create("later", integrationOf("third", foreign), w.keyOf("c2VjcmV0"))
	w.send("third", foreign, 3)
	w.awaitStored(eventv1.EventStream, 3)
	w.send("third", tenant, 4)
	w.awaitStored(eventv1.DeadLetterStream, 1)
	require.Equal(t, "tenant_mismatch", w.deadLetters()[0].GetReason())
	require.Equal(t, "later", w.deadLetters()[0].GetIntegration())

	// A new name changes nothing; new tenants do, for this hub alone.
	later = w.update(later, nil, func(i *controlv1.Integration) { i.DisplayName = "Later" })
	named := r.connections("later")
	later = w.update(later, nil, func(i *controlv1.Integration) { i.GetEventHub().TenantIds = []string{"any"} })
	eventually(t, "the reader replaced", func() bool { return r.connections("later") > named })
	w.send("third", tenant, 5)
	w.awaitStored(eventv1.EventStream, 4)

	// A wrong key stops it, the right one lets it go on where it was.
	replaced := r.connections("later")
	later = w.update(later, w.keyOf("d3Jvbmc="), func(*controlv1.Integration) {})
	eventually(t, "the wrong key", func() bool { return r.connections("later") > replaced })
	w.send("third", tenant, 6)
	later = w.update(later, w.keyOf("c2VjcmV0"), func(*controlv1.Integration) {})
	w.awaitStored(eventv1.EventStream, 5)

	later = w.update(later, nil, func(i *controlv1.Integration) { i.Disabled = true })
	eventually(t, "the hub given up", func() bool { return r.owned("later") == 0 })
	w.send("third", tenant, 7)
	require.NoError(t, w.store.Delete(t.Context(), before))
	eventually(t, "the hub given up", func() bool { return r.owned("before") == 0 })
	w.send("second", tenant, 8)
	w.send("entra", tenant, 9)
	w.awaitStored(eventv1.EventStream, 6)
	w.update(later, nil, func(i *controlv1.Integration) { i.Disabled = false })
	w.awaitStored(eventv1.EventStream, 7)
	w.create("before", integrationOf("second", tenant), w.keyOf("c2VjcmV0"))
	w.awaitStored(eventv1.EventStream, 8)

	require.InDelta(t, 1, r.connections("contoso"), 0, "the others were left alone")
	r.wait()
	got := map[string]int{}
	for _, e := range w.events() {
		got[e.GetIntegration()]++
	}
	require.Equal(t, map[string]int{"contoso": 2, "before": 2, "later": 4}, got)
	require.NotContains(t, r.logs.String(), "c2VjcmV0")
	require.NotContains(t, r.logs.String(), "d3Jvbmc")
}

// A hub of the config and one of an integration must not take the partitions from each other.
func TestAHubIsReadOnce(t *testing.T) {
	w := newIntegrated(t, eventhubs.TokensRefused, "second")
	w.unlock()
	w.create("same", integrationOf(hubName, tenant), w.keyOf("c2VjcmV0"))
	first := w.create("first", integrationOf("second", tenant), w.keyOf("c2VjcmV0"))
	r := w.start(w.config())
	eventually(t, "the first", func() bool { return r.owned("first") == 1 })
	w.create("again", integrationOf("SECOND", tenant), w.keyOf("c2VjcmV0"))
	said := func(what string) func() bool {
		return func() bool { return strings.Contains(r.logs.String(), what) }
	}
	eventually(t, "the conflict with the config", said("read already, for the config"))
	eventually(t, "the conflict with an integration", said("read already, for first"))
	require.Zero(t, r.connections("same"))
	require.Zero(t, r.connections("again"))
	require.NoError(t, w.store.Delete(t.Context(), first))
	eventually(t, "the second in its place", func() bool { return r.owned("again") == 1 })
}

// The key file is the gateway's: a streamer neither needs it without an integration nor makes one.
func TestTheKeyIsNeverMadeHere(t *testing.T) {
	w := newIntegrated(t, eventhubs.TokensRefused, "second")
	r := w.start(w.config())
	w.send("entra", tenant, 1)
	w.awaitStored(eventv1.EventStream, 1)
	require.NoFileExists(t, w.keyFile)

	keyFile := w.keyFile
	w.keyFile = filepath.Join(t.TempDir(), "elsewhere.key")
	w.unlock()
	w.create("second", integrationOf("second", tenant), w.keyOf("c2VjcmV0"))
	eventually(t, "the key missed", func() bool { return strings.Contains(r.logs.String(), "the key file must be the gateway's") })
	require.NoFileExists(t, keyFile)
	key, err := os.ReadFile(w.keyFile)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(keyFile, key, 0o600))
	w.send("second", tenant, 2)
	w.awaitStored(eventv1.EventStream, 2)
}

// login is a simulated Entra with one application, and how its namespace reaches it.
func (w *integrated) login(cfg *streamer.Config) {
	w.t.Helper()
	c := entra.DefaultConfig()
	var of entra.TenantConfig
	of.SetDefaults()
	of.ID, of.Users, of.Days, of.End = tenant, 100, 10, time.Now().UTC().Truncate(time.Second)
	c.Tenants = []entra.TenantConfig{of}
	c.Apps = []entra.AppConfig{{
		ClientID: foreign, Name: "reader", Secrets: []entra.SecretConfig{{Value: config.NewSecret("s3cr3t")}},
		Grants: []entra.GrantConfig{{Tenant: tenant}},
	}}
	simulated, err := entra.New(c, entra.Settings{})
	require.NoError(w.t, err)
	server := httptest.NewTLSServer(simulated)
	w.t.Cleanup(server.Close)
	ca := filepath.Join(w.t.TempDir(), "ca.pem")
	require.NoError(w.t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	cfg.Namespaces = map[string]streamer.NamespaceConfig{namespace: {AuthorityURL: server.URL, AuthorityCAFile: ca}}
}

func byApplication(hub string) *controlv1.Integration {
	i := integrationOf(hub, tenant)
	i.GetEventHub().Namespace, i.GetEventHub().TenantId, i.GetEventHub().ClientId = namespace, tenant, foreign
	return i
}

func secretOf(value string) *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: value}}
}

func TestAnIntegrationSignsInToEntra(t *testing.T) {
	w := newIntegrated(t, eventhubs.TokensUnexpired, "second")
	w.unlock()
	cfg := w.config()
	w.login(&cfg)
	made := w.create("app", byApplication("second"), secretOf("wr0ng"))
	r := w.start(cfg)
	eventually(t, "the sign-in refused", func() bool { return strings.Contains(r.logs.String(), "AADSTS7000215") })
	w.send("second", tenant, 1)
	w.update(made, secretOf("s3cr3t"), func(*controlv1.Integration) {})
	w.awaitStored(eventv1.EventStream, 1)
	require.Equal(t, "app", w.events()[0].GetIntegration())
	for _, secret := range []string{"wr0ng", "s3cr3t"} {
		require.NotContains(t, r.logs.String(), secret)
	}
}

func TestHubsAreTestedOnRequest(t *testing.T) {
	w := newIntegrated(t, eventhubs.TokensUnexpired)
	w.unlock()
	cfg := w.config()
	w.login(&cfg)
	w.send("entra", tenant, 1)
	w.start(cfg)
	gateway := w.bus.Connect(t, bus.UserGateway)
	ask := func(i *controlv1.Integration, c *controlv1.Credential, purpose string) *statev1.TestResponse {
		t.Helper()
		sealed, err := integrations.SealCredential(t.Context(), w.sealer, c, "test")
		require.NoError(t, err)
		answer := &statev1.TestResponse{}
		eventually(t, "an answer", func() bool {
			return bus.Ask(t.Context(), gateway, bus.QuestionTestHub, &statev1.TestRequest{
				Integration: i, SealedCredential: sealed, Context: purpose,
			}, answer) == nil
		})
		return answer
	}
	other := integrationOf(hubName, tenant)
	other.GetEventHub().Namespace = "other.servicebus.windows.net"
	nobody := byApplication(hubName)
	nobody.GetEventHub().ClientId = "nobody"
	cases := map[string]struct {
		i          *controlv1.Integration
		credential *controlv1.Credential
		cause      string
		code       string
	}{
		"key":                {integrationOf(hubName, tenant), w.keyOf("c2VjcmV0"), "", ""},
		"wrong key":          {integrationOf(hubName, tenant), w.keyOf("d3Jvbmc="), "hub_key_wrong", ""},
		"no hub":             {integrationOf("none", tenant), w.keyOf("c2VjcmV0"), "hub_not_found", ""},
		"another namespace":  {other, w.keyOf("c2VjcmV0"), "connection_invalid", ""},
		"application":        {byApplication(hubName), secretOf("s3cr3t"), "", ""},
		"wrong secret":       {byApplication(hubName), secretOf("wr0ng"), "secret_wrong", "AADSTS7000215"},
		"no application":     {nobody, secretOf("s3cr3t"), "app_not_found", ""},
		"no federated token": {byApplication(hubName), &controlv1.Credential{Kind: &controlv1.Credential_Federated{Federated: &controlv1.FederatedToken{TokenFile: "/none"}}}, "credential_missing", ""},
		"no certificate":     {byApplication(hubName), &controlv1.Credential{Kind: &controlv1.Credential_Certificate{Certificate: &controlv1.ClientCertificate{Data: []byte("x")}}}, "certificate_rejected", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			report := ask(tc.i, tc.credential, "test").GetReport()
			require.Equal(t, tc.cause, report.GetProblem().GetCause(), "%v", report)
			require.Equal(t, tc.cause == "", report.GetConnected())
			require.Equal(t, tc.code, report.GetProblem().GetCode())
			require.NotEmpty(t, report.GetHeadline())
			require.Equal(t, tc.cause != "", report.GetProblem().GetRemedy() != "")
		})
	}
	require.Equal(t, "sealed_with_another_key", ask(integrationOf(hubName, tenant), w.keyOf("c2VjcmV0"), "else").GetFault())
}
