package directory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/directory"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

const (
	global    = directory.GlobalAdministrator
	helpdesk  = "729827e3-9c14-49f7-bb1b-9608f156bbb8"
	exchange  = "29232cdf-9323-42fd-ade2-1d097af3e4de"
	reader    = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"
	syncRole  = "d29b2b05-8046-44ba-8758-1e26182fcf32"
	harmless  = "88d8e3e3-8f55-4a1e-953a-9b9898b8876b" // Directory Readers
	privilegd = "00000000-0000-0000-0000-00000000aaaa" // of no list; Microsoft says so
)

func (w *world) population(rules directory.Rules) directory.Population {
	return directory.Population{Tenants: []string{strings.ToUpper(tenant)}, Rules: rules, Now: now()}
}

func (w *world) privileged(t *testing.T, rules directory.Rules) []string {
	t.Helper()
	return w.lines(t, directory.PopulationSQL+`SELECT concat(principal_id, ' ', role_name, ' t', toString(tier), ' ',
		arrayStringConcat(holdings, '+'), if(via_group_id = '', '', concat(' via ', via_group_id, ' ', toString(depth))),
		if(scope_id = '/', '', concat(' in ', scope_id))) FROM privileged ORDER BY ALL`, w.population(rules).Params()...)
}

func TestWhoIsPrivileged(t *testing.T) {
	w := newWorld(t)
	at := func(hours int) *timestamppb.Timestamp {
		return timestamppb.New(now().Add(time.Duration(hours) * time.Hour))
	}
	w.definition(global, &directoryv1.RoleDefinition{DisplayName: "Global Administrator", TemplateId: global, IsBuiltIn: new(true)})
	w.definition(privilegd, &directoryv1.RoleDefinition{DisplayName: "New Role", TemplateId: privilegd, IsBuiltIn: new(true), IsPrivileged: new(true)})
	w.definition(reader, &directoryv1.RoleDefinition{DisplayName: "Global Reader", TemplateId: reader, IsBuiltIn: new(true), IsPrivileged: new(true)})
	w.definition(harmless, &directoryv1.RoleDefinition{DisplayName: "Directory Readers", TemplateId: harmless, IsBuiltIn: new(true), IsPrivileged: new(false)})
	w.definition("custom-writes", &directoryv1.RoleDefinition{
		DisplayName: "Custom Writer", TemplateId: "custom-writes", IsBuiltIn: new(false),
		AllowedActions: []string{"microsoft.directory/groups/members/update", "microsoft.directory/applications/credentials/update"},
	})
	w.definition("custom-reads", &directoryv1.RoleDefinition{
		DisplayName: "Custom Reader", TemplateId: "custom-reads", IsBuiltIn: new(false),
		AllowedActions: []string{"microsoft.directory/applications/standard/read", "microsoft.directory/groups/create"},
	})
	// An activated role of Graph's directoryRoles has an id of its own.
	w.put("directory_role", "instance", &directoryv1.Object{DisplayName: "Helpdesk Administrator", Payload: &directoryv1.Object_RoleDefinition{
		RoleDefinition: &directoryv1.RoleDefinition{DisplayName: "Helpdesk Administrator", TemplateId: helpdesk},
	}})
	w.role("role_assignment", global, "direct")
	w.role("role_assignment", global, "activated")
	w.role("role_schedule", global, "activated", func(a *directoryv1.RoleAssignment) {
		a.AssignmentType, a.StartsAt, a.EndsAt = "Activated", at(-1), at(1)
	})
	w.role("role_eligibility", global, "eligible")
	w.role("role_eligibility", global, "expired", func(a *directoryv1.RoleAssignment) { a.EndsAt = at(-1) })
	w.role("role_schedule", global, "tomorrow", func(a *directoryv1.RoleAssignment) { a.AssignmentType, a.StartsAt = "Assigned", at(24) })
	w.role("role_assignment", exchange, "unnamed", func(a *directoryv1.RoleAssignment) { a.DirectoryScopeId = "/administrativeUnits/au" })
	w.role("role_assignment", "instance", "by-instance")
	w.role("role_assignment", privilegd, "new")
	w.role("role_assignment", "custom-writes", "custom")
	w.role("role_assignment", "custom-reads", "harmless")
	w.role("role_assignment", harmless, "harmless")
	w.role("role_assignment", reader, "reader")
	w.role("role_assignment", global, "former")
	w.remove("role_assignment", w.objects[len(w.objects)-1].GetId())
	w.group("top", "inTop", "g:middle", "sp:robot")
	w.group("middle", "inMiddle", "inTop", "g:bottom")
	w.group("bottom", "inBottom", "g:top") // a cycle
	w.role("role_assignment", global, "top")
	w.role("role_eligibility", exchange, "bottom")
	w.group("gone", "ghost")
	w.role("role_assignment", global, "gone")
	w.remove("group", "gone")
	w.store(t)

	want := []string{
		"activated Global Administrator t0 activated",
		"bottom " + exchange + " t1 eligible",
		"bottom Global Administrator t0 active via top 2",
		"by-instance Helpdesk Administrator t0 active",
		"custom Custom Writer t1 active",
		"direct Global Administrator t0 active",
		"eligible Global Administrator t0 eligible",
		"gone Global Administrator t0 active",
		"inBottom " + exchange + " t1 eligible via bottom 1",
		"inBottom Global Administrator t0 active via top 3",
		"inMiddle " + exchange + " t1 eligible via bottom 3",
		"inMiddle Global Administrator t0 active via top 2",
		"inTop " + exchange + " t1 eligible via bottom 2",
		"inTop Global Administrator t0 active via top 1",
		"middle " + exchange + " t1 eligible via bottom 2",
		"middle Global Administrator t0 active via top 1",
		"new New Role t1 active",
		"robot " + exchange + " t1 eligible via bottom 2",
		"robot Global Administrator t0 active via top 1",
		"tomorrow Global Administrator t0 scheduled",
		"top " + exchange + " t1 eligible via bottom 1",
		"top Global Administrator t0 active",
		"unnamed " + exchange + " t1 active in /administrativeUnits/au",
	}
	require.Empty(t, cmp.Diff(want, w.privileged(t, directory.DefaultRules())))
	rules := directory.DefaultRules()
	rules.IncludeReaders = true
	require.Contains(t, w.privileged(t, rules), "reader Global Reader t2 active")
	all := w.population(rules)
	all.AllRoles = true
	require.Equal(t, []string{"Custom Reader 255", "Directory Readers 255"}, w.lines(t,
		directory.PopulationSQL+"SELECT concat(role_name, ' ', toString(tier)) FROM privileged WHERE principal_id = 'harmless' ORDER BY ALL", all.Params()...))
}

