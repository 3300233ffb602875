package connect_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func TestAnIntegrationLives(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	given := entraOf(strings.ToUpper(tenantA))
	given.Status = &controlv1.IntegrationStatus{Problem: &controlv1.Problem{Cause: "made up"}}
	given.Credential = &controlv1.CredentialInfo{Kind: "made up"}
	given.DisabledDataTypes = []string{"risky_user", "audit"}
	made := w.create("contoso", given, secretOf(secret))
	want := &controlv1.Integration{
		Name: "integrations/contoso", DisplayName: "Contoso", DisabledDataTypes: []string{"audit", "risky_user"},
		Connection: &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{
			TenantId: tenantA, ClientId: clientID, Cloud: "global", PermissionSet: controlv1.PermissionSet_PERMISSION_SET_READ_ONLY,
		}},
		Credential: &controlv1.CredentialInfo{Kind: "client_secret"},
	}
	times := protocmp.IgnoreFields(&controlv1.Integration{}, "create_time", "update_time", "etag")
	set := protocmp.IgnoreFields(&controlv1.CredentialInfo{}, "set_time")
	require.Empty(t, cmp.Diff(want, made, protocmp.Transform(), times, set))
	require.NotEmpty(t, made.GetEtag())
	require.WithinDuration(t, time.Now(), made.GetCredential().GetSetTime().AsTime(), time.Minute)

	record, credential := w.stored("contoso")
	require.Equal(t, secret, credential.GetClientSecret())
	require.NotContains(t, string(record.Sealed), secret)

	require.NoError(t, w.runs().SetStatus(ctx, "contoso", &controlv1.IntegrationStatus{Report: &controlv1.ConnectionReport{Connected: true}}))
	got, err := w.client.GetIntegration(ctx, &controlv1.GetIntegrationRequest{Name: made.GetName()})
	require.NoError(t, err)
	require.True(t, got.GetIntegration().GetStatus().GetReport().GetConnected())

	change := proto.CloneOf(got.GetIntegration())
	change.DisplayName, change.Disabled, change.DisabledDataTypes = "Contoso Ltd", true, []string{"audit"}
	change.GetEntra().ClientId, change.GetEntra().TenantId = tenantB, tenantB
	update := &controlv1.UpdateIntegrationRequest{
		Integration: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name", "disabled", "entra.client_id"}},
	}
	changed, err := w.client.UpdateIntegration(ctx, update)
	require.NoError(t, err)
	next := changed.GetIntegration()
	require.Equal(t, "Contoso Ltd", next.GetDisplayName())
	require.True(t, next.GetDisabled())
	require.Equal(t, tenantB, next.GetEntra().GetClientId())
	require.Equal(t, tenantA, next.GetEntra().GetTenantId(), "not in the mask")
	require.Len(t, next.GetDisabledDataTypes(), 2, "not in the mask")
	_, credential = w.stored("contoso")
	require.Equal(t, secret, credential.GetClientSecret(), "a change keeps it")

	_, err = w.client.UpdateIntegration(ctx, update)
	requireFault(t, err, codes.Aborted, "INTEGRATION_CHANGED")
	_, err = w.client.DeleteIntegration(ctx, &controlv1.DeleteIntegrationRequest{Name: made.GetName(), Etag: made.GetEtag()})
	requireFault(t, err, codes.Aborted, "INTEGRATION_CHANGED")
	_, err = w.client.CollectNow(ctx, &controlv1.CollectNowRequest{Name: made.GetName()})
	requireFault(t, err, codes.FailedPrecondition, "INTEGRATION_DISABLED")
	_, err = w.client.DeleteIntegration(ctx, &controlv1.DeleteIntegrationRequest{Name: made.GetName(), Etag: next.GetEtag()})
	require.NoError(t, err)
	_, err = w.client.GetIntegration(ctx, &controlv1.GetIntegrationRequest{Name: made.GetName()})
	requireFault(t, err, codes.NotFound, "INTEGRATION_NOT_FOUND")
}

