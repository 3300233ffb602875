package entractl_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// directory is a DirectoryService with the answers that a test writes; it keeps the last request and pages its users.
type directory struct {
	controlv1.UnimplementedDirectoryServiceServer

	asked   proto.Message
	sizes   []int32
	users   []*controlv1.DirectoryUser
	profile *controlv1.GetUserResponse
	groups  []*controlv1.DirectoryGroup
	members []*controlv1.DirectoryMember
	apps    []*controlv1.DirectoryApplication
}

func (d *directory) SearchUsers(_ context.Context, req *controlv1.SearchUsersRequest) (*controlv1.SearchUsersResponse, error) {
	d.asked, d.sizes = proto.CloneOf(req), append(d.sizes, req.GetPageSize())
	from := 0
	if req.GetPageToken() != "" {
		if _, err := fmt.Sscan(req.GetPageToken(), &from); err != nil {
			return nil, err
		}
	}
	to := min(from+int(req.GetPageSize()), len(d.users))
	answer := &controlv1.SearchUsersResponse{Users: d.users[from:to]}
	if to < len(d.users) {
		answer.NextPageToken = fmt.Sprint(to)
	}
	return answer, nil
}

func (d *directory) GetUser(_ context.Context, req *controlv1.GetUserRequest) (*controlv1.GetUserResponse, error) {
	d.asked = proto.CloneOf(req)
	if d.profile == nil {
		return nil, refuse(codes.NotFound, "the directory has no such object", "check the id and the tenant")
	}
	return d.profile, nil
}

func (d *directory) ListGroups(_ context.Context, req *controlv1.ListGroupsRequest) (*controlv1.ListGroupsResponse, error) {
	d.asked = proto.CloneOf(req)
	return &controlv1.ListGroupsResponse{Groups: d.groups}, nil
}

func (d *directory) ListMembers(_ context.Context, req *controlv1.ListMembersRequest) (*controlv1.ListMembersResponse, error) {
	d.asked = proto.CloneOf(req)
	return &controlv1.ListMembersResponse{Members: d.members}, nil
}

func (d *directory) ListApplications(_ context.Context, req *controlv1.ListApplicationsRequest) (*controlv1.ListApplicationsResponse, error) {
	d.asked = proto.CloneOf(req)
	return &controlv1.ListApplicationsResponse{Applications: d.apps}, nil
}

func ada() *controlv1.DirectoryUser {
	return &controlv1.DirectoryUser{
		TenantId: tenantID, Id: "0ada", UserPrincipalName: "ada@example.com", DisplayName: "Ada\x1b[31m Lund", UserType: "Member",
		AccountEnabled: new(true), JobTitle: "Engineer", CreatedAt: minute(0), LastSignInAt: minute(9), LastSuccessfulSignInAt: minute(8),
		Classes: []*controlv1.Classification{
			{Class: controlv1.UserClass_USER_CLASS_MEMBER, Reasons: []string{"user type Member"}},
			{Class: controlv1.UserClass_USER_CLASS_EMERGENCY_ACCESS, Reasons: []string{"declared"}},
		},
	}
}

