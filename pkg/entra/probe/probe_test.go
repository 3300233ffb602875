package probe_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/internal/fake"
	"github.com/entraflow/entraflow/pkg/entra/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tenant is a Graph that refuses by licence and permission as graph.md §2 says.
type tenant struct {
	plans []string
	roles []string
	// quiet hides the licences and the organization.
	quiet bool
	// refuse answers a path in place of the tenant.
	refuse map[string]http.HandlerFunc
}

func (x tenant) has(permissions ...string) bool {
	return entra.Claims{Roles: x.roles}.Has(permissions...)
}

func (x tenant) licensed(plan string) bool { return strings.Contains(strings.Join(x.plans, " "), plan) }

func (x tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for path, refuse := range x.refuse {
		if strings.HasSuffix(r.URL.Path, path) {
			refuse(w, r)
			return
		}
	}
	denied := fake.Fail("Authorization_RequestDenied", http.StatusForbidden)
	switch path := r.URL.Path; {
	case path == "/v1.0/organization" && !x.quiet:
		answer(w, map[string]any{"id": fake.Tenant, "displayName": "Contoso", "verifiedDomains": []any{
			map[string]any{"name": "contoso.onmicrosoft.com", "isInitial": true}, map[string]any{"name": "contoso.com", "isDefault": true},
		}})
	case path == "/v1.0/subscribedSkus" && !x.quiet:
		var plans []any
		for _, p := range x.plans {
			plans = append(plans, map[string]any{"servicePlanName": p, "provisioningStatus": "Success"})
		}
		answer(w, map[string]any{"capabilityStatus": "Enabled", "servicePlans": plans},
			map[string]any{"capabilityStatus": "Deleted", "servicePlans": []any{map[string]any{"servicePlanName": "INTUNE_A"}}})
	case x.quiet && (path == "/v1.0/organization" || path == "/v1.0/subscribedSkus"):
		denied(w, r)
	case strings.HasSuffix(path, "/auditLogs/signIns"), strings.HasSuffix(path, "/userRegistrationDetails"):
		x.judge(w, r, "AuditLog.Read.All", "AAD_PREMIUM", fake.Fail("Authentication_RequestFromNonPremiumTenantOrB2CTenant", http.StatusForbidden))
	case strings.HasSuffix(path, "/riskDetections"):
		x.judge(w, r, "IdentityRiskEvent.Read.All", "AAD_PREMIUM_P2", fake.Fail("Forbidden", http.StatusForbidden))
	case strings.HasSuffix(path, "/riskyUsers"):
		x.judge(w, r, "IdentityRiskyUser.Read.All", "AAD_PREMIUM_P2", fake.Fail("Forbidden", http.StatusForbidden))
	case strings.HasSuffix(path, "/managedDevices"):
		x.judge(w, r, "DeviceManagementManagedDevices.Read.All", "INTUNE_A", fake.Fail("BadRequest", http.StatusBadRequest))
	case strings.HasSuffix(path, "/policies"):
		x.judge(w, r, "Policy.Read.All", "", nil)
	case strings.HasPrefix(path, "/v1.0/auditLogs"):
		if !x.has("AuditLog.Read.All", "Directory.Read.All") {
			denied(w, r)
			return
		}
		answer(w)
	default:
		x.judge(w, r, "Directory.Read.All", "", nil)
	}
}

func (x tenant) judge(w http.ResponseWriter, r *http.Request, permission, plan string, unlicensed http.HandlerFunc) {
	switch {
	case !x.has(permission):
		fake.Fail("Authorization_RequestDenied", http.StatusForbidden)(w, r)
	case plan != "" && !x.licensed(plan):
		unlicensed(w, r)
	default:
		answer(w)
	}
}

func answer(w http.ResponseWriter, values ...any) {
	if values == nil {
		values = []any{}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"value": values})
}

var allRoles = []string{
	"AuditLog.Read.All", "Directory.Read.All", "IdentityRiskEvent.Read.All", "IdentityRiskyUser.Read.All", "Policy.Read.All",
	"DeviceManagementManagedDevices.Read.All",
}