func TestEveryFieldOfTheMask(t *testing.T) {
	w := newWorld(t)
	tenant := w.create("tenant", entraOf(tenantA), secretOf(secret))
	hub := w.create("hub", hubOf(tenantA), stringOf(secret))
	require.Equal(t, "$Default", hub.GetEventHub().GetConsumerGroup())
	cases := map[string]struct {
		of     *controlv1.Integration
		change func(*controlv1.Integration)
		reason string
	}{
		"display_name":        {tenant, func(i *controlv1.Integration) { i.DisplayName = "x" }, ""},
		"disabled":            {tenant, func(i *controlv1.Integration) { i.Disabled = true }, ""},
		"disabled_data_types": {tenant, func(i *controlv1.Integration) { i.DisabledDataTypes = []string{"audit"} }, ""},
		"confirmation": {tenant, func(i *controlv1.Integration) {
			i.Confirmation = &controlv1.Confirmation{Licences: []string{"P2"}}
		}, ""},
		"entra.client_id": {tenant, func(i *controlv1.Integration) { i.GetEntra().ClientId = tenantB }, ""},
		"entra.permission_set": {tenant, func(i *controlv1.Integration) {
			i.GetEntra().PermissionSet = controlv1.PermissionSet_PERMISSION_SET_READ_WRITE
		}, ""},
		"event_hub.consumer_group": {hub, func(i *controlv1.Integration) { i.GetEventHub().ConsumerGroup = "own" }, ""},
		"event_hub.tenant_ids":     {hub, func(i *controlv1.Integration) { i.GetEventHub().TenantIds = []string{tenantB} }, ""},

		"entra.tenant_id": {tenant, func(*controlv1.Integration) {}, "REQUEST_INVALID"},
		"credential":      {tenant, func(*controlv1.Integration) {}, "REQUEST_INVALID"},
		"status":          {tenant, func(*controlv1.Integration) {}, "REQUEST_INVALID"},
	}
	for path, tc := range cases {
		t.Run(path, func(t *testing.T) {
			got, err := w.client.GetIntegration(t.Context(), &controlv1.GetIntegrationRequest{Name: tc.of.GetName()})
			require.NoError(t, err)
			want := got.GetIntegration()
			tc.change(want)
			answer, err := w.client.UpdateIntegration(t.Context(), &controlv1.UpdateIntegrationRequest{
				Integration: want, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{path}},
			})
			if tc.reason != "" {
				requireFault(t, err, codes.InvalidArgument, tc.reason)
				return
			}
			require.NoError(t, err)
			ignore := protocmp.IgnoreFields(&controlv1.Integration{}, "update_time", "etag")
			require.Empty(t, cmp.Diff(want, answer.GetIntegration(), protocmp.Transform(), ignore))
		})
	}
	_, err := w.client.UpdateIntegration(t.Context(), &controlv1.UpdateIntegrationRequest{
		Integration: &controlv1.Integration{Name: hub.GetName(), Connection: entraOf(tenantA).GetConnection()},
		UpdateMask:  &fieldmaskpb.FieldMask{Paths: []string{"entra.client_id"}},
	})
	requireFault(t, err, codes.InvalidArgument, "REQUEST_INVALID")
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	w := newWorld(t)
	w.create("taken", entraOf(tenantA), secretOf(secret))
	bad := func(change func(*controlv1.Integration)) *controlv1.Integration {
		i := entraOf(tenantB)
		change(i)
		return i
	}
	application := hubOf(tenantA)
	application.GetEventHub().TenantId, application.GetEventHub().ClientId = tenantA, clientID
	cases := map[string]struct {
		id         string
		i          *controlv1.Integration
		credential *controlv1.Credential
		code       codes.Code
		reason     string
	}{
		"id":                  {"Upper", entraOf(tenantB), secretOf(secret), codes.InvalidArgument, "REQUEST_INVALID"},
		"no connection":       {"x", &controlv1.Integration{}, secretOf(secret), codes.InvalidArgument, "REQUEST_INVALID"},
		"no credential":       {"x", entraOf(tenantB), nil, codes.InvalidArgument, "REQUEST_INVALID"},
		"empty credential":    {"x", entraOf(tenantB), &controlv1.Credential{}, codes.InvalidArgument, "REQUEST_INVALID"},
		"tenant id":           {"x", entraOf("contoso"), secretOf(secret), codes.InvalidArgument, "REQUEST_INVALID"},
		"data type":           {"x", bad(func(i *controlv1.Integration) { i.DisabledDataTypes = []string{"weather"} }), secretOf(secret), codes.InvalidArgument, "REQUEST_INVALID"},
		"string for a tenant": {"x", entraOf(tenantB), stringOf(secret), codes.InvalidArgument, "REQUEST_INVALID"},
		"secret for a hub":    {"x", hubOf(tenantA), secretOf(secret), codes.InvalidArgument, "REQUEST_INVALID"},
		"hub nowhere":         {"x", application, secretOf(secret), codes.InvalidArgument, "REQUEST_INVALID"},
		"any and another":     {"x", hubOf("any", tenantA), stringOf(secret), codes.InvalidArgument, "REQUEST_INVALID"},
		"no tenants":          {"x", hubOf(), stringOf(secret), codes.InvalidArgument, "REQUEST_INVALID"},
		"taken id":            {"taken", entraOf(tenantB), secretOf(secret), codes.AlreadyExists, "INTEGRATION_EXISTS"},
		"taken tenant":        {"x", entraOf(strings.ToUpper(tenantA)), secretOf(secret), codes.AlreadyExists, "TENANT_TAKEN"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := w.client.CreateIntegration(t.Context(), &controlv1.CreateIntegrationRequest{
				IntegrationId: tc.id, Integration: tc.i, Credential: tc.credential,
			})
			requireFault(t, err, tc.code, tc.reason)
		})
	}
	collects := map[string]*controlv1.CollectNowRequest{
		"data type":  {Name: "integrations/taken", DataTypes: []string{"weather"}},
		"request id": {Name: "integrations/taken", RequestId: "A"},
		"since":      {Name: "integrations/taken", Since: timestamppb.New(time.Now().Add(time.Hour))},
		"name":       {Name: "taken"},
	}
	for name, req := range collects {
		t.Run("collect "+name, func(t *testing.T) {
			_, err := w.client.CollectNow(t.Context(), req)
			requireFault(t, err, codes.InvalidArgument, "REQUEST_INVALID")
		})
	}
}