func adaProfile() *controlv1.GetUserResponse {
	return &controlv1.GetUserResponse{
		User:   ada(),
		Groups: []*controlv1.GroupMembership{{GroupId: "g1", DisplayName: "Staff", Depth: 1}, {GroupId: "g2", DisplayName: "Tier 0", Depth: 2, IsAssignableToRole: true}},
		Roles: []*controlv1.RoleHolding{
			{RoleTemplateId: "r1", DisplayName: "Global Administrator", Tier: new(uint32(0)), Holdings: []string{"eligible"}, Scope: "/", ViaGroupId: "g2", ViaGroupName: "Tier 0"},
			{RoleTemplateId: "r2", Holdings: []string{"active"}, Scope: "/"},
		},
		Devices: []*controlv1.UserDevice{
			{DeviceId: "d1", DisplayName: "Laptop", OperatingSystem: "Windows", OperatingSystemVersion: "11", ComplianceState: "noncompliant", IsManaged: new(true), LastSyncAt: minute(3)},
			{DeviceId: "d2", IsCompliant: new(true), LastSignInAt: minute(4)},
		},
		Authentication:    &controlv1.UserAuthentication{Methods: []string{"fido2SecurityKey", "mobilePhone"}, IsMfaCapable: new(true)},
		OwnedApplications: []*controlv1.OwnedApplication{{Object: "application", Id: "o1", AppId: "a1", DisplayName: "Payroll"}},
		AppAssignments:    []*controlv1.AppAssignment{{ResourceDisplayName: "Travel", ViaGroupId: "g1", CreatedAt: minute(1)}},
		SignIns: &controlv1.SignInSummary{
			Days: 30, Successes: 1234, Failures: 2, Interruptions: 3,
			Places: []*controlv1.SignInCount{{Id: "CH/Zürich", DisplayName: "Zürich, CH", Successes: 1234, Failures: 5, LastAt: minute(9)}},
			Apps:   []*controlv1.SignInCount{{Id: "a9", Successes: 1, LastAt: minute(9)}},
		},
	}
}

const adaShown = `User          ada@example.com
Name          Ada?[31m Lund
Id            0ada
Tenant        8b7e6c5d-1111-4222-8333-444455556666
Job           Engineer
Enabled       yes
Created       2026-11-28 08:00Z
Last sign-in  2026-11-28 08:09Z
Last success  2026-11-28 08:08Z
Methods       fido2SecurityKey, mobilePhone
MFA capable   yes
Sign-ins      1,234 successful, 2 refused, 3 interrupted in 30 days

Classes
IS                BECAUSE
member            user type Member
emergency_access  declared

Roles
ROLE                  TIER  HOLDS     BY         SCOPE
Global Administrator  0     eligible  Tier 0     /
r2                    -     active    in person  /

Groups
GROUP   MEMBER          FOR ROLES  ID
Staff   direct          no         g1
Tier 0  nested, 2 deep  yes        g2

Devices
DEVICE  SYSTEM      COMPLIANT     MANAGED  LAST SYNC          LAST SIGN-IN       ID
Laptop  Windows 11  noncompliant  yes      2026-11-28 08:03Z  -                  d1
-       -           yes           -        -                  2026-11-28 08:04Z  d2

Owns
APPLICATION  KIND         APP ID  ID
Payroll      application  a1      o1

Assigned to
APPLICATION  ROLE  BY        SINCE
Travel       -     group g1  2026-11-28 08:01Z

Signed in from
PLACE       SUCCESSES  OTHERS  LAST
Zürich, CH  1,234      5       2026-11-28 08:09Z

Signed in to
APPLICATION  SUCCESSES  OTHERS  LAST
a9           1          0       2026-11-28 08:09Z
`

func TestUserShow(t *testing.T) {
	s := newServer(t)
	require.Equal(t, result{1, "", "entractl: the directory has no such object (TEST)\nWhat helps: check the id and the tenant\n"},
		s.run(t.Context(), "user", "show", "nobody"))
	s.profile = adaProfile()
	require.Equal(t, result{stdout: adaShown}, s.run(t.Context(), "users", "show", "ada@example.com", "--tenant", tenantID))
	require.Empty(t, cmp.Diff(&controlv1.GetUserRequest{User: "ada@example.com", TenantId: tenantID}, s.asked, protocmp.Transform()))
	var answer controlv1.GetUserResponse
	require.NoError(t, protojson.Unmarshal([]byte(s.run(t.Context(), "user", "show", "ada@example.com", "-o", "json").stdout), &answer))
	want := adaProfile()
	want.User.DisplayName = "Ada?[31m Lund"
	require.Empty(t, cmp.Diff(want, &answer, protocmp.Transform()))
	for _, args := range [][]string{{}, {"a", "b"}, {""}} {
		got := s.run(t.Context(), append([]string{"user", "show"}, args...)...)
		require.Equal(t, 2, got.code)
		require.Contains(t, got.stderr, "exactly one object id or user principal name is needed")
	}
}