func run(t *testing.T, x tenant, change func(*fake.Server, *probe.Settings)) probe.Report {
	t.Helper()
	server := fake.New(t)
	server.Roles, server.Graph = x.roles, x.ServeHTTP
	set := probe.Settings{Endpoints: server.Endpoints(t), Credential: entra.CredentialSpec{
		TenantID: fake.Tenant, ClientID: fake.App, Kind: entra.KindSecret, Secret: config.NewSecret(fake.Secret),
	}}
	if change != nil {
		change(server, &set)
	}
	report := probe.Run(t.Context(), set)
	text := fmt.Sprintf("%+v %+v", report, report.Error)
	for _, word := range []string{fake.Secret, "eyJ", "s1gnature", "jane.doe", "Bearer"} {
		require.NotContains(t, text, word)
	}
	return report
}

func availabilities(r probe.Report) map[entra.DataType]probe.Availability {
	found := map[entra.DataType]probe.Availability{}
	for _, d := range r.DataTypes {
		found[d.ID] = d.Availability
	}
	return found
}

// expect is available for all but the given.
func expect(not map[entra.DataType]probe.Availability) map[entra.DataType]probe.Availability {
	want := map[entra.DataType]probe.Availability{}
	for _, d := range entra.DataTypes() {
		want[d.ID] = probe.Available
	}
	maps.Copy(want, not)
	return want
}

func find(t *testing.T, r probe.Report, id entra.DataType) probe.DataTypeResult {
	t.Helper()
	for _, d := range r.DataTypes {
		if d.ID == id {
			return d
		}
	}
	require.FailNow(t, "no result", id)
	return probe.DataTypeResult{}
}

func TestEverythingIsAvailable(t *testing.T) {
	r := run(t, tenant{plans: []string{"AAD_PREMIUM", "AAD_PREMIUM_P2", "INTUNE_A"}, roles: allRoles}, nil)
	require.True(t, r.Connected)
	require.Equal(t, "Connected!", r.Headline)
	require.Nil(t, r.Error)
	require.Empty(t, cmp.Diff(expect(nil), availabilities(r)))
	require.Equal(t, "Contoso", r.TenantName)
	require.Equal(t, "contoso.com", r.VerifiedDomain)
	require.Equal(t, fake.Tenant, r.TenantID)
	require.Equal(t, []entra.Licence{entra.LicenceP1, entra.LicenceP2, entra.LicenceIntune}, r.Licences)
	require.Equal(t, allRoles[0], r.Roles[0])
	require.Less(t, r.Skew.Abs(), time.Minute)
	require.Positive(t, r.Took)
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	p1 := []string{"AAD_PREMIUM"}
	signIns := func(a probe.Availability) map[entra.DataType]probe.Availability {
		return map[entra.DataType]probe.Availability{
			entra.SignInInteractive: a, entra.SignInNonInteractive: a, entra.SignInServicePrincipal: a,
			entra.SignInManagedIdentity: a, entra.AuthMethodsRegistration: a,
		}
	}
	risk := func(m map[entra.DataType]probe.Availability, a probe.Availability) map[entra.DataType]probe.Availability {
		m[entra.RiskDetection], m[entra.RiskyUser], m[entra.IntuneDevices] = a, a, a
		return m
	}
	cases := map[string]struct {
		tenant    tenant
		not       map[entra.DataType]probe.Availability
		connected bool
	}{
		"free": {tenant{roles: allRoles}, risk(signIns(probe.LicenceMissing), probe.LicenceMissing), true},
		"P1":   {tenant{plans: p1, roles: allRoles}, risk(map[entra.DataType]probe.Availability{}, probe.LicenceMissing), true},
		"P1, licences hidden": {tenant{plans: p1, roles: allRoles, quiet: true}, map[entra.DataType]probe.Availability{
			// The roles are there, so that it cannot be the permission.
			entra.RiskDetection: probe.LicenceMissing, entra.RiskyUser: probe.LicenceMissing, entra.IntuneDevices: probe.LicenceMissing,
		}, true},
		"no risk permission": {tenant{plans: p1, roles: allRoles[:2]}, map[entra.DataType]probe.Availability{
			entra.RiskDetection: probe.PermissionMissing, entra.RiskyUser: probe.PermissionMissing,
			entra.IntuneDevices: probe.PermissionMissing, entra.ConditionalAccess: probe.PermissionMissing,
		}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := run(t, tc.tenant, nil)
			require.Empty(t, cmp.Diff(expect(tc.not), availabilities(r)))
			require.Equal(t, tc.connected, r.Connected)
			require.NotNil(t, r.Error)
			for _, d := range r.DataTypes {
				switch d.Availability {
				case probe.LicenceMissing:
					require.NotEmpty(t, d.Licence)
				case probe.PermissionMissing, probe.ConsentMissing:
					require.NotEmpty(t, d.Permission)
				default:
					require.Empty(t, d.Detail)
					continue
				}
				require.NotEmpty(t, d.Detail)
				require.NotEmpty(t, d.Remedy)
			}
		})
	}
}