func TestEveryClassAndItsReason(t *testing.T) {
	w := newWorld(t)
	type user = directoryv1.User
	activity := func(id string, a *directoryv1.UserActivity) {
		w.put("user_activity", id, &directoryv1.Object{Payload: &directoryv1.Object_UserActivity{UserActivity: a}})
	}
	mailbox := func(id, purpose string) {
		w.put("mailbox", id, &directoryv1.Object{Payload: &directoryv1.Object_Mailbox{Mailbox: &directoryv1.Mailbox{Purpose: purpose}}})
	}
	alone := func(u *user) { u.ManagerId = "" }
	at := timestamppb.New(now())
	const member = "member: user type Member"
	const noPerson = "non_human: no manager, employee id, department, or mail and licence"
	cases := []struct {
		id     string
		make   func(id string)
		reason []string
	}{
		{"plain", func(id string) { w.user(id) }, []string{member}},
		{"untyped", func(id string) { w.user(id, func(u *user) { u.UserType = "" }) }, []string{"member: no user type"}},
		{"guest", func(id string) { w.user(id, alone, func(u *user) { u.UserType = "Guest" }) }, []string{"guest: user type Guest"}},
		{"svc-guest", func(id string) { w.user(id, alone, func(u *user) { u.UserType = "Guest" }) }, []string{"guest: user type Guest"}},
		{"disabled", func(id string) { w.user(id, func(u *user) { u.AccountEnabled = new(false) }) }, []string{member, "disabled: account disabled"}},
		{"unknown", func(id string) { w.user(id, func(u *user) { u.AccountEnabled = nil }) }, []string{member}},
		{"synced", func(id string) { w.user(id, func(u *user) { u.OnPremisesSyncEnabled = new(true) }) }, []string{member, "synced: comes from an on-premises directory"}},
		{"admin", func(id string) { w.user(id); w.role("role_assignment", global, id) }, []string{member, "admin: Global Administrator (active)"}},
		{"pim", func(id string) { w.user(id); w.role("role_eligibility", global, id) }, []string{member, "admin: Global Administrator (eligible)"}},
		{"scoped", func(id string) {
			w.user(id)
			w.role("role_assignment", global, id, func(a *directoryv1.RoleAssignment) { a.DirectoryScopeId = "/administrativeUnits/x" })
		}, []string{member, "admin: Global Administrator (active, scoped)"}},
		{"by-group", func(id string) {
			w.user(id)
			w.group("outer", "g:inner")
			w.group("inner", id)
			w.role("role_assignment", global, "outer")
		}, []string{member, "admin: Global Administrator (active, by Group outer)"}},
		{"reader", func(id string) { w.user(id); w.role("role_assignment", reader, id) }, []string{member}},
		{
			"shared", func(id string) {
				w.user(id, alone, func(u *user) { u.PasswordPolicies = []string{"DisablePasswordExpiration"} })
				mailbox(id, "shared")
			},
			[]string{member, "shared_mailbox: purpose of the mailbox"},
		},
		{"reported", func(id string) {
			w.user(id)
			w.put("mailbox_usage", strings.ToUpper(id)+"@Example.com", &directoryv1.Object{Raw: []byte(`{"recipientType":"Shared"}`)})
		}, []string{member, "shared_mailbox: mailbox usage report"}},
		{"room", func(id string) { w.user(id, alone); mailbox(id, "room") }, []string{member, "resource: mailbox of room"}},
		{"teams", func(id string) { w.user(id, func(u *user) { u.IsResourceAccount = new(true) }) }, []string{member, "resource: resource account"}},
		{"declared", func(id string) { w.user(id) }, []string{member, "non_human: declared"}},
		{"by-name", func(id string) { w.user(id, func(u *user) { u.UserPrincipalName = "ByUPN@Example.com" }) }, []string{member, "non_human: declared"}},
		{"robot", func(id string) { w.user(id); w.group("robots", "g:more"); w.group("more", id) }, []string{member, "non_human: member of Group robots"}},
		{"svc-one", func(id string) { w.user(id) }, []string{member}}, // a sign alone
		{"svc-two", func(id string) { w.user(id, alone) }, []string{member, "non_human: named svc-*", noPerson}},
		{"title", func(id string) { w.user(id, alone, func(u *user) { u.DisplayName = "SVC-Backup" }) }, []string{member, "non_human: named svc-*", noPerson}},
		{"svcXtwo", func(id string) { w.user(id, alone) }, []string{member}}, // "_" of a pattern is itself
		{
			"eternal", func(id string) {
				w.user(id, alone, func(u *user) { u.PasswordPolicies = []string{"DisablePasswordExpiration"} })
			},
			[]string{member, noPerson, "non_human: password never expires"},
		},
		{
			"client", func(id string) {
				w.user(id, alone)
				activity(id, &directoryv1.UserActivity{LastNonInteractiveSignInAt: at})
			},
			[]string{member, noPerson, "non_human: never signed in itself"},
		},
		{
			"person", func(id string) {
				w.user(id, alone)
				activity(id, &directoryv1.UserActivity{LastNonInteractiveSignInAt: at, LastSignInAt: at})
			},
			[]string{member},
		},
		{"licensed", func(id string) {
			w.user(id, alone, func(u *user) {
				u.Mail, u.LicenceSkuIds, u.PasswordPolicies = "a@b", []string{"e5"}, []string{"DisablePasswordExpiration"}
			})
		}, []string{member}},
		{
			"sync", func(id string) { w.user(id); w.role("role_assignment", syncRole, id) },
			[]string{member, "admin: " + syncRole + " (active)", "non_human: synchronises an on-premises directory"},
		},
		{"Sync_DC1_abc", func(id string) { w.user(id) }, []string{member, "non_human: synchronises an on-premises directory"}},
		{"syncope", func(id string) { w.user(id) }, []string{member}},
		{
			"svc-break-glass", func(id string) { w.user(id, alone); w.role("role_assignment", global, id) },
			[]string{member, "admin: Global Administrator (active)", "emergency_access: declared"},
		},
		{"both", func(id string) { w.user(id) }, []string{member, "emergency_access: declared"}},
	}
	w.definition(global, &directoryv1.RoleDefinition{DisplayName: "Global Administrator", TemplateId: global, IsBuiltIn: new(true)})
	want := map[string][]string{}
	for _, tc := range cases {
		tc.make(tc.id)
		want[tc.id] = tc.reason
	}
	w.user("gone")
	w.remove("user", "gone")
	w.store(t)
	rules := directory.DefaultRules()
	rules.EmergencyAccess = []string{"SVC-break-glass@EXAMPLE.com", "both"}
	rules.NonHuman.Users = []string{"declared", "byupn@example.com", "both"}
	rules.NonHuman.Groups = []string{"robots"}
	require.NoError(t, rules.Validate())
	got := map[string][]string{}
	for _, line := range w.lines(t, directory.PopulationSQL+
		"SELECT concat(id, '|', arrayStringConcat(arrayMap(r -> concat(r.1, ': ', r.2), reasons), '|')) FROM classified", w.population(rules).Params()...) {
		parts := strings.Split(line, "|")
		require.NotContains(t, got, parts[0])
		got[parts[0]] = parts[1:]
	}
	require.Empty(t, cmp.Diff(want, got))
	for _, line := range w.lines(t, directory.PopulationSQL+"SELECT DISTINCT arrayJoin(classes) FROM classified", w.population(rules).Params()...) {
		require.Contains(t, directory.Classes(), line)
	}
	require.Equal(t, []string{"emergency_access,member"}, w.lines(t, directory.PopulationSQL+
		"SELECT arrayStringConcat(arraySort(classes), ',') FROM classified WHERE id = 'both'", w.population(rules).Params()...))
	elsewhere := w.population(rules)
	elsewhere.Tenants = []string{"another"}
	require.Empty(t, w.lines(t, directory.PopulationSQL+"SELECT id FROM classified", elsewhere.Params()...))
	elsewhere.Tenants = nil
	require.Len(t, w.lines(t, directory.PopulationSQL+"SELECT id FROM classified", elsewhere.Params()...), len(cases))
}