func TestUserList(t *testing.T) {
	s := newServer(t)
	require.Equal(t, result{stderr: "entractl: there is no such user\n"}, s.run(t.Context(), "user", "list"))
	require.Equal(t, result{stdout: "[]\n"}, s.run(t.Context(), "user", "list", "-o", "json"))
	s.users = []*controlv1.DirectoryUser{ada(), {Id: "1bob", UserPrincipalName: "bob@example.com"}}
	require.Equal(t, result{stdout: `USER             NAME           CLASSES                   LAST SIGN-IN       CREATED            ID
ada@example.com  Ada?[31m Lund  member, emergency_access  2026-11-28 08:09Z  2026-11-28 08:00Z  0ada
bob@example.com  -              -                         -                  -                  1bob
`}, s.run(t.Context(), "user", "ls", "--tenant", "a,b", "--text", "x", "--class", "Admin,guest", "--type", "guest", "--disabled"))
	require.Empty(t, cmp.Diff(&controlv1.SearchUsersRequest{
		TenantIds: []string{"a", "b"}, Text: "x", Classes: []controlv1.UserClass{controlv1.UserClass_USER_CLASS_ADMIN, controlv1.UserClass_USER_CLASS_GUEST},
		AccountEnabled: new(false), UserType: "Guest", PageSize: 100,
	}, s.asked, protocmp.Transform()))
	require.Equal(t, 0, s.run(t.Context(), "user", "list", "--enabled").code)
	require.Empty(t, cmp.Diff(&controlv1.SearchUsersRequest{AccountEnabled: new(true), PageSize: 100}, s.asked, protocmp.Transform()))
	for args, want := range map[string]string{
		"--class boss":         `--class "boss" must be one of admin, disabled,`,
		"--type x":             `--type "x" must be one of guest, member`,
		"--limit -1":           "--limit -1 must not be negative",
		"-o xml":               `-o "xml" must be table, json or yaml`,
		"--enabled --disabled": "--enabled and --disabled exclude each other",
	} {
		got := s.run(t.Context(), append([]string{"user", "list"}, strings.Fields(args)...)...)
		require.Equal(t, 2, got.code, args)
		require.Contains(t, got.stderr, want)
	}
}

func TestPagesOfUsers(t *testing.T) {
	s := newServer(t)
	for n := range 2500 {
		s.users = append(s.users, &controlv1.DirectoryUser{Id: fmt.Sprint(n)})
	}
	for limit, want := range map[string]struct {
		users int
		sizes []int32
		more  string
	}{
		"30":   {30, []int32{30}, "entractl: there are more; --limit 0 shows all\n"},
		"1200": {1200, []int32{1000, 200}, "entractl: there are more; --limit 0 shows all\n"},
		"0":    {2500, []int32{1000, 1000, 1000}, ""},
	} {
		s.sizes = nil
		got := s.run(t.Context(), "user", "list", "-o", "json", "--limit", limit)
		require.Equal(t, 0, got.code)
		require.Equal(t, want.more, got.stderr)
		var users []map[string]any
		require.NoError(t, json.Unmarshal([]byte(got.stdout), &users))
		require.Len(t, users, want.users)
		require.Equal(t, want.sizes, s.sizes)
	}
}

func TestGroups(t *testing.T) {
	s := newServer(t)
	s.groups = []*controlv1.DirectoryGroup{{Id: "g1", DisplayName: "Staff", DirectMembers: 200_000, Owners: 2, IsAssignableToRole: new(true), CreatedAt: minute(1)}}
	require.Equal(t, result{stdout: "GROUP  MEMBERS  OWNERS  FOR ROLES  CREATED            ID\nStaff  200,000  2       yes        2026-11-28 08:01Z  g1\n"},
		s.run(t.Context(), "group", "list", "--for-roles", "--text", "st"))
	require.Empty(t, cmp.Diff(&controlv1.ListGroupsRequest{Text: "st", AssignableToRole: true, PageSize: 100}, s.asked, protocmp.Transform()))
	require.Equal(t, result{stderr: "entractl: the group has no members\n"}, s.run(t.Context(), "group", "members", "g1"))
	s.members = []*controlv1.DirectoryMember{
		{Id: "0ada", Kind: "user", DisplayName: "Ada", UserPrincipalName: "ada@example.com", AccountEnabled: new(false), Depth: 2},
		{Id: "g2", Kind: "group", DisplayName: "Tier 0", Depth: 1},
	}
	require.Equal(t, result{stdout: `MEMBER           KIND   NAME    ENABLED  HOW             ID
ada@example.com  user   Ada     no       nested, 2 deep  0ada
Tier 0           group  Tier 0  -        direct          g2
`}, s.run(t.Context(), "group", "members", "g1", "--transitive", "--tenant", tenantID, "--limit", "5"))
	require.Empty(t, cmp.Diff(&controlv1.ListMembersRequest{GroupId: "g1", TenantId: tenantID, Transitive: true, PageSize: 5}, s.asked, protocmp.Transform()))
}

