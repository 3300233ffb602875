package tenant_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// categories are the diagnostic categories to decode a log's objects with.
func categories() map[string]string {
	return map[string]string{
		tenant.Interactive: "SignInLogs", tenant.NonInteractive: "SignInLogs", tenant.ServicePrincipal: "SignInLogs",
		tenant.ManagedIdentity: "SignInLogs", tenant.Audit: "AuditLogs", tenant.Provisioning: "ProvisioningLogs",
		tenant.RiskDetection: "UserRiskEvents", tenant.RiskyUser: "RiskyUsers",
	}
}

// payload takes away what differs by nature: the way, the bytes, the version.
func payload(e *eventv1.Event) *eventv1.Event {
	c := proto.CloneOf(e)
	c.Source, c.Raw, c.Version = 0, nil, 0
	return c
}

func graphEvent(t *testing.T, tn *tenant.Tenant, log string, raw []byte) *eventv1.Event {
	t.Helper()
	var d decode.Decoder
	e, err := d.GraphObject(categories()[log], raw, decode.Origin{TenantID: tn.ID(), ObservedAt: end()})
	require.NoError(t, err, "%s", raw)
	return e
}

func hubEvent(t *testing.T, raw []byte) *eventv1.Event {
	t.Helper()
	var d decode.Decoder
	e, err := d.HubRecord(raw, decode.Origin{ObservedAt: end()})
	require.NoError(t, err, "%s", raw)
	return e
}

// TestBothWaysGiveOneEvent decodes every record from Graph and from a hub and compares the events.
func TestBothWaysGiveOneEvent(t *testing.T) {
	for name, differ := range map[string]func(*tenant.Config){
		"plain":   func(c *tenant.Config) { c.Scale = 0.3 },
		"P1":      func(c *tenant.Config) { c.Licence, c.Scale = tenant.P1, 0.1 },
		"another": func(c *tenant.Config) { c.Seed, c.Users, c.Days = 99, 101, 3 },
	} {
		t.Run(name, func(t *testing.T) {
			tn := newTenant(t, differ)
			q := tenant.Query{To: end()}
			for _, log := range tenant.Logs() {
				hub := map[string]*eventv1.Event{}
				last := time.Time{}
				for at, raw := range tn.HubRecords(log, q) {
					require.False(t, at.Before(last))
					last = at
					e := hubEvent(t, raw)
					require.Empty(t, e.GetNotes())
					require.Equal(t, log, decode.DataType(e))
					require.Nil(t, hub[e.GetId()])
					hub[e.GetId()] = e
				}
				records := all(t, tn, log, q, 1000)
				if log != tenant.RiskyUser {
					require.Len(t, hub, len(records))
				}
				for _, r := range records {
					e := graphEvent(t, tn, log, r.JSON)
					require.Empty(t, e.GetNotes())
					require.Equal(t, log, decode.DataType(e))
					require.Equal(t, r.At.Truncate(time.Millisecond), e.GetOccurredAt().AsTime())
					if a, b := payload(e), payload(hub[e.GetId()]); !proto.Equal(a, b) {
						// A difference takes cmp a millisecond to find, so it looks only where there is one.
						require.Empty(t, cmp.Diff(a, b, protocmp.Transform()), "-graph +hub")
					}
					require.Equal(t, tn.Config().Licence == tenant.P2 || e.GetSignIn() == nil, bus.ParseVersion(e.GetVersion()).Complete)
				}
			}
		})
	}
}

func TestWhatIsHidden(t *testing.T) {
	tn := newTenant(t, nil)
	q := tenant.Query{From: end().Add(-24 * time.Hour), To: end(), Hide: tenant.HideRisk | tenant.HidePolicies}
	for _, r := range all(t, tn, tenant.Interactive, q, 1000) {
		s := graphEvent(t, tn, tenant.Interactive, r.JSON).GetSignIn()
		require.Equal(t, "hidden", s.GetRiskLevelAggregated())
		require.Empty(t, s.GetAppliedConditionalAccessPolicies())
	}
}

// TestSignInsAreLikeReal looks at shares, sizes and what must never be in ordinary traffic.
func TestSignInsAreLikeReal(t *testing.T) {
	tn := newTenant(t, func(c *tenant.Config) { c.Incidents = false })
	codes, countries, n, size := map[int64]int{}, map[string]int{}, 0, 0
	sessions := map[string]string{}
	for _, log := range []string{tenant.Interactive, tenant.NonInteractive} {
		for _, r := range all(t, tn, log, tenant.Query{To: end()}, 100_000) {
			s := graphEvent(t, tn, log, r.JSON).GetSignIn()
			n++
			size += len(r.JSON)
			codes[s.GetErrorCode()]++
			countries[s.GetLocation().GetCountry()]++
			require.NotContains(t, []string{"IMAP4", ""}, s.GetClientAppUsed())
			require.Equal(t, "oAuth2", s.GetAuthenticationProtocol())
			client := s.GetIpAddress() + " " + s.GetUserAgent()
			if known := sessions[s.GetSessionId()]; known != "" {
				require.Equal(t, known, client, "one session, two clients")
			}
			sessions[s.GetSessionId()] = client
		}
	}
	require.Greater(t, float64(codes[0])/float64(n), 0.85)
	require.Greater(t, len(codes), 15)
	require.Zero(t, codes[50057]+codes[7000222])
	require.GreaterOrEqual(t, len(countries), 3)
	require.Greater(t, size/n, 1100)
	require.Less(t, size/n, 2800)
}

