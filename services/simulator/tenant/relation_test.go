package tenant_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// related collects the objects that one object has a relation to.
func related(tn *tenant.Tenant, c tenant.Collection, i int, r tenant.Relation) []tenant.Ref {
	var all []tenant.Ref
	tn.EachRelated(c, i, r, 0, func(ref tenant.Ref) bool {
		all = append(all, ref)
		return true
	})
	return all
}

// TestRelations holds every way to ask for a relation against the others.
func TestRelations(t *testing.T) {
	for name, differ := range map[string]func(*tenant.Config){
		"plain": func(c *tenant.Config) { c.Users = 300 },
		"tiny":  func(c *tenant.Config) { c.Users, c.Incidents = 1, false },
		"few":   func(c *tenant.Config) { c.Users, c.Incidents = 7, false },
		"exact": func(c *tenant.Config) { c.Users, c.Groups, c.MembersPerGroup = 300, 40, 20 },
		"huge":  func(c *tenant.Config) { c.Users, c.HugeGroupMembers = 300, 299 },
		"bare":  func(c *tenant.Config) { c.Users, c.DevicesPerUser = 300, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			tn := newTenant(t, differ)
			referrers := map[tenant.Ref]map[tenant.Ref]bool{}
			for _, c := range []tenant.Collection{
				tenant.Users, tenant.Groups, tenant.Devices, tenant.Applications, tenant.ServicePrincipals, tenant.DirectoryRoles,
			} {
				for i := range tn.Count(c) {
					if tn.Object(c, i, end()) == nil {
						continue
					}
					for _, r := range tenant.RelationsOf(c) {
						all := related(tn, c, i, r)
						require.Len(t, all, tn.Related(c, i, r))
						seen := map[tenant.Ref]bool{}
						for _, to := range all {
							require.False(t, seen[to], "%s %d %s", c, i, r)
							seen[to] = true
							require.True(t, tn.Holds(c, i, r, to))
							require.NotNil(t, tn.Object(to.Collection, to.Index, end()), "%s %d %s %v", c, i, r, to)
							if referrers[to] == nil {
								referrers[to] = map[tenant.Ref]bool{}
							}
							referrers[to][tenant.Ref{Collection: c, Index: i}] = true
						}
						if len(all) > 1 {
							var rest []tenant.Ref
							tn.EachRelated(c, i, r, 1, func(ref tenant.Ref) bool { rest = append(rest, ref); return true })
							require.Equal(t, all[1:], rest)
						}
						for n := range tn.Count(tenant.Users) {
							to := tenant.Ref{Collection: tenant.Users, Index: n}
							require.Equal(t, seen[to], tn.Holds(c, i, r, to))
						}
					}
				}
			}
			for to, want := range referrers {
				got := map[tenant.Ref]bool{}
				tn.EachReferrer(to, func(ref tenant.Ref, _ tenant.Relation) { got[ref] = true })
				require.Equal(t, want, got, to)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	tn := newTenant(t, func(c *tenant.Config) { c.Users, c.HugeGroupMembers = 2000, 1500 })
	require.Equal(t, 100, tn.Count(tenant.Groups))
	require.Equal(t, 1500, tn.Related(tenant.Groups, 99, tenant.Members))
	kinds, types := map[string]int{}, map[tenant.Collection]int{}
	for i := range tn.Count(tenant.Groups) {
		var g struct {
			ID                 string
			GroupTypes         []string
			SecurityEnabled    bool
			IsAssignableToRole *bool
		}
		require.NoError(t, json.Unmarshal(tn.Object(tenant.Groups, i, end()), &g))
		require.Equal(t, i, tn.Find(tenant.Groups, g.ID))
		switch {
		case len(g.GroupTypes) > 0:
			kinds[g.GroupTypes[0]]++
		case g.IsAssignableToRole != nil:
			kinds["role"]++
		case g.SecurityEnabled:
			kinds["security"]++
		}
		for _, m := range related(tn, tenant.Groups, i, tenant.Members) {
			types[m.Collection]++
		}
	}
	require.Equal(t, 2, kinds["role"])
	require.Greater(t, kinds["Unified"], 20)
	require.Greater(t, kinds["security"], 20)
	for _, c := range []tenant.Collection{tenant.Users, tenant.Groups, tenant.Devices, tenant.ServicePrincipals} {
		require.Positive(t, types[c], c)
	}
	exact := newTenant(t, func(c *tenant.Config) { c.Users, c.Groups, c.MembersPerGroup = 1000, 300, 20 })
	require.Equal(t, 300, exact.Count(tenant.Groups))
	for i := range 300 {
		require.Equal(t, 20, exact.Related(tenant.Groups, i, tenant.Members))
	}
}

// TestAccounts counts the sorts of accounts that the checks must tell apart.
func TestAccounts(t *testing.T) {
	tn := newTenant(t, nil)
	counts := map[string]int{}
	for i := range tn.Count(tenant.Users) {
		var u struct {
			UserType              string
			PasswordPolicies      *string
			EmployeeType          *string
			OnPremisesSyncEnabled *bool
			AssignedLicenses      []any
			Mail                  *string
			ProxyAddresses        []string
			Identities            []map[string]any
			AuthorizationInfo     struct{ CertificateUserIDs []string }
		}
		require.NoError(t, json.Unmarshal(tn.Object(tenant.Users, i, end()), &u))
		require.NotEmpty(t, u.Identities)
		if u.OnPremisesSyncEnabled != nil {
			counts["synced"]++
		}
		if u.PasswordPolicies != nil && u.Mail == nil {
			counts["service"]++
		}
		if u.UserType == "Member" && len(u.AssignedLicenses) == 0 && u.Mail != nil {
			counts["shared"]++
		}
		if len(u.AuthorizationInfo.CertificateUserIDs) > 0 {
			counts["certificate"]++
		}
	}
	for _, kind := range []string{"synced", "service", "shared", "certificate"} {
		require.Positive(t, counts[kind], kind)
	}
}
