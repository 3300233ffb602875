package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// fenceRow is a request about tenantB. It is valid: the admin of everything is not told that it is not.
type fenceRow struct {
	name, method string
	request      proto.Message
	// want is how it ends for who has tenantA alone. OK means: with nothing of tenantB, and with what has, if that is said.
	want codes.Code
	has  string
}

// tenantless are the methods that are about no tenant.
var tenantless = []string{
	controlv1.SystemService_GetStatus_FullMethodName, controlv1.SystemService_GetCaller_FullMethodName,
	healthv1.Health_Check_FullMethodName, healthv1.Health_List_FullMethodName, healthv1.Health_Watch_FullMethodName,
	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName,
	reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName,
}

func (f *fence) rows() []fenceRow {
	return slices.Concat(readingRows(), f.tokenRows(), integrationRows(), namedRows())
}

// readingRows ask for what was collected.
func readingRows() []fenceRow {
	b, ab := []string{strings.ToUpper(tenantB)}, []string{tenantA, tenantB}
	searchUsers, getUser := controlv1.DirectoryService_SearchUsers_FullMethodName, controlv1.DirectoryService_GetUser_FullMethodName
	groups, members := controlv1.DirectoryService_ListGroups_FullMethodName, controlv1.DirectoryService_ListMembers_FullMethodName
	applications, history := controlv1.DirectoryService_ListApplications_FullMethodName, controlv1.DirectoryService_ListHistory_FullMethodName
	signIns, audits := controlv1.SignInService_SearchSignIns_FullMethodName, controlv1.AuditService_ListAuditEntries_FullMethodName
	subscribe, events := controlv1.EventService_Subscribe_FullMethodName, controlv1.EventService_SearchEvents_FullMethodName
	return []fenceRow{
		{"users of B", searchUsers, &controlv1.SearchUsersRequest{TenantIds: b}, codes.PermissionDenied, ""},
		{"users of both", searchUsers, &controlv1.SearchUsersRequest{TenantIds: ab}, codes.PermissionDenied, ""},
		{"users", searchUsers, &controlv1.SearchUsersRequest{}, codes.OK, "seen"},
		{"users by name", searchUsers, &controlv1.SearchUsersRequest{Text: "zoe"}, codes.OK, ""},
		{"user of B", getUser, &controlv1.GetUserRequest{User: "zoe", TenantId: tenantB}, codes.PermissionDenied, ""},
		{"user of B without it", getUser, &controlv1.GetUserRequest{User: "zoe@fabrikam.com"}, codes.NotFound, ""},
		{"groups of B", groups, &controlv1.ListGroupsRequest{TenantIds: b}, codes.PermissionDenied, ""},
		{"groups", groups, &controlv1.ListGroupsRequest{}, codes.OK, "seen"},
		{"groups by name", groups, &controlv1.ListGroupsRequest{Text: "far"}, codes.OK, ""},
		{"members of B", members, &controlv1.ListMembersRequest{GroupId: "far", TenantId: tenantB}, codes.PermissionDenied, ""},
		{"members of B without it", members, &controlv1.ListMembersRequest{GroupId: "far"}, codes.NotFound, ""},
		{"applications of B", applications, &controlv1.ListApplicationsRequest{TenantIds: b}, codes.PermissionDenied, ""},
		{"applications", applications, &controlv1.ListApplicationsRequest{}, codes.OK, "seen"},
		{"applications by name", applications, &controlv1.ListApplicationsRequest{Text: "app-far"}, codes.OK, ""},
		{"history of B", history, &controlv1.ListHistoryRequest{Object: "user", Id: "zoe", TenantId: tenantB, IncludeRaw: true}, codes.PermissionDenied, ""},
		{"history of B without it", history, &controlv1.ListHistoryRequest{Object: "user", Id: "zoe", IncludeRaw: true}, codes.NotFound, ""},
		{"sign-ins of B", signIns, &controlv1.SearchSignInsRequest{Filter: &controlv1.SignInFilter{TenantIds: b}, IncludeRaw: true}, codes.PermissionDenied, ""},
		{"sign-ins of both", signIns, &controlv1.SearchSignInsRequest{Filter: &controlv1.SignInFilter{TenantIds: ab}}, codes.PermissionDenied, ""},
		{"sign-ins", signIns, &controlv1.SearchSignInsRequest{Filter: &controlv1.SignInFilter{User: "twin"}, IncludeRaw: true}, codes.OK, "203.0.113.1"},
		{"audit entries of B", audits, &controlv1.ListAuditEntriesRequest{TenantIds: b}, codes.PermissionDenied, ""},
		{"audit entries of both", audits, &controlv1.ListAuditEntriesRequest{TenantIds: ab}, codes.PermissionDenied, ""},
		{"audit entries", audits, &controlv1.ListAuditEntriesRequest{}, codes.OK, "seen"},
		{"audit entries by target", audits, &controlv1.ListAuditEntriesRequest{Target: hushed}, codes.OK, ""},
		{"stored events of B", events, &controlv1.SearchEventsRequest{Kind: "audit", TenantIds: b, IncludeRaw: true}, codes.PermissionDenied, ""},
		{"stored events of both", events, &controlv1.SearchEventsRequest{Kind: "audit", TenantIds: ab}, codes.PermissionDenied, ""},
		{"stored events", events, &controlv1.SearchEventsRequest{Kind: "audit", User: "twin@example.com", IncludeRaw: true}, codes.OK, "seen"},
		{"stored events by activity", events, &controlv1.SearchEventsRequest{Kind: "audit", Activity: hushed}, codes.OK, ""},
		{"events of B", subscribe, &controlv1.SubscribeRequest{TenantIds: b}, codes.PermissionDenied, ""},
		{"events of both", subscribe, &controlv1.SubscribeRequest{TenantIds: ab, IncludeRaw: true}, codes.PermissionDenied, ""},
		{"earlier events of B", subscribe, &controlv1.SubscribeRequest{TenantIds: b, Begin: &controlv1.SubscribeRequest_StartTime{StartTime: timestamppb.New(present())}}, codes.PermissionDenied, ""},
	}
}

