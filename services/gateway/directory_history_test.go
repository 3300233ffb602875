package gateway_test

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

func TestHistoryOfAnObject(t *testing.T) {
	w := newWorld(t)
	c := &contoso{}
	c.user("ada", "ada@example.com").Raw = []byte(`{"id":"ada","version":1}`)
	updated := c.user("ada", "ada@example.com")
	updated.Change, updated.Changed, updated.Raw = directoryv1.Change_CHANGE_UPDATED, []string{"department", "jobTitle"}, []byte(`{"id":"ada"}`)
	c.put("user", "ada", "Ada", &directoryv1.Object{Change: directoryv1.Change_CHANGE_DELETED, Deleted: true})
	c.put("policy", "security_defaults", "", &directoryv1.Object{})
	c.put("policy", "security_defaults", "", &directoryv1.Object{}).TenantId = tenantB
	c.store(t, w)
	c.store(t, w) // delivered again
	at := func(minute int) *timestamppb.Timestamp {
		return timestamppb.New(present().Add(time.Duration(minute) * time.Minute))
	}
	want := []*controlv1.ObjectState{
		{Version: 3, ObservedAt: at(3), Change: "deleted", Deleted: true, DisplayName: "Ada", Integration: "contoso"},
		{Version: 2, ObservedAt: at(2), Change: "updated", Changed: []string{"department", "jobTitle"}, DisplayName: "Name of ada", Raw: []byte(`{"id":"ada"}`), Integration: "contoso"},
		{Version: 1, ObservedAt: at(1), Change: "created", DisplayName: "Name of ada", Raw: []byte(`{"id":"ada","version":1}`), Integration: "contoso"},
	}
	for _, size := range []int32{0, 1, 2} {
		req := &controlv1.ListHistoryRequest{Object: "user", Id: "ada", IncludeRaw: true, PageSize: size}
		var got []*controlv1.ObjectState
		for range 5 {
			answer, err := w.directory().ListHistory(t.Context(), req)
			require.NoError(t, err)
			got = append(got, answer.GetStates()...)
			if req.PageToken = answer.GetNextPageToken(); req.GetPageToken() == "" {
				break
			}
		}
		require.Empty(t, gocmp.Diff(want, got, protocmp.Transform()))
	}
	answer, err := w.directory().ListHistory(t.Context(), &controlv1.ListHistoryRequest{Object: "user", Id: "ada"})
	require.NoError(t, err)
	require.Empty(t, answer.GetStates()[1].GetRaw())
	for name, tc := range map[string]struct {
		req  *controlv1.ListHistoryRequest
		code codes.Code
	}{
		"unknown":       {&controlv1.ListHistoryRequest{Object: "user", Id: "bob"}, codes.NotFound},
		"other kind":    {&controlv1.ListHistoryRequest{Object: "group", Id: "ada"}, codes.NotFound},
		"two tenants":   {&controlv1.ListHistoryRequest{Object: "policy", Id: "security_defaults"}, codes.FailedPrecondition},
		"no kind":       {&controlv1.ListHistoryRequest{Object: "A B", Id: "ada"}, codes.InvalidArgument},
		"one of both":   {&controlv1.ListHistoryRequest{Object: "policy", Id: "security_defaults", TenantId: tenantB}, codes.OK},
		"empty id":      {&controlv1.ListHistoryRequest{Object: "user"}, codes.InvalidArgument},
		"wrong pages":   {&controlv1.ListHistoryRequest{Object: "user", Id: "ada", PageSize: 1001}, codes.InvalidArgument},
		"negative page": {&controlv1.ListHistoryRequest{Object: "user", Id: "ada", PageSize: -1}, codes.InvalidArgument},
	} {
		_, err := w.directory().ListHistory(t.Context(), tc.req)
		require.Equal(t, tc.code, status.Code(err), "%s: %v", name, err)
	}
}

// The real program shows what the real gateway answers.
func TestEntractlAndTheDirectory(t *testing.T) {
	binary := build(t, "services/entractl/cmd/entractl")
	w := newContoso(t)
	run := func(args ...string) string {
		output, err := w.entractl(t.Context(), binary, args...).CombinedOutput()
		require.NoError(t, err, string(output))
		return string(output)
	}
	require.Equal(t, `USER                  NAME         CLASSES        LAST SIGN-IN       CREATED  ID
Ada.Lund@example.com  Name of ada  member, admin  2026-11-24 12:00Z  -        ada
`, run("user", "list", "--class", "admin", "--enabled"))
	shown := run("user", "show", "ada.lund@example.com")
	require.Contains(t, shown, "IS      BECAUSE\nmember  user type Member\nadmin   Global Administrator (active, by Group outer)\n")
	require.Contains(t, shown, "Sign-ins      0 successful, 0 refused, 0 interrupted in 30 days\n")
	require.Equal(t, `MEMBER       KIND               NAME         ENABLED  HOW     ID
Group inner  group              Group inner  -        direct  inner
Payroll      service_principal  Payroll      -        direct  sp-payroll
`, run("group", "members", "outer"))
	require.Regexp(t, "(?s)^APPLICATION .*\nExpired +secret +gone .* expired .*\nCRM +certificate +cert .* 5d1?[0-9]h.*\n"+
		"Payroll +secret +CI \\(xyz…\\) .*\nTravel +saml certificate +CN=SSO .*\n$", run("app", "credentials", "--expiring", "90d"))
}
