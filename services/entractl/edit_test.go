package entractl_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func TestEdit(t *testing.T) {
	entra := func(change func(*controlv1.Integration)) *controlv1.Integration {
		i := entraIntegration()
		i.Name, i.Etag = "integrations/contoso", "7"
		change(i)
		return i
	}
	tenants := &controlv1.Integration{Name: "integrations/hub", Etag: "1", Connection: &controlv1.Integration_EventHub{
		EventHub: &controlv1.EventHubConnection{TenantIds: []string{"any"}, ConsumerGroup: "entraflow"},
	}}
	cases := map[string]struct {
		args []string
		want *controlv1.Integration
		mask []string
	}{
		"name": {
			[]string{"contoso", "--display-name", "Contoso Ltd"},
			entra(func(i *controlv1.Integration) { i.DisplayName = "Contoso Ltd" }),
			[]string{"display_name"},
		},
		"no name": {[]string{"contoso", "--display-name", ""}, entra(func(*controlv1.Integration) {}), []string{"display_name"}},
		"disable": {[]string{"contoso", "--disable"}, entra(func(i *controlv1.Integration) { i.Disabled = true }), []string{"disabled"}},
		"enable":  {[]string{"contoso", "--enable"}, entra(func(*controlv1.Integration) {}), []string{"disabled"}},
		"data types": {
			[]string{"contoso", "--without", "audit", "--with", "risky_user"},
			entra(func(i *controlv1.Integration) { i.DisabledDataTypes = []string{"audit"} }),
			[]string{"disabled_data_types"},
		},
		"licences": {
			[]string{"contoso", "--confirm-licence", "p2", "--deny-licence", "P1,intune"},
			entra(func(i *controlv1.Integration) {
				i.Confirmation = &controlv1.Confirmation{Licences: []string{"P2"}, DeniedLicences: []string{"Intune", "P1"}}
			}),
			[]string{"confirmation"},
		},
		"forget": {
			[]string{"contoso", "--forget-confirmation"},
			entra(func(i *controlv1.Integration) { i.Confirmation = &controlv1.Confirmation{} }),
			[]string{"confirmation"},
		},
		"application": {
			[]string{"contoso", "--client-id", tenantID, "--permission-set", "read_write"},
			entra(func(i *controlv1.Integration) {
				i.GetEntra().ClientId = tenantID
				i.GetEntra().PermissionSet = controlv1.PermissionSet_PERMISSION_SET_READ_WRITE
			}),
			[]string{"entra.client_id", "entra.permission_set"},
		},
		"hub": {
			[]string{"hub", "--tenants", "any", "--consumer-group", "entraflow"},
			tenants,
			[]string{"event_hub.consumer_group", "event_hub.tenant_ids"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.saved = []*controlv1.Integration{contoso(), hub()}
			got := s.run(t.Context(), append([]string{"integration", "edit"}, tc.args...)...)
			require.Equal(t, 0, got.code, got.stderr)
			require.Len(t, s.kept(), 1)
			req, ok := s.kept()[0].(*controlv1.UpdateIntegrationRequest)
			require.True(t, ok)
			require.Empty(t, cmp.Diff(tc.want, req.GetIntegration(), protocmp.Transform()))
			require.Equal(t, tc.mask, req.GetUpdateMask().GetPaths())
		})
	}
}

func TestEditChecksItsFlags(t *testing.T) {
	s := newServer(t)
	s.saved = []*controlv1.Integration{contoso(), hub()}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"contoso"}, "nothing to change: see `entractl integration edit --help` for what can be"},
		{[]string{"contoso", "--tenants", "any"}, "--consumer-group and --tenants are of an Event Hub, and this integration is a tenant"},
		{[]string{"hub", "--client-id", clientID}, "--client-id and --permission-set are of a tenant, and this integration is an Event Hub"},
		{[]string{"contoso", "--client-id", "x"}, "--client-id \"x\" must be an id such as 8b7e6c5d-0000-4000-8000-000000000000"},
		{[]string{"contoso", "--permission-set", "x"}, "--permission-set \"x\" must be one of read_only, read_write"},
		{[]string{"contoso", "--without", "x"}, "there is no data type \"x\"; there are signin.interactive, audit, risk_detection, risky_user, conditional_access"},
		{[]string{"contoso", "--enable", "--disable"}, "--disable and --enable exclude each other"},
	} {
		got := s.run(t.Context(), append([]string{"integration", "edit"}, tc.args...)...)
		require.Equal(t, result{2, "", "entractl: " + tc.want + "\nRun 'entractl --help' for usage.\n"}, got)
	}
	require.Empty(t, s.kept())
}

func TestResetCredentials(t *testing.T) {
	s := newServer(t)
	s.saved, s.report, s.replaced = []*controlv1.Integration{contoso()}, connected(), true
	args := []string{"integration", "reset-credentials", "contoso"}
	got := s.answering(t.Context(), secret+"\n", args...)
	require.Equal(t, 0, got.code, got.stderr)
	require.Contains(t, got.stdout, "\nThe new credential of contoso is in use.\n")
	require.Contains(t, got.stdout, "risky_user          no         Risky users                  turned off\n")
	want := &controlv1.ResetCredentialsRequest{Name: "integrations/contoso", Credential: secretCredential()}
	requireRequests(t, s, want)

	s.report, s.replaced = refused(), false
	require.Equal(t, result{1, refusedText, "entractl: not replaced: the old credential stays in use\n"},
		s.run(t.Context(), append(args, "--secret-file", file(t, secret))...))
	requireRequests(t, s, want, want)

	got = s.run(t.Context(), args...)
	require.Equal(t, 2, got.code)
	require.Contains(t, got.stderr, "the credential is missing")
}

func TestDeleteAsks(t *testing.T) {
	s := newServer(t)
	s.saved = []*controlv1.Integration{contoso()}
	args := []string{"integration", "delete", "contoso"}
	const question = "Delete integration contoso? It is no longer collected; what is stored stays. [y/N] "
	deletion := proto.Message(&controlv1.DeleteIntegrationRequest{Name: "integrations/contoso", Etag: "7"})

	require.Equal(t, result{1, "", question + "entractl: nothing was changed\n"}, s.answering(t.Context(), "\n", args...))
	require.Equal(t, result{2, "", "entractl: nobody can be asked here: say --yes to go on without\nRun 'entractl --help' for usage.\n"},
		s.run(t.Context(), args...))
	require.Empty(t, s.kept())
	require.Equal(t, result{0, "Deleted contoso.\n", question}, s.answering(t.Context(), "Y\n", args...))
	require.Equal(t, result{stdout: "Deleted contoso.\n"}, s.run(t.Context(), append(args, "--yes")...))
	requireRequests(t, s, deletion, deletion)
}