func TestTheListOfRoles(t *testing.T) {
	seen, tiers := map[string]bool{}, map[int]int{}
	for _, r := range directory.Roles() {
		require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, r.TemplateID)
		require.NotEmpty(t, r.Name)
		require.False(t, seen[r.TemplateID], r.Name)
		seen[r.TemplateID] = true
		tiers[r.Tier]++
	}
	require.Equal(t, map[int]int{0: 24, 1: 25, 2: 3}, tiers)
	require.True(t, seen[global])
}

func TestRules(t *testing.T) {
	require.NoError(t, directory.DefaultRules().Validate())
	cases := map[string]struct {
		change func(*directory.Rules)
		want   string
	}{
		"one sign":       {func(r *directory.Rules) { r.NonHuman.Signs = 1 }, "non_human.signs: must be between 2 and 4"},
		"everyone":       {func(r *directory.Rules) { r.NonHuman.Names = []string{"*"} }, "non_human.names: must have more than wildcards"},
		"empty":          {func(r *directory.Rules) { r.EmergencyAccess = []string{""} }, "emergency_access: must have entries of 1 to 320 bytes"},
		"too many":       {func(r *directory.Rules) { r.NonHuman.Users = make([]string, 1001) }, "non_human.users: must have at most 1000 entries"},
		"too long group": {func(r *directory.Rules) { r.NonHuman.Groups = []string{strings.Repeat("x", 321)} }, "non_human.groups: must have entries"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rules := directory.DefaultRules()
			tc.change(&rules)
			require.ErrorContains(t, rules.Validate(), tc.want)
		})
	}
}
