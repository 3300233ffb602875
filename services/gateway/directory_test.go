package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/directory"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func (w *world) directory() controlv1.DirectoryServiceClient {
	return controlv1.NewDirectoryServiceClient(w.conn)
}

// names returns the ids of all pages of users.
func (w *world) searchUsers(t *testing.T, req *controlv1.SearchUsersRequest) []string {
	t.Helper()
	var found []string
	for range 100 {
		answer, err := w.directory().SearchUsers(t.Context(), req)
		require.NoError(t, err)
		for _, u := range answer.GetUsers() {
			found = append(found, u.GetId())
		}
		if req.PageToken = answer.GetNextPageToken(); req.GetPageToken() == "" {
			return found
		}
	}
	require.Fail(t, "paging does not end")
	return nil
}

func TestSearchUsers(t *testing.T) {
	w := newContoso(t)
	everybody := []string{"ada", "bob", "gil", "glass", "twin", "twin", "zoe"}
	of := func(classes ...controlv1.UserClass) []controlv1.UserClass { return classes }
	cases := map[string]struct {
		req  *controlv1.SearchUsersRequest
		want []string
	}{
		"all":            {&controlv1.SearchUsersRequest{}, everybody},
		"pages of one":   {&controlv1.SearchUsersRequest{PageSize: 1}, everybody},
		"pages of three": {&controlv1.SearchUsersRequest{PageSize: 3}, everybody},
		"tenant":         {&controlv1.SearchUsersRequest{TenantIds: []string{strings.ToUpper(tenantB)}}, []string{"twin", "zoe"}},
		"name":           {&controlv1.SearchUsersRequest{Text: "NAME OF B"}, []string{"bob"}},
		"principal name": {&controlv1.SearchUsersRequest{Text: "lund@EX"}, []string{"ada"}},
		"mail":           {&controlv1.SearchUsersRequest{Text: "@mail."}, []string{"ada"}},
		"object id":      {&controlv1.SearchUsersRequest{Text: "ZOE"}, []string{"zoe"}},
		"odd text":       {&controlv1.SearchUsersRequest{Text: `%' OR 1=1 --`}, nil},
		"enabled":        {&controlv1.SearchUsersRequest{AccountEnabled: new(true), TenantIds: []string{tenantA}}, []string{"ada", "gil", "glass", "twin"}},
		"disabled":       {&controlv1.SearchUsersRequest{AccountEnabled: new(false)}, []string{"bob"}},
		"guests":         {&controlv1.SearchUsersRequest{UserType: "Guest"}, []string{"gil"}},
		"admins":         {&controlv1.SearchUsersRequest{Classes: of(controlv1.UserClass_USER_CLASS_ADMIN)}, []string{"ada", "bob"}},
		"two classes": {&controlv1.SearchUsersRequest{
			Classes: of(controlv1.UserClass_USER_CLASS_ADMIN, controlv1.UserClass_USER_CLASS_DISABLED), PageSize: 1,
		}, []string{"bob"}},
		"emergency": {&controlv1.SearchUsersRequest{Classes: of(controlv1.UserClass_USER_CLASS_EMERGENCY_ACCESS)}, []string{"glass"}},
		"nobody":    {&controlv1.SearchUsersRequest{Classes: of(controlv1.UserClass_USER_CLASS_SYNCED)}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, w.searchUsers(t, tc.req)) })
	}
	t.Run("a token belongs to its search", func(t *testing.T) {
		answer, err := w.directory().SearchUsers(t.Context(), &controlv1.SearchUsersRequest{PageSize: 1})
		require.NoError(t, err)
		for name, req := range map[string]*controlv1.SearchUsersRequest{
			"other text": {Text: "x", PageToken: answer.GetNextPageToken()},
			"damaged":    {PageToken: answer.GetNextPageToken() + "A"},
			"made up":    {PageToken: "AAAA"},
		} {
			_, err := w.directory().SearchUsers(t.Context(), req)
			require.Equal(t, codes.InvalidArgument, status.Code(err), name)
		}
		_, err = w.directory().ListGroups(t.Context(), &controlv1.ListGroupsRequest{PageToken: answer.GetNextPageToken()})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
	})
}

