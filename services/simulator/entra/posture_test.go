package entra_test

import (
	"encoding/csv"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// TestPostureAccess holds every endpoint against the permissions and licences of graph.md §3.3 and §4.1 and entra-lists.md §9.
func TestPostureAccess(t *testing.T) {
	w := newWorld(t)
	source, err := w.server.Tenant(tenantID)
	require.NoError(t, err)
	principal := "/v1.0/servicePrincipals/" + source.ObjectID(tenant.ServicePrincipals, 0)
	user := "/v1.0/users/" + source.ObjectID(tenant.Users, 80)
	const (
		denied  = "Authorization_RequestDenied"
		missing = "Authentication_MSGraphPermissionMissing"
		premium = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
	)
	for link, tt := range map[string]struct {
		enough, wrong, code string
		free                string // the error without a licence, "" for none
	}{
		"/v1.0/directoryRoles":                              {enough: "RoleManagement.Read.Directory", wrong: "User.Read.All"},
		"/v1.0/directoryRoles/delta":                        {enough: "Directory.Read.All", wrong: "User.Read.All"},
		"/v1.0/roleManagement/directory/roleDefinitions":    {enough: "Directory.Read.All", wrong: "Policy.Read.All"},
		"/v1.0/roleManagement/directory/roleAssignments":    {enough: "Directory.Read.All", wrong: "Policy.Read.All"},
		"/v1.0/oauth2PermissionGrants":                      {enough: "Directory.Read.All", wrong: "Application.Read.All"},
		"/v1.0/oauth2PermissionGrants/delta":                {enough: "Directory.Read.All", wrong: "Application.Read.All"},
		principal + "/appRoleAssignments":                   {enough: "Application.Read.All", wrong: "User.Read.All"},
		principal + "/appRoleAssignedTo":                    {enough: "Directory.Read.All", wrong: "User.Read.All"},
		principal + "/owners":                               {enough: "Application.Read.All", wrong: "User.Read.All"},
		"/v1.0/domains":                                     {enough: "Directory.Read.All", wrong: "User.Read.All"},
		"/v1.0/identity/conditionalAccess/policies":         {enough: "Policy.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/identity/conditionalAccess/namedLocations":   {enough: "Policy.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/policies/authenticationStrengthPolicies":     {enough: "Policy.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/policies/authenticationMethodsPolicy":        {enough: "Policy.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/policies/authorizationPolicy":                {enough: "Policy.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/policies/crossTenantAccessPolicy/default":    {enough: "Policy.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/policies/crossTenantAccessPolicy/partners":   {enough: "Policy.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/deviceAppManagement/mobileApps":              {enough: "DeviceManagementApps.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/deviceManagement/managedDevices":             {enough: "DeviceManagementManagedDevices.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/deviceManagement/detectedApps":               {enough: "DeviceManagementManagedDevices.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/deviceManagement/deviceConfigurations":       {enough: "DeviceManagementConfiguration.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/deviceManagement/deviceCompliancePolicies":   {enough: "DeviceManagementConfiguration.Read.All", wrong: "Directory.Read.All"},
		"/v1.0/directory/deletedItems/microsoft.graph.user": {enough: "User.Read.All", wrong: "Policy.Read.All"},
		user + "/mailboxSettings":                           {enough: "MailboxSettings.Read", wrong: "User.Read.All"},
		user + "/mailFolders/inbox/messageRules":            {enough: "MailboxSettings.Read", wrong: "User.Read.All"},
		user + "/authentication/methods":                    {enough: "UserAuthenticationMethod.Read.All", wrong: "User.Read.All"},
		user + "/ownedDevices":                              {enough: "User.Read.All", wrong: "Device.Read.All"},
		"/v1.0/roleManagement/directory/roleEligibilityScheduleInstances": {
			enough: "RoleManagement.Read.Directory", wrong: "Directory.Read.All", free: "AadPremiumLicenseRequired",
		},
		"/v1.0/roleManagement/directory/roleAssignmentScheduleInstances": {
			enough: "RoleAssignmentSchedule.Read.Directory", wrong: "Directory.Read.All", free: "AadPremiumLicenseRequired",
		},
		"/v1.0/reports/authenticationMethods/userRegistrationDetails": {
			enough: "AuditLog.Read.All", wrong: "Reports.Read.All", code: missing, free: premium,
		},
		"/beta/reports/servicePrincipalSignInActivities": {
			enough: "AuditLog.Read.All", wrong: "Directory.Read.All", code: missing, free: premium,
		},
	} {
		t.Run(link, func(t *testing.T) {
			get := func(roles string, status int) page {
				t.Helper()
				require.NoError(t, w.server.SetConsents(clientID, tenantID, []string{roles}))
				w.token(true)
				return w.get(link, status)
			}
			require.NoError(t, w.server.SetLicence(tenantID, tenant.P2))
			get(tt.enough, http.StatusOK)
			if tt.code == "" {
				tt.code = denied
			}
			require.Equal(t, tt.code, get(tt.wrong, http.StatusForbidden).Error.Code)
			require.NoError(t, w.server.SetLicence(tenantID, tenant.Free))
			switch tt.free {
			case "":
				get(tt.enough, http.StatusOK)
			case premium:
				require.Equal(t, tt.free, get(tt.enough, http.StatusForbidden).Error.Code)
			default:
				require.Equal(t, tt.free, get(tt.enough, http.StatusBadRequest).Error.Code)
			}
		})
	}
}

// graphRole is the app role of a permission in an assignment.
type graphRole struct{ PrincipalID, AppRoleID, PrincipalType string }

func TestRoles(t *testing.T) {
	w := newWorld(t, func(c *entra.Config) {
		c.Apps[0].Grants[0].Consents = append(entra.ReadPermissions(), "RoleManagement.Read.Directory")
	})
	const global = "62e90394-69f5-4237-9190-012177145e10"
	holders := map[string][]string{}
	types := map[string]bool{}
	for _, raw := range w.get("/v1.0/roleManagement/directory/roleAssignments", 200).Value {
		var a struct{ PrincipalID, RoleDefinitionID string }
		require.NoError(t, json.Unmarshal(raw, &a))
		holders[a.RoleDefinitionID] = append(holders[a.RoleDefinitionID], a.PrincipalID)
		for _, kind := range []string{"users", "groups", "servicePrincipals"} {
			if response, _, err := w.raw(t.Context(), "/v1.0/"+kind+"/"+a.PrincipalID, w.token(false)); err == nil && response.StatusCode == 200 {
				types[kind] = true
			}
		}
	}
	require.Len(t, types, 3, "users, a group and an application hold roles")
	definitions := w.get("/beta/roleManagement/directory/roleDefinitions?$filter=templateId eq '"+global+"'", 200)
	require.Equal(t, "true", member(t, definitions.Value[0], "isPrivileged"))
	require.NotContains(t, string(w.get("/v1.0/roleManagement/directory/roleDefinitions", 200).Value[0]), "isPrivileged")
	role := w.get("/v1.0/directoryRoles?$filter=roleTemplateId eq '"+global+"'&$expand=members", 200).Value[0]
	sameIDs(t, holders[global], w.ids("/v1.0/directoryRoles/"+member(t, role, "id")+"/members"), "members")
	f := w.follow("/v1.0/directoryRoles/delta")
	f.round()
	f.equal("directoryRoles", "members")
	require.Contains(t, string(w.get("/v1.0/roleManagement/directory/roleAssignmentScheduleInstances", 200).Value[8]), `"assignmentType":"Activated"`)
	require.Len(t, w.get("/v1.0/roleManagement/directory/roleEligibilityScheduleInstances", 200).Value, 3)
	grants := w.follow("/v1.0/oauth2PermissionGrants/delta")
	grants.round()
	grants.equal("oauth2PermissionGrants")

	// What Graph's service principal gave is what the others hold.
	graph := w.get("/v1.0/servicePrincipals?$filter=appId eq '00000003-0000-0000-c000-000000000000'", 200).Value[0]
	require.Contains(t, string(graph), `"value":"RoleManagement.ReadWrite.Directory"`)
	given := w.ids("/v1.0/servicePrincipals/" + member(t, graph, "id") + "/appRoleAssignedTo?$top=7")
	var held []string
	for _, id := range w.ids("/v1.0/servicePrincipals") {
		held = append(held, w.ids("/v1.0/servicePrincipals/"+id+"/appRoleAssignments")...)
	}
	sameIDs(t, given, held, "permissions")
	users := 0
	for _, id := range w.ids("/v1.0/servicePrincipals?$filter=displayName eq 'Slack'") {
		for _, raw := range w.get("/v1.0/servicePrincipals/"+id+"/appRoleAssignedTo", 200).Value {
			var a graphRole
			require.NoError(t, json.Unmarshal(raw, &a))
			if a.PrincipalType == "User" {
				users++
				w.admin("DELETE", "directory/users/"+a.PrincipalID, "", 204)
				break
			}
		}
		require.Len(t, w.get("/v1.0/servicePrincipals/"+id+"/appRoleAssignedTo", 200).Value, 40, "who is gone is assigned nothing")
	}
	require.Equal(t, 1, users)
	require.Contains(t, string(w.get("/v1.0/applications?$expand=owners&$top=1", 200).Value[0]), `"owners":[{"@odata.type":"#microsoft.graph.user"`)
}

func TestReports(t *testing.T) {
	w := newWorld(t)
	enabled := w.ids("/v1.0/users?$filter=accountEnabled eq true&$top=999")
	rows := w.get("/v1.0/reports/authenticationMethods/userRegistrationDetails?$top=30", 200)
	require.Len(t, rows.Value, 30)
	ids := w.ids("/v1.0/reports/authenticationMethods/userRegistrationDetails?$top=30")
	sameIDs(t, enabled, ids, "disabled users are missing")
	w.admin("PATCH", "directory/users/"+ids[3], `{"accountEnabled":false}`, 204)
	w.admin("DELETE", "directory/users/"+ids[4], "", 204)
	require.Len(t, w.ids("/v1.0/reports/authenticationMethods/userRegistrationDetails"), len(ids)-2)
	admins := w.get("/v1.0/reports/authenticationMethods/userRegistrationDetails?$filter=isAdmin eq true", 200)
	require.Greater(t, len(admins.Value), 4)
	capable := w.get("/v1.0/reports/authenticationMethods/userRegistrationDetails?$filter=isMfaCapable eq true", 200).Value
	require.NotEmpty(t, capable)
	require.Less(t, len(capable), len(ids)-10)
	methods := w.get("/v1.0/users/"+member(t, capable[0], "id")+"/authentication/methods", 200)
	require.Greater(t, len(methods.Value), 1)

	truth := w.objects("reports/authenticationMethods/userRegistrationDetails")
	sameIDs(t, slices.Collect(maps.Keys(truth)), w.ids("/v1.0/reports/authenticationMethods/userRegistrationDetails"), "truth")
	one := mustGet(t, w, "/v1.0/reports/authenticationMethods/userRegistrationDetails/"+ids[7])
	var row map[string]any
	require.NoError(t, json.Unmarshal(one, &row))
	require.Empty(t, cmp.Diff(truth[ids[7]], row))
	w.get("/v1.0/reports/authenticationMethods/userRegistrationDetails/"+ids[3], 404)
	d, err := w.server.Directory(tenantID)
	require.NoError(t, err)
	require.Equal(t, []uint64{uint64(len(truth)), uint64(len(w.objects("appRoleAssignments")))},
		[]uint64{d.Counts()["reports/authenticationMethods/userRegistrationDetails"], d.Counts()["appRoleAssignments"]})
	sameIDs(t, slices.Collect(maps.Keys(w.objects("reports/servicePrincipalSignInActivities"))),
		w.ids("/beta/reports/servicePrincipalSignInActivities"), "truth")

	deleted := w.get("/v1.0/directory/deletedItems/microsoft.graph.user", 200).Value
	require.Len(t, deleted, 1)
	require.Equal(t, ids[4], member(t, deleted[0], "id"))
	require.Contains(t, string(mustGet(t, w, "/v1.0/directory/deletedItems/"+ids[4])), ids[4])
	w.get("/v1.0/directory/deletedItems/"+ids[5], 404)

	require.NotEmpty(t, w.get("/beta/reports/servicePrincipalSignInActivities", 200).Value)
	w.get("/v1.0/reports/servicePrincipalSignInActivities", 400)
	report, err := csv.NewReader(strings.NewReader(string(mustGet(t, w, "/v1.0/reports/getMailboxUsageDetail(period='D30')")))).ReadAll()
	require.NoError(t, err)
	require.Contains(t, report[0], "Recipient Type")
	require.Greater(t, len(report), 50)
	counted := 0
	link := "/beta/reports/getMailboxUsageDetail(period='D30')?$format=application/json"
	for link != "" {
		page := w.get(link, 200)
		counted, link = counted+len(page.Value), page.Next
	}
	require.Equal(t, len(report)-1, counted, "the same as JSON, in pages")
}

func mustGet(t *testing.T, w *world, link string) []byte {
	t.Helper()
	response, body, err := w.raw(t.Context(), link, w.token(false))
	require.NoError(t, err)
	require.Equal(t, 200, response.StatusCode, string(body))
	return body
}

func TestMailboxes(t *testing.T) {
	w := newWorld(t, func(c *entra.Config) { c.Tenants[0].Users = 1500 })
	purposes, none, rules := map[string]int{}, 0, 0
	for _, id := range w.ids("/v1.0/users?$select=id&$top=999")[80:400] {
		response, body, err := w.raw(t.Context(), "/v1.0/users/"+id+"/mailboxSettings", w.token(false))
		require.NoError(t, err)
		if response.StatusCode == http.StatusNotFound {
			require.Contains(t, string(body), "MailboxNotEnabledForRESTAPI")
			none++
			continue
		}
		var m struct{ UserPurpose string }
		require.NoError(t, json.Unmarshal(body, &m))
		purposes[m.UserPurpose]++
		for _, rule := range w.get("/v1.0/users/"+id+"/mailFolders/inbox/messageRules", 200).Value {
			if strings.Contains(string(rule), "forwardTo") {
				rules++
			}
		}
	}
	require.Positive(t, none)
	require.Positive(t, rules)
	require.Positive(t, purposes["shared"])
	require.Greater(t, purposes["user"], 100)
}

func TestIntune(t *testing.T) {
	w := newWorld(t)
	devices := w.get("/v1.0/deviceManagement/managedDevices?$top=10", 200)
	require.Len(t, devices.Value, 10)
	require.NotEmpty(t, w.get("/v1.0/devices?$filter=deviceId eq '"+member(t, devices.Value[0], "azureADDeviceId")+"'", 200).Value)
	require.Len(t, w.ids("/v1.0/deviceManagement/detectedApps"), 8)
	require.Contains(t, string(w.get("/v1.0/deviceAppManagement/mobileApps", 200).Value[0]), "@odata.type")
	bare := newWorld(t, func(c *entra.Config) { c.Tenants[0].Intune = false })
	p := bare.get("/v1.0/deviceManagement/managedDevices", 400)
	require.Equal(t, []string{"BadRequest", "Request not applicable to target tenant."}, []string{p.Error.Code, p.Error.Message})
}

// TestPolicies reads what describes the tenant, and holds the limit of Conditional Access.
func TestPolicies(t *testing.T) {
	w := newWorld(t)
	signIn := w.get("/beta/auditLogs/signIns?$top=1", 200).Value[0]
	policies := w.get("/v1.0/identity/conditionalAccess/policies", 200).Value
	require.Len(t, policies, 5)
	require.Contains(t, string(signIn), member(t, policies[0], "id"))
	for path, want := range map[string]string{
		"/v1.0/policies/identitySecurityDefaultsEnforcementPolicy": `"isEnabled":false`,
		"/v1.0/policies/authorizationPolicy":                       `"allowInvitesFrom":"everyone"`,
		"/v1.0/policies/authenticationMethodsPolicy":               `"id":"Fido2","state":"enabled"`,
		"/v1.0/policies/crossTenantAccessPolicy/default":           `"isMfaAccepted":false`,
		"/v1.0/policies/crossTenantAccessPolicy/partners":          `"isMfaAccepted":true`,
		"/v1.0/policies/authenticationStrengthPolicies":            `"policyType":"custom"`,
		"/v1.0/identity/conditionalAccess/namedLocations":          `#microsoft.graph.countryNamedLocation`,
		"/v1.0/domains": `"isDefault":true`,
	} {
		require.Contains(t, string(mustGet(t, w, path)), want, path)
	}
	require.NoError(t, w.server.SetThrottle(entra.ThrottleConfig{Mode: "on", Scale: 1}))
	mustGet(t, w, "/v1.0/identity/conditionalAccess/policies")
	response, _, err := w.raw(t.Context(), "/v1.0/identity/conditionalAccess/namedLocations", w.token(false))
	require.NoError(t, err)
	require.Equal(t, 429, response.StatusCode)
	require.Empty(t, response.Header.Get("Retry-After"))
}