// tokenRows are about API tokens, and about what both tenants have: of that, A gets its own.
func (f *fence) tokenRows() []fenceRow {
	create, list := controlv1.ApiTokenService_CreateApiToken_FullMethodName, controlv1.ApiTokenService_ListApiTokens_FullMethodName
	makes := func(tenants ...string) *controlv1.CreateApiTokenRequest {
		return &controlv1.CreateApiTokenRequest{ApiToken: &controlv1.ApiToken{
			DisplayName: "mine", Role: controlv1.Role_ROLE_READ_ONLY, TenantIds: tenants,
		}}
	}
	rows := []fenceRow{
		{"token for B", create, makes(tenantB), codes.FailedPrecondition, ""},
		{"token for both", create, makes(tenantA, tenantB), codes.FailedPrecondition, ""},
		{"token for all", create, makes(), codes.FailedPrecondition, ""},
		{"tokens", list, &controlv1.ListApiTokensRequest{}, codes.OK, tenantA},
		{"user of both", controlv1.DirectoryService_GetUser_FullMethodName, &controlv1.GetUserRequest{User: "twin", TenantId: tenantA}, codes.OK, "seen"},
		{"members of both", controlv1.DirectoryService_ListMembers_FullMethodName, &controlv1.ListMembersRequest{GroupId: "both", TenantId: tenantA, Transitive: true}, codes.OK, "seen"},
		{"history of both", controlv1.DirectoryService_ListHistory_FullMethodName, &controlv1.ListHistoryRequest{Object: "user", Id: "twin", TenantId: tenantA, IncludeRaw: true}, codes.OK, "seen"},
	}
	for opens, name := range f.tokens {
		rows = append(rows,
			fenceRow{"token of " + opens, controlv1.ApiTokenService_GetApiToken_FullMethodName, &controlv1.GetApiTokenRequest{Name: name}, codes.NotFound, ""},
			fenceRow{"revoke that of " + opens, controlv1.ApiTokenService_RevokeApiToken_FullMethodName, &controlv1.RevokeApiTokenRequest{Name: name}, codes.NotFound, ""})
	}
	return rows
}

// integrationRows would make, test or turn an integration into one of tenantB.
func integrationRows() []fenceRow {
	create, test := controlv1.IntegrationService_CreateIntegration_FullMethodName, controlv1.IntegrationService_TestConnection_FullMethodName
	update := controlv1.IntegrationService_UpdateIntegration_FullMethodName
	rows := []fenceRow{
		{"integrations", controlv1.IntegrationService_ListIntegrations_FullMethodName, &controlv1.ListIntegrationsRequest{}, codes.OK, "integrations/first"},
	}
	for n, i := range map[string]*controlv1.Integration{
		"B": entraOf(strings.ToUpper(tenantB)), "hub of B": hubOf(tenantB), "hub of both": hubOf(tenantA, tenantB), "hub of any": hubOf("Any"),
	} {
		credential := secretCredential()
		if i.GetEventHub() != nil {
			credential = stringCredential()
			rows = append(rows, fenceRow{"turn into a " + n, update, &controlv1.UpdateIntegrationRequest{
				Integration: named("hub-a", i), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"event_hub.tenant_ids"}},
			}, codes.PermissionDenied, ""})
		}
		id := strings.ToLower(strings.ReplaceAll("new-"+n, " ", "-"))
		rows = append(rows,
			fenceRow{"create " + n, create, &controlv1.CreateIntegrationRequest{IntegrationId: id, Integration: i, Credential: credential}, codes.PermissionDenied, ""},
			fenceRow{"test " + n, test, &controlv1.TestConnectionRequest{Integration: i, Credential: credential}, codes.PermissionDenied, ""})
	}
	return rows
}

func named(id string, i *controlv1.Integration) *controlv1.Integration {
	i = proto.CloneOf(i)
	i.Name = "integrations/" + id
	return i
}