func TestNoConsent(t *testing.T) {
	r := run(t, tenant{}, nil)
	require.False(t, r.Connected)
	require.Equal(t, "No permission has been consented to", r.Headline)
	for _, d := range r.DataTypes {
		require.Equal(t, probe.ConsentMissing, d.Availability, d.ID)
	}
}

func TestTheLicenceTrap(t *testing.T) {
	// Without Directory.Read.All Graph says that a licensed tenant is not (graph.md §2.1).
	x := tenant{plans: []string{"AAD_PREMIUM"}, roles: []string{"AuditLog.Read.All", "LicenseAssignment.Read.All"}, refuse: map[string]http.HandlerFunc{
		"/auditLogs/signIns": fake.Fail("Authentication_RequestFromNonPremiumTenantOrB2CTenant", http.StatusForbidden),
	}}
	r := run(t, x, nil)
	d := find(t, r, entra.SignInInteractive)
	require.Equal(t, probe.PermissionMissing, d.Availability)
	require.Equal(t, []string{"Directory.Read.All"}, d.Permission)
	require.False(t, r.Connected)
	require.Equal(t, "Neither sign-ins nor users can be read", r.Headline)
}

func TestARefusalInSpiteOfEverything(t *testing.T) {
	x := tenant{plans: []string{"AAD_PREMIUM"}, roles: allRoles, refuse: map[string]http.HandlerFunc{
		"/groups": fake.Fail("Authorization_RequestDenied", http.StatusForbidden),
	}}
	d := find(t, run(t, x, nil), entra.Groups)
	require.Equal(t, probe.PermissionMissing, d.Availability)
	require.Contains(t, d.Detail, "although")
}

func TestBetaIsRefused(t *testing.T) {
	x := tenant{plans: []string{"AAD_PREMIUM"}, roles: allRoles, refuse: map[string]http.HandlerFunc{
		"/beta/auditLogs/signIns": fake.Fail("ResourceNotFound", http.StatusNotFound),
	}}
	r := run(t, x, nil)
	require.Equal(t, probe.Available, find(t, r, entra.SignInInteractive).Availability)
	require.Equal(t, probe.Failed, find(t, r, entra.SignInNonInteractive).Availability)
	require.Equal(t, entra.CauseNotFound, find(t, r, entra.SignInNonInteractive).Cause)
}

func TestTheTokenIsRefused(t *testing.T) {
	for code, cause := range map[int]entra.Cause{
		7000215: entra.CauseSecretWrong, 7000222: entra.CauseSecretExpired, 700016: entra.CauseAppNotFound, 90002: entra.CauseTenantNotFound,
	} {
		r := run(t, tenant{}, func(s *fake.Server, _ *probe.Settings) { s.Token = fake.Refuse(code, http.StatusUnauthorized) })
		require.False(t, r.Connected)
		require.Equal(t, cause, r.Error.Cause)
		require.Equal(t, cause.Headline(), r.Headline)
		require.Len(t, r.DataTypes, len(entra.DataTypes()))
		require.Equal(t, probe.Failed, r.DataTypes[0].Availability)
		require.Equal(t, cause.Remedy(), r.DataTypes[0].Remedy)
	}
	r := run(t, tenant{}, func(_ *fake.Server, set *probe.Settings) { set.Credential.TenantID = "contoso" })
	require.Equal(t, entra.CauseTenantMalformed, r.Error.Cause)
}