func TestATokenForOneTenantSeesNoOther(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.create("a", entraOf(tenantA), secretOf(secret))
	foreign := w.create("b", entraOf(tenantB), secretOf(secret))
	w.create("hub-a", hubOf(strings.ToUpper(tenantA)), stringOf(secret))
	w.create("hub-any", hubOf("any"), stringOf(secret))
	w.create("hub-both", hubOf(tenantA, tenantB), stringOf(secret))

	list, err := w.only.ListIntegrations(ctx, &controlv1.ListIntegrationsRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"integrations/a", "integrations/hub-a"}, names(list))
	for _, name := range []string{foreign.GetName(), "integrations/hub-any", "integrations/hub-both"} {
		_, err = w.only.GetIntegration(ctx, &controlv1.GetIntegrationRequest{Name: name})
		requireFault(t, err, codes.NotFound, "INTEGRATION_NOT_FOUND")
		_, err = w.only.UpdateIntegration(ctx, &controlv1.UpdateIntegrationRequest{
			Integration: &controlv1.Integration{Name: name, Connection: hubOf(tenantA).GetConnection()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"disabled"}},
		})
		requireFault(t, err, codes.NotFound, "INTEGRATION_NOT_FOUND")
		_, err = w.only.DeleteIntegration(ctx, &controlv1.DeleteIntegrationRequest{Name: name})
		requireFault(t, err, codes.NotFound, "INTEGRATION_NOT_FOUND")
		_, err = w.only.TestConnection(ctx, &controlv1.TestConnectionRequest{Name: name})
		requireFault(t, err, codes.NotFound, "INTEGRATION_NOT_FOUND")
		_, err = w.only.ResetCredentials(ctx, &controlv1.ResetCredentialsRequest{Name: name, Credential: secretOf(secret)})
		requireFault(t, err, codes.NotFound, "INTEGRATION_NOT_FOUND")
		_, err = w.only.CollectNow(ctx, &controlv1.CollectNowRequest{Name: name})
		requireFault(t, err, codes.NotFound, "INTEGRATION_NOT_FOUND")
		_, err = w.only.ListRuns(ctx, &controlv1.ListRunsRequest{Parent: name})
		requireFault(t, err, codes.NotFound, "INTEGRATION_NOT_FOUND")
		stream, err := w.only.WatchRun(ctx, &controlv1.WatchRunRequest{Name: name + "/runs/x"})
		require.NoError(t, err)
		_, err = stream.Recv()
		requireFault(t, err, codes.NotFound, "INTEGRATION_NOT_FOUND")
	}
	_, err = w.only.CreateIntegration(ctx, &controlv1.CreateIntegrationRequest{IntegrationId: "x", Integration: hubOf("any"), Credential: stringOf(secret)})
	requireFault(t, err, codes.PermissionDenied, "TENANT_FORBIDDEN")
	_, err = w.only.TestConnection(ctx, &controlv1.TestConnectionRequest{Integration: entraOf(tenantB), Credential: secretOf(secret)})
	requireFault(t, err, codes.PermissionDenied, "TENANT_FORBIDDEN")
	wide := hubOf(tenantA, tenantB)
	wide.Name = "integrations/hub-a"
	_, err = w.only.UpdateIntegration(ctx, &controlv1.UpdateIntegrationRequest{
		Integration: wide, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"event_hub.tenant_ids"}},
	})
	requireFault(t, err, codes.PermissionDenied, "TENANT_FORBIDDEN")
}