// namedRows are about integrations that there are.
func namedRows() (rows []fenceRow) {
	row := func(id, method string, request proto.Message) {
		rows = append(rows, fenceRow{id, method, request, codes.NotFound, ""})
	}
	for _, id := range []string{"second", "hub-b", "hub-ab", "hub-any"} {
		name, credential := "integrations/"+id, secretCredential()
		if id != "second" {
			credential = stringCredential()
		}
		row(id, controlv1.IntegrationService_GetIntegration_FullMethodName, &controlv1.GetIntegrationRequest{Name: name})
		row(id, controlv1.IntegrationService_UpdateIntegration_FullMethodName, &controlv1.UpdateIntegrationRequest{
			Integration: &controlv1.Integration{Name: name, Disabled: true}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"disabled"}},
		})
		row(id, controlv1.IntegrationService_TestConnection_FullMethodName, &controlv1.TestConnectionRequest{Name: name})
		row(id, controlv1.IntegrationService_TestConnection_FullMethodName, &controlv1.TestConnectionRequest{
			Name: name, Integration: entraOf(tenantA), Credential: credential,
		})
		row(id, controlv1.IntegrationService_ResetCredentials_FullMethodName, &controlv1.ResetCredentialsRequest{Name: name, Credential: credential})
		row(id, controlv1.IntegrationService_CollectNow_FullMethodName, &controlv1.CollectNowRequest{Name: name})
		row(id, controlv1.IntegrationService_ListRuns_FullMethodName, &controlv1.ListRunsRequest{Parent: name})
		row(id, controlv1.IntegrationService_DeleteIntegration_FullMethodName, &controlv1.DeleteIntegrationRequest{Name: name})
	}
	row("run", controlv1.IntegrationService_WatchRun_FullMethodName, &controlv1.WatchRunRequest{Name: "integrations/second/runs/r1"})
	return rows
}

// requireFenced fails if a reply tells anything of tenantB.
func requireFenced(t *testing.T, row fenceRow, got reply) {
	t.Helper()
	require.Equal(t, row.want, got.code, "%s: %s: %s", row.method, row.name, got.text)
	require.NotContains(t, got.text, hushed, "%s: %s", row.method, row.name)
	if got.code == codes.OK {
		require.NotContains(t, got.text, tenantB, "%s: %s", row.method, row.name)
		require.Contains(t, got.text, row.has, "%s: %s", row.method, row.name)
	}
}

func TestEachMethodIsFenced(t *testing.T) {
	f := &fence{world: newWorld(t), tokens: map[string]string{"b": "api-tokens/x"}}
	fenced := slices.Clone(tenantless)
	for _, row := range f.rows() {
		fenced = append(fenced, row.method)
	}
	slices.Sort(fenced)
	require.ElementsMatch(t, f.methods(t), slices.Compact(fenced),
		"a method without a request in fence_test.go: say there how it ends for who has another tenant, or that it is about none")
}

// Whoever has one tenant sees and changes nothing of another, by whatever method and transport.
func TestATokenOfOneTenantSeesNoOther(t *testing.T) {
	f := newFence(t)
	before := f.state(t)
	require.Contains(t, fmt.Sprint(before), hushed)
	for _, row := range f.rows() {
		requireFenced(t, row, overGRPC(t.Context(), t, f.limited, row.method, row.request))
		for _, request := range f.bindings(t.Context(), t, row.method, row.request) {
			requireFenced(t, row, overHTTP(t, f.secret, request))
		}
	}
	require.Empty(t, gocmp.Diff(before, f.state(t), protocmp.Transform()))
	for n, row := range sortedRows(f.rows()) {
		f.requireValid(t, n, row)
	}
}

// requireValid makes a request as the admin of everything, over each transport, who is let in; and repeats it by its
// request_id as the token of A: what is kept as the answer to one is not for the other.
func (f *fence) requireValid(t *testing.T, n int, row fenceRow) {
	t.Helper()
	request := proto.Clone(row.request)
	id := request.ProtoReflect().Descriptor().Fields().ByName("request_id")
	if id != nil {
		request.ProtoReflect().Set(id, protoreflect.ValueOfString(fmt.Sprintf("fence-%d", n)))
	}
	refused := []codes.Code{codes.InvalidArgument, codes.PermissionDenied, codes.NotFound, codes.Unauthenticated, codes.Unimplemented}
	got := overGRPC(t.Context(), t, f.conn, row.method, request)
	require.NotContains(t, refused, got.code, "%s: %s: %s", row.method, row.name, got.text)
	if id == nil {
		for _, request := range f.bindings(t.Context(), t, row.method, request) {
			require.Equal(t, got.code, overHTTP(t, f.token(t), request).code, "%s: %s", row.method, row.name)
		}
		return
	}
	again := overGRPC(t.Context(), t, f.limited, row.method, request)
	if again.code == codes.NotFound {
		row.want = codes.NotFound // the admin has just taken it away
	}
	requireFenced(t, row, again)
}