func TestDaysAreBusyAndNightsQuiet(t *testing.T) {
	tn := newTenant(t, nil)
	hour := func(day, hour int) uint64 {
		from := time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC)
		return tn.Truth(tenant.Query{From: from, To: from.Add(time.Hour)})[tenant.NonInteractive]
	}
	const tuesday, sunday = 17, 22
	require.Greater(t, hour(tuesday, 9), 4*hour(tuesday, 2))
	require.Greater(t, hour(tuesday, 9), 3*hour(sunday, 9))
}

func TestDirectoryAgreesWithTheLogs(t *testing.T) {
	tn := newTenant(t, nil)
	q := tenant.Query{From: end().Add(-48 * time.Hour), To: end()}
	for _, r := range all(t, tn, tenant.Interactive, q, 1000) {
		s := graphEvent(t, tn, tenant.Interactive, r.JSON).GetSignIn()
		i := tn.Find(tenant.Users, s.GetUserId())
		require.GreaterOrEqual(t, i, 0)
		require.Equal(t, i, tn.Find(tenant.Users, s.GetUserPrincipalName()))
		var u struct{ ID, UserPrincipalName, DisplayName, UserType string }
		require.NoError(t, json.Unmarshal(tn.Object(tenant.Users, i, end()), &u))
		require.Equal(t, s.GetUserId(), u.ID)
		require.Equal(t, s.GetUserDisplayName(), u.DisplayName)
		require.Equal(t, s.GetUserType() == "guest", u.UserType == "Guest")
		require.Equal(t, i, tn.Find(tenant.Users, u.UserPrincipalName))
	}
	for _, log := range []string{tenant.ServicePrincipal, tenant.ManagedIdentity} {
		for _, r := range all(t, tn, log, q, 1000) {
			s := graphEvent(t, tn, log, r.JSON).GetSignIn()
			i := tn.Find(tenant.ServicePrincipals, s.GetServicePrincipalId())
			require.GreaterOrEqual(t, i, 0)
			require.Equal(t, i, tn.Find(tenant.ServicePrincipals, s.GetAppId()))
			if log == tenant.ServicePrincipal {
				i = tn.Find(tenant.Applications, s.GetAppId())
				require.Contains(t, string(tn.Object(tenant.Applications, i, end())), s.GetServicePrincipalCredentialKeyId())
			}
		}
	}
}

func TestDirectoryObjects(t *testing.T) {
	const client = "11111111-2222-4333-8444-555555555555"
	tn := newTenant(t, func(c *tenant.Config) { c.ClientID = client })
	single := map[tenant.Collection]bool{
		tenant.SecurityDefaults: true, tenant.AuthorizationPolicies: true, tenant.MethodsPolicies: true, tenant.CrossTenantDefaults: true,
	}
	for _, c := range tenant.Collections() {
		seen := map[string]bool{}
		require.Positive(t, tn.Count(c))
		for i := range tn.Count(c) {
			object := tn.Object(c, i, end())
			if object == nil {
				require.Contains(t, []tenant.Collection{tenant.Devices, tenant.ManagedDevices, tenant.OAuth2PermissionGrants}, c)
				continue
			}
			var o struct{ ID, TenantID string }
			require.NoError(t, json.Unmarshal(object, &o), "%s %s", c, object)
			if single[c] {
				continue
			}
			id := o.ID + o.TenantID
			require.False(t, seen[id], c)
			seen[id] = true
			require.Equal(t, i, tn.Find(c, id), "%s %s", c, id)
			require.Equal(t, id, tn.ObjectID(c, i))
		}
		require.Nil(t, tn.Object(c, tn.Count(c), end()))
		require.Nil(t, tn.Object(c, -1, end()))
		for _, id := range []string{"", "x", "00000000-0000-4000-8000-000000000000", "no.body.1@x.example"} {
			require.Equal(t, -1, tn.Find(c, id))
		}
	}
	require.Zero(t, tn.Count("planets"))
	require.Nil(t, tn.Object("planets", 0, end()))
	require.Zero(t, tn.Find(tenant.Applications, client))
	for licence, plan := range map[tenant.Licence]string{tenant.P1: "AAD_PREMIUM", tenant.P2: "AAD_PREMIUM_P2", tenant.Free: ""} {
		tn := newTenant(t, func(c *tenant.Config) { c.Licence, c.Intune = licence, false })
		plans := ""
		for i := range tn.Count(tenant.SubscribedSkus) {
			plans += string(tn.Object(tenant.SubscribedSkus, i, end()))
		}
		require.NotContains(t, plans, "INTUNE_A")
		require.Contains(t, plans, plan)
		require.Equal(t, licence == tenant.P2, strings.Contains(plans, "AAD_PREMIUM_P2"))
	}
}