func names(list *controlv1.ListIntegrationsResponse) []string {
	var all []string
	for _, i := range list.GetIntegrations() {
		all = append(all, i.GetName())
	}
	return all
}

func TestListsComeInPages(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"c", "a", "e", "b", "d"} {
		w.create(id, hubOf("any"), stringOf(secret))
	}
	var all []string
	req := &controlv1.ListIntegrationsRequest{PageSize: 2}
	for pages := 1; ; pages++ {
		page, err := w.client.ListIntegrations(t.Context(), req)
		require.NoError(t, err)
		all = append(all, names(page)...)
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			require.Equal(t, 3, pages)
			break
		}
	}
	require.Equal(t, []string{"integrations/a", "integrations/b", "integrations/c", "integrations/d", "integrations/e"}, all)
}

// A gateway may be there before the topology: it says so and comes right by itself.
func TestWithoutBucketsItSaysSo(t *testing.T) {
	w := newWorld(t)
	operator := w.bus.Connect(t, bus.UserOperator)
	require.NoError(t, operator.JetStream().DeleteKeyValue(t.Context(), bus.BucketIntegrations))
	_, err := w.client.ListIntegrations(t.Context(), &controlv1.ListIntegrationsRequest{})
	requireFault(t, err, codes.Unavailable, "TOPOLOGY_MISSING")
	require.NoError(t, bus.Ensure(t.Context(), operator.JetStream(), bus.Options{}))
	_, err = w.client.ListIntegrations(t.Context(), &controlv1.ListIntegrationsRequest{})
	require.NoError(t, err)
}