func TestAppCredentials(t *testing.T) {
	s := newServer(t)
	at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(d)) }
	ends := time.Now().Add(50 * time.Hour)
	s.apps = []*controlv1.DirectoryApplication{
		{DisplayName: "Payroll", AppId: "a1", Owners: []string{"ada@example.com", "bob@example.com"}, LastSignInAt: minute(7), Credentials: []*controlv1.ApplicationCredential{
			{KeyId: "k1", Kind: "secret", DisplayName: "CI", Hint: "abc", EndsAt: minute(1)},
			{KeyId: "k2", Kind: "saml_certificate", EndsAt: timestamppb.New(ends)},
			{KeyId: "k3", Kind: "secret"},
		}},
		{DisplayName: "Bare", AppId: "a2"},
	}
	s.apps[0].Credentials[0].EndsAt = at(-time.Hour)
	got := s.run(t.Context(), "app", "credentials", "--expiring", "90d", "--text", "pay")
	require.Equal(t, 0, got.code, got.stderr)
	format := "2006-01-02 15:04Z"
	require.Equal(t, `APPLICATION  KIND              CREDENTIAL  ENDS               IN       OWNERS                            LAST USED          APP ID
Payroll      secret            CI (abc…)   `+time.Now().Add(-time.Hour).UTC().Format(format)+`  expired  ada@example.com, bob@example.com  2026-11-28 08:07Z  a1
Payroll      saml certificate  k2          `+ends.UTC().Format(format)+`  2d1h     ada@example.com, bob@example.com  2026-11-28 08:07Z  a1
Payroll      secret            k3          -                  -        ada@example.com, bob@example.com  2026-11-28 08:07Z  a1
Bare         -                 -           -                  -        -                                 -                  a2
`, got.stdout)
	require.Empty(t, cmp.Diff(&controlv1.ListApplicationsRequest{
		Text: "pay", ExpiringWithin: durationpb.New(90 * 24 * time.Hour), PageSize: 100,
	}, s.asked, protocmp.Transform()))
	got = s.run(t.Context(), "app", "credentials", "--expiring", "soon")
	require.Equal(t, 2, got.code)
	require.Contains(t, got.stderr, `--expiring "soon" must be a time span such as 90d or 36h`)
}

func TestCompletionOfUsersAndGroups(t *testing.T) {
	s := newServer(t)
	s.users = []*controlv1.DirectoryUser{ada()}
	s.groups = []*controlv1.DirectoryGroup{{Id: "g1", DisplayName: "Staff"}}
	require.Equal(t, "ada@example.com\tAda?[31m Lund\n:4\n", s.run(t.Context(), "__complete", "user", "show", "ad").stdout)
	require.Empty(t, cmp.Diff(&controlv1.SearchUsersRequest{Text: "ad", PageSize: 20}, s.asked, protocmp.Transform()))
	require.Equal(t, "g1\tStaff\n:4\n", s.run(t.Context(), "__complete", "group", "members", "").stdout)
	require.Equal(t, ":4\n", s.run(t.Context(), "__complete", "group", "members", "g1", "").stdout)
	require.Equal(t, ":4\n", s.run(t.Context(), "__complete", "user", "show", "--server", "127.0.0.1:1", "a").stdout)
}
