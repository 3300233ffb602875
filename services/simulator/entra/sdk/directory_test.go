package sdk_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// TestDirectoryBySDK follows a delta and reads what is typed by the typed client.
func TestDirectoryBySDK(t *testing.T) {
	s := newServer(t)
	server := httptest.NewTLSServer(s)
	defer server.Close()
	c := client(t, server.URL, server.URL, server.Client())
	page, err := c.Groups().Delta().GetAsDeltaGetResponse(t.Context(), &groups.DeltaRequestBuilderGetRequestConfiguration{
		QueryParameters: &groups.DeltaRequestBuilderGetQueryParameters{Select: []string{"displayName", "members"}},
	})
	require.NoError(t, err)
	require.NotEmpty(t, *page.GetValue()[0].GetDisplayName())
	members, ok := page.GetValue()[0].GetAdditionalData()["members@delta"].([]any)
	require.True(t, ok)
	require.Len(t, members, 2)
	require.NotNil(t, page.GetOdataDeltaLink())

	d, err := s.Directory(tenantID)
	require.NoError(t, err)
	group := d.ObjectID(tenant.Ref{Collection: tenant.Groups, Index: 5})
	require.NoError(t, d.Delete(tenant.Groups, group, true))
	changes, err := c.Groups().Delta().WithUrl(*page.GetOdataDeltaLink()).GetAsDeltaGetResponse(t.Context(), nil)
	require.NoError(t, err)
	removed := map[string]bool{}
	for _, g := range changes.GetValue() {
		_, gone := g.GetAdditionalData()["@removed"]
		removed[*g.GetId()] = gone
	}
	require.Equal(t, map[string]bool{group: true, d.ObjectID(tenant.Ref{Collection: tenant.Groups, Index: 4}): false}, removed,
		"the group, and the one that it was in")

	access, err := c.Identity().ConditionalAccess().Policies().Get(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, access.GetValue()[0].GetGrantControls().GetBuiltInControls(), 1)
	assignments, err := c.RoleManagement().Directory().RoleAssignments().Get(t.Context(), nil)
	require.NoError(t, err)
	require.NotEmpty(t, *assignments.GetValue()[0].GetPrincipalId())
	methods, err := c.Policies().AuthenticationMethodsPolicy().Get(t.Context(), nil)
	require.NoError(t, err)
	require.NotEmpty(t, methods.GetAuthenticationMethodConfigurations())
	rows, err := c.Reports().AuthenticationMethods().UserRegistrationDetails().Get(t.Context(), nil)
	require.NoError(t, err)
	require.NotNil(t, rows.GetValue()[0].GetUserType())
	user := *rows.GetValue()[0].GetId()
	settings, err := c.Users().ByUserId(user).MailboxSettings().Get(t.Context(), nil)
	require.NoError(t, err)
	require.NotNil(t, settings.GetUserPurpose())
	registered, err := c.Users().ByUserId(user).Authentication().Methods().Get(t.Context(), nil)
	require.NoError(t, err)
	require.NotEmpty(t, registered.GetValue())
	devices, err := c.DeviceManagement().ManagedDevices().Get(t.Context(), nil)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), *devices.GetValue()[0].GetLastSyncDateTime(), 40*24*time.Hour)
	report, err := c.Reports().GetMailboxUsageDetailWithPeriod(new("D30")).Get(t.Context(), nil)
	require.NoError(t, err)
	require.Contains(t, string(report), "Recipient Type")
}