func TestGetUser(t *testing.T) {
	w := newContoso(t)
	recent := time.Now().Add(-time.Hour).Truncate(time.Millisecond).UTC()
	w.insert(t,
		record{id: "1", at: recent, userID: "ada", user: "ada@example.com", app: "app-1", country: "CH"}.event(t),
		record{id: "2", at: recent.Add(time.Minute), userID: "ada", user: "ada@example.com", app: "app-1", country: "CH", code: 50126}.event(t),
		record{id: "3", at: recent.Add(2 * time.Minute), userID: "ada", user: "ada@example.com", app: "app-2", country: "DE", code: 50074}.event(t),
		record{id: "4", at: recent.AddDate(0, 0, -40), userID: "ada", user: "ada@example.com", app: "app-3", country: "US"}.event(t),
		record{id: "5", at: recent, userID: "bob", user: "bob@example.com", app: "app-9", country: "US"}.event(t))
	older := record{id: "1", at: recent, userID: "ada", user: "ada@example.com", app: "app-1", country: "FR", enqueued: recent.Add(-time.Hour)}
	w.insert(t, older.event(t)) // an older version of the first
	answer, err := w.directory().GetUser(t.Context(), &controlv1.GetUserRequest{User: "ADA.lund@Example.com"})
	require.NoError(t, err)
	at := func(minutes int) *timestamppb.Timestamp {
		return timestamppb.New(recent.Add(time.Duration(minutes) * time.Minute))
	}
	want := &controlv1.GetUserResponse{
		User: &controlv1.DirectoryUser{
			TenantId: tenantA, Id: "ada", UserPrincipalName: "Ada.Lund@example.com", DisplayName: "Name of ada", Mail: "ada@mail.example.com",
			UserType: "Member", AccountEnabled: new(true), Department: "IT", JobTitle: "Engineer", ManagerId: "boss",
			LastSignInAt: timestamppb.New(present()), LastSuccessfulSignInAt: timestamppb.New(present().Add(-time.Hour)),
			ObservedAt: timestamppb.New(present().Add(time.Minute)),
			Classes: []*controlv1.Classification{
				{Class: controlv1.UserClass_USER_CLASS_MEMBER, Reasons: []string{"user type Member"}},
				{Class: controlv1.UserClass_USER_CLASS_ADMIN, Reasons: []string{"Global Administrator (active, by Group outer)"}},
			},
		},
		Groups: []*controlv1.GroupMembership{
			{GroupId: "inner", DisplayName: "Group inner", Depth: 1},
			{GroupId: "outer", DisplayName: "Group outer", Depth: 2, IsAssignableToRole: true},
		},
		Roles: []*controlv1.RoleHolding{
			{
				RoleTemplateId: directory.GlobalAdministrator, DisplayName: "Global Administrator", Tier: new(uint32(0)),
				Holdings: []string{"active"}, Scope: "/", ViaGroupId: "outer", ViaGroupName: "Group outer",
			},
			{RoleTemplateId: "readers", DisplayName: "Directory Readers", Holdings: []string{"active"}, Scope: "/"},
		},
		Devices: []*controlv1.UserDevice{{
			DeviceId: "dev-1", DisplayName: "Laptop", OperatingSystem: "Windows", OperatingSystemVersion: "11", TrustType: "AzureAd",
			IsCompliant: new(true), ComplianceState: "compliant", LastSyncAt: timestamppb.New(present()),
		}},
		Authentication: &controlv1.UserAuthentication{
			Methods: []string{"fido2SecurityKey"}, IsMfaCapable: new(true), CertificateUserIds: []string{"x509:ada"}, LastUpdatedAt: timestamppb.New(present()),
		},
		OwnedApplications: []*controlv1.OwnedApplication{{Object: "application", Id: "payroll", AppId: "app-payroll", DisplayName: "Payroll"}},
		AppAssignments: []*controlv1.AppAssignment{
			{ResourceId: "sp-payroll", ResourceDisplayName: "Payroll s1", AppRole: "Payslips.Read"},
			{ResourceId: "sp-payroll", ResourceDisplayName: "Payroll s2", ViaGroupId: "inner"}, // not by outer: nested members get nothing
		},
		SignIns: &controlv1.SignInSummary{
			Days: 30, Successes: 1, Failures: 1, Interruptions: 1,
			Places: []*controlv1.SignInCount{
				{Id: "CH", DisplayName: "CH", Successes: 1, Failures: 1, LastAt: at(1)},
				{Id: "DE", DisplayName: "DE", Failures: 1, LastAt: at(2)},
			},
			Apps: []*controlv1.SignInCount{
				{Id: "app-1", Successes: 1, Failures: 1, LastAt: at(1)},
				{Id: "app-2", Failures: 1, LastAt: at(2)},
			},
		},
	}
	require.Empty(t, gocmp.Diff(want, answer, protocmp.Transform()))
	byID, err := w.directory().GetUser(t.Context(), &controlv1.GetUserRequest{User: "ADA", TenantId: tenantA})
	require.NoError(t, err)
	require.Empty(t, gocmp.Diff(answer, byID, protocmp.Transform()))

	bare, err := w.directory().GetUser(t.Context(), &controlv1.GetUserRequest{User: "zoe"})
	require.NoError(t, err)
	require.Nil(t, bare.GetAuthentication())
	require.Empty(t, bare.GetGroups())
	for name, tc := range map[string]struct {
		req  *controlv1.GetUserRequest
		code codes.Code
	}{
		"nobody":       {&controlv1.GetUserRequest{User: "nobody"}, codes.NotFound},
		"deleted":      {&controlv1.GetUserRequest{User: "old@example.com"}, codes.NotFound},
		"other tenant": {&controlv1.GetUserRequest{User: "ada", TenantId: tenantB}, codes.NotFound},
		"two tenants":  {&controlv1.GetUserRequest{User: "twin"}, codes.FailedPrecondition},
		"empty":        {&controlv1.GetUserRequest{}, codes.InvalidArgument},
		"too long":     {&controlv1.GetUserRequest{User: strings.Repeat("x", 321)}, codes.InvalidArgument},
	} {
		_, err := w.directory().GetUser(t.Context(), tc.req)
		require.Equal(t, tc.code, status.Code(err), "%s: %v", name, err)
	}
	twin, err := w.directory().GetUser(t.Context(), &controlv1.GetUserRequest{User: "twin", TenantId: tenantB})
	require.NoError(t, err)
	require.Equal(t, tenantB, twin.GetUser().GetTenantId())
}