func TestAProbeMakesANewCredential(t *testing.T) {
	server := fake.New(t)
	set := probe.Settings{Endpoints: server.Endpoints(t), DataTypes: []entra.DataType{entra.Users}, Credential: entra.CredentialSpec{
		TenantID: fake.Tenant, ClientID: fake.App, Kind: entra.KindSecret, Secret: config.NewSecret(fake.Secret),
	}}
	for range 2 {
		r := probe.Run(t.Context(), set)
		require.True(t, r.Connected)
		require.Len(t, r.DataTypes, 1)
	}
	n, _ := server.Tokens()
	require.Equal(t, 2, n)
}

func TestAProbeEndsInTime(t *testing.T) {
	x := tenant{roles: allRoles, refuse: map[string]http.HandlerFunc{
		"/users": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}}
	began := time.Now()
	r := run(t, x, func(_ *fake.Server, set *probe.Settings) { set.Timeout = 700 * time.Millisecond })
	require.Less(t, time.Since(began), 5*time.Second)
	require.Equal(t, probe.Failed, find(t, r, entra.Users).Availability)
	require.Equal(t, entra.CauseNetworkTimeout, find(t, r, entra.Users).Cause)
	require.Equal(t, probe.Available, find(t, r, entra.Groups).Availability)
}

func TestActionsFollowTheConsent(t *testing.T) {
	p2 := []string{"AAD_PREMIUM_P2"}
	cases := map[string]struct {
		tenant tenant
		want   map[probe.Action][]string // what is missing
	}{
		"read only": {tenant{plans: p2, roles: allRoles}, map[probe.Action][]string{
			probe.UpdateUserType: {"User.ReadWrite.All"}, probe.DeleteGuestUser: {"User.ReadWrite.All"},
			probe.LogOutUser: {"User.RevokeSessions.All"}, probe.ResetMFA: {"UserAuthenticationMethod.ReadWrite.All"},
			probe.DisableUser: {"User.EnableDisableAccount.All"}, probe.ConfirmCompromised: {"IdentityRiskyUser.ReadWrite.All"},
		}},
		"setup guide": {tenant{plans: p2, roles: append([]string{"User.ReadWrite.All", "UserAuthenticationMethod.ReadWrite.All"}, allRoles...)}, map[probe.Action][]string{
			probe.UpdateUserType: nil, probe.DeleteGuestUser: nil, probe.LogOutUser: nil, probe.ResetMFA: nil, probe.DisableUser: nil,
			probe.ConfirmCompromised: {"IdentityRiskyUser.ReadWrite.All"},
		}},
		"directory only": {tenant{plans: p2, roles: append([]string{"Directory.ReadWrite.All", "IdentityRiskyUser.ReadWrite.All"}, allRoles...)}, map[probe.Action][]string{
			// It does not allow a deletion, by its own description.
			probe.UpdateUserType: nil, probe.DeleteGuestUser: {"User.ReadWrite.All"}, probe.LogOutUser: nil,
			probe.ResetMFA: {"UserAuthenticationMethod.ReadWrite.All"}, probe.DisableUser: nil, probe.ConfirmCompromised: nil,
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := map[probe.Action][]string{}
			for _, a := range run(t, tc.tenant, nil).Actions {
				got[a.ID] = a.Missing
				require.Equal(t, len(a.Missing) == 0, a.Allowed, a.ID)
			}
			require.Empty(t, cmp.Diff(tc.want, got))
		})
	}
	r := run(t, tenant{plans: []string{"AAD_PREMIUM"}, roles: append([]string{"IdentityRiskyUser.ReadWrite.All"}, allRoles...)}, nil)
	require.Equal(t, entra.LicenceP2, r.Actions[5].Licence)
	require.False(t, r.Actions[5].Allowed)
}