func TestGroupsAndTheirMembers(t *testing.T) {
	w := newContoso(t)
	groups := func(req *controlv1.ListGroupsRequest) []string {
		var found []string
		for range 10 {
			answer, err := w.directory().ListGroups(t.Context(), req)
			require.NoError(t, err)
			for _, g := range answer.GetGroups() {
				found = append(found, fmt.Sprint(g.GetId(), " ", g.GetDirectMembers(), " ", g.GetOwners()))
			}
			if req.PageToken = answer.GetNextPageToken(); req.GetPageToken() == "" {
				break
			}
		}
		return found
	}
	require.Equal(t, []string{"empty 0 0", "inner 4 0", "outer 2 1"}, groups(&controlv1.ListGroupsRequest{PageSize: 2}))
	require.Equal(t, []string{"outer 2 1"}, groups(&controlv1.ListGroupsRequest{AssignableToRole: true}))
	require.Equal(t, []string{"inner 4 0"}, groups(&controlv1.ListGroupsRequest{Text: "GROUP IN"}))
	require.Empty(t, groups(&controlv1.ListGroupsRequest{TenantIds: []string{tenantB}}))

	members := func(req *controlv1.ListMembersRequest) []*controlv1.DirectoryMember {
		var found []*controlv1.DirectoryMember
		for range 10 {
			answer, err := w.directory().ListMembers(t.Context(), req)
			require.NoError(t, err)
			found = append(found, answer.GetMembers()...)
			if req.PageToken = answer.GetNextPageToken(); req.GetPageToken() == "" {
				break
			}
		}
		return found
	}
	direct := []*controlv1.DirectoryMember{
		{Id: "inner", Kind: "group", DisplayName: "Group inner", Depth: 1},
		{Id: "sp-payroll", Kind: "service_principal", DisplayName: "Payroll", Depth: 1},
	}
	require.Empty(t, gocmp.Diff(direct, members(&controlv1.ListMembersRequest{GroupId: "OUTER"}), protocmp.Transform()))
	nested := append(slices.Clone(direct),
		&controlv1.DirectoryMember{Id: "ada", Kind: "user", DisplayName: "Name of ada", UserPrincipalName: "Ada.Lund@example.com", AccountEnabled: new(true), Depth: 2},
		&controlv1.DirectoryMember{Id: "bob", Kind: "user", DisplayName: "Name of bob", UserPrincipalName: "bob@example.com", AccountEnabled: new(false), Depth: 2},
		&controlv1.DirectoryMember{Id: "dev-object", Kind: "device", DisplayName: "LAPTOP", Depth: 2},
		&controlv1.DirectoryMember{Id: "unknown", Kind: "user", Depth: 2})
	slices.SortFunc(nested, func(a, b *controlv1.DirectoryMember) int { return strings.Compare(a.GetId(), b.GetId()) })
	for _, size := range []int32{0, 1, 4} {
		got := members(&controlv1.ListMembersRequest{GroupId: "outer", Transitive: true, PageSize: size, TenantId: tenantA})
		require.Empty(t, gocmp.Diff(nested, got, protocmp.Transform()))
	}
	require.Empty(t, members(&controlv1.ListMembersRequest{GroupId: "empty"}))
	_, err := w.directory().ListMembers(t.Context(), &controlv1.ListMembersRequest{GroupId: "none"})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestApplicationsBySoonestEnd(t *testing.T) {
	w := newContoso(t)
	list := func(req *controlv1.ListApplicationsRequest) []string {
		var found []string
		for range 20 {
			answer, err := w.directory().ListApplications(t.Context(), req)
			require.NoError(t, err)
			for _, a := range answer.GetApplications() {
				line := a.GetId() + ":"
				for _, c := range a.GetCredentials() {
					line += " " + c.GetKind() + "/" + c.GetKeyId()
				}
				found = append(found, line)
			}
			if req.PageToken = answer.GetNextPageToken(); req.GetPageToken() == "" {
				break
			}
		}
		return found
	}
	all := []string{
		"payroll: secret/ancient secret/soon secret/late", "expired: secret/gone", "crm: certificate/cert", "sp-saml: saml_certificate/sign",
		"bare:", "endless: secret/none",
	}
	require.Equal(t, all, list(&controlv1.ListApplicationsRequest{}))
	require.Equal(t, all, list(&controlv1.ListApplicationsRequest{PageSize: 1}))
	days := func(n int) *durationpb.Duration { return durationpb.New(time.Duration(n) * 24 * time.Hour) }
	require.Equal(t, []string{"expired: secret/gone", "crm: certificate/cert", "payroll: secret/soon", "sp-saml: saml_certificate/sign"},
		list(&controlv1.ListApplicationsRequest{ExpiringWithin: days(90), PageSize: 2}))
	require.Equal(t, []string{"expired: secret/gone", "crm: certificate/cert"}, list(&controlv1.ListApplicationsRequest{ExpiringWithin: days(10)}))
	require.Equal(t, []string{"expired: secret/gone"}, list(&controlv1.ListApplicationsRequest{ExpiringWithin: days(0)}))
	require.Empty(t, list(&controlv1.ListApplicationsRequest{TenantIds: []string{tenantB}}))
	answer, err := w.directory().ListApplications(t.Context(), &controlv1.ListApplicationsRequest{Text: "APP-payroll", ExpiringWithin: days(90)})
	require.NoError(t, err)
	require.Len(t, answer.GetApplications(), 1)
	got := answer.GetApplications()[0]
	require.WithinDuration(t, time.Now().Add(20*24*time.Hour), got.GetCredentials()[0].GetEndsAt().AsTime(), 2*time.Hour)
	got.GetCredentials()[0].EndsAt = nil
	require.Empty(t, gocmp.Diff(&controlv1.DirectoryApplication{
		TenantId: tenantA, Object: "application", Id: "payroll", AppId: "app-payroll", DisplayName: "Payroll",
		Owners: []string{"Ada.Lund@example.com", "sp-payroll"}, LastSignInAt: timestamppb.New(present()),
		Credentials: []*controlv1.ApplicationCredential{{KeyId: "soon", Kind: "secret", DisplayName: "CI", Hint: "xyz"}},
	}, got, protocmp.Transform()))
	_, err = w.directory().ListApplications(t.Context(), &controlv1.ListApplicationsRequest{ExpiringWithin: days(-1)})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}
