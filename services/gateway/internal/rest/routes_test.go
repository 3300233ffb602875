package rest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const api = "/entraflow.control.v1."

// routeTest is a request and what arrives at the method.
type routeTest struct {
	verb, path, body string
	method           string
	want             proto.Message
}

const (
	integration = "integrations/contoso"
	run         = integration + "/runs/r1"
	token       = "api-tokens/reports"
)

func routeTests() []routeTest {
	const hub = `{"eventHub":{"tenantIds":["a"]}}`
	secret := &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: "s"}}
	connected := func(i *controlv1.Integration) *controlv1.Integration {
		i.Connection = &controlv1.Integration_EventHub{EventHub: &controlv1.EventHubConnection{TenantIds: []string{"a"}}}
		return i
	}
	start := &timestamppb.Timestamp{Seconds: 1_767_225_600}
	return []routeTest{
		{"GET", "/v1/api-tokens?pageSize=3", "", "ApiTokenService/ListApiTokens", &controlv1.ListApiTokensRequest{PageSize: 3}},
		{"POST", "/v1/api-tokens", `{"apiToken":{"displayName":"r","role":"ROLE_READ_ONLY"},"requestId":"q"}`, "ApiTokenService/CreateApiToken", &controlv1.CreateApiTokenRequest{ApiToken: &controlv1.ApiToken{DisplayName: "r", Role: controlv1.Role_ROLE_READ_ONLY}, RequestId: "q"}},
		{"GET", "/v1/" + token, "", "ApiTokenService/GetApiToken", &controlv1.GetApiTokenRequest{Name: token}},
		{"POST", "/v1/" + token + ":revoke", "{}", "ApiTokenService/RevokeApiToken", &controlv1.RevokeApiTokenRequest{Name: token}},
		{"GET", "/v1/audit-entries?failed=true&start=2026-01-01T00:00:00Z", "", "AuditService/ListAuditEntries", &controlv1.ListAuditEntriesRequest{Failed: new(true), Start: start}},
		{"GET", "/v1/directory/users?text=ada&tenantIds=a&tenantIds=b", "", "DirectoryService/SearchUsers", &controlv1.SearchUsersRequest{Text: "ada", TenantIds: []string{"a", "b"}}},
		{"GET", "/v1/directory/users/ada.lund%40example.com?tenantId=a", "", "DirectoryService/GetUser", &controlv1.GetUserRequest{User: "ada.lund@example.com", TenantId: "a"}},
		{"GET", "/v1/directory/groups", "", "DirectoryService/ListGroups", &controlv1.ListGroupsRequest{}},
		{"GET", "/v1/directory/groups/g1/members?transitive=true", "", "DirectoryService/ListMembers", &controlv1.ListMembersRequest{GroupId: "g1", Transitive: true}},
		{"GET", "/v1/directory/applications?expiringWithin=3600s", "", "DirectoryService/ListApplications", &controlv1.ListApplicationsRequest{ExpiringWithin: durationpb.New(time.Hour)}},
		{"GET", "/v1/directory/objects/user/u1/history", "", "DirectoryService/ListHistory", &controlv1.ListHistoryRequest{Object: "user", Id: "u1"}},
		{"GET", "/v1/events?kind=audit&user=ada&start=2026-01-01T00:00:00Z&pageSize=5", "", "EventService/SearchEvents", &controlv1.SearchEventsRequest{
			Kind: "audit", User: "ada", Start: start, PageSize: 5,
		}},
		{"GET", "/v1/events:subscribe?kinds=signin&startTime=2026-01-01T00:00:00Z", "", "EventService/Subscribe", &controlv1.SubscribeRequest{
			Kinds: []string{"signin"}, Begin: &controlv1.SubscribeRequest_StartTime{StartTime: start},
		}},
		{"POST", "/v1/events:subscribe", `{"kinds":["audit"],"resumeToken":"t"}`, "EventService/Subscribe", &controlv1.SubscribeRequest{
			Kinds: []string{"audit"}, Begin: &controlv1.SubscribeRequest_ResumeToken{ResumeToken: "t"},
		}},
		{"GET", "/v1/integrations?pageSize=7&page_token=x", "", "IntegrationService/ListIntegrations", &controlv1.ListIntegrationsRequest{PageSize: 7, PageToken: "x"}},
		{"POST", "/v1/integrations", `{"integrationId":"contoso","integration":` + hub + `,"credential":{"clientSecret":"s"}}`, "IntegrationService/CreateIntegration", &controlv1.CreateIntegrationRequest{
			IntegrationId: "contoso", Integration: connected(&controlv1.Integration{}), Credential: secret,
		}},
		{"GET", "/v1/" + integration, "", "IntegrationService/GetIntegration", &controlv1.GetIntegrationRequest{Name: integration}},
		{"PATCH", "/v1/" + integration + "?updateMask=displayName&requestId=q", `{"displayName":"C","eventHub":{"tenantIds":["a"]}}`, "IntegrationService/UpdateIntegration", &controlv1.UpdateIntegrationRequest{
			Integration: connected(&controlv1.Integration{Name: integration, DisplayName: "C"}),
			UpdateMask:  &fieldmaskpb.FieldMask{Paths: []string{"display_name"}}, RequestId: "q",
		}},
		{"PATCH", "/v1/" + integration, `{"displayName":"C","eventHub":{"tenantIds":["a"]}}`, "IntegrationService/UpdateIntegration", &controlv1.UpdateIntegrationRequest{
			Integration: connected(&controlv1.Integration{Name: integration, DisplayName: "C"}),
			UpdateMask:  &fieldmaskpb.FieldMask{Paths: []string{"display_name", "event_hub.tenant_ids"}},
		}},
		{"DELETE", "/v1/" + integration + "?etag=7", "", "IntegrationService/DeleteIntegration", &controlv1.DeleteIntegrationRequest{Name: integration, Etag: "7"}},
		{"POST", "/v1/integrations:testConnection", `{"integration":` + hub + `,"credential":{"clientSecret":"s"}}`, "IntegrationService/TestConnection", &controlv1.TestConnectionRequest{
			Integration: connected(&controlv1.Integration{}), Credential: secret,
		}},
		{"POST", "/v1/" + integration + ":testConnection", "", "IntegrationService/TestConnection", &controlv1.TestConnectionRequest{Name: integration}},
		{"POST", "/v1/" + integration + ":resetCredentials", `{"credential":{"clientSecret":"s"}}`, "IntegrationService/ResetCredentials", &controlv1.ResetCredentialsRequest{Name: integration, Credential: secret}},
		{"POST", "/v1/" + integration + ":collectNow", `{"dataTypes":["sign_ins"]}`, "IntegrationService/CollectNow", &controlv1.CollectNowRequest{Name: integration, DataTypes: []string{"sign_ins"}}},
		{"GET", "/v1/" + integration + "/runs?pageSize=1", "", "IntegrationService/ListRuns", &controlv1.ListRunsRequest{Parent: integration, PageSize: 1}},
		{"GET", "/v1/" + run + ":watch", "", "IntegrationService/WatchRun", &controlv1.WatchRunRequest{Name: run}},
		{"GET", "/v1/sign-ins?filter.user=ada&filter.outcome=SIGN_IN_OUTCOME_FAILURE&filter.errorCodes=50126&pageSize=5", "", "SignInService/SearchSignIns", &controlv1.SearchSignInsRequest{
			PageSize: 5, Filter: &controlv1.SignInFilter{
				User: "ada", Outcome: controlv1.SignInOutcome_SIGN_IN_OUTCOME_FAILURE, ErrorCodes: []int64{50126},
			},
		}},
		{"POST", "/v1/sign-ins:search", `{"filter":{"user":"ada"},"pageSize":5}`, "SignInService/SearchSignIns", &controlv1.SearchSignInsRequest{
			PageSize: 5, Filter: &controlv1.SignInFilter{User: "ada"},
		}},
		{"GET", "/v1/system:status", "", "SystemService/GetStatus", &controlv1.GetStatusRequest{}},
		{"GET", "/v1/system:caller", "", "SystemService/GetCaller", &controlv1.GetCallerRequest{}},
	}
}

func TestEveryRouteReachesItsMethod(t *testing.T) {
	w := newWorld(t, answers{})
	tested := map[string]int{}
	for _, tc := range routeTests() {
		tested[tc.method]++
		t.Run(tc.verb+" "+tc.path, func(t *testing.T) {
			got := w.send(t, tc.verb, tc.path, tc.body)
			require.Equal(t, http.StatusOK, got.status, got.body)
			arrived := <-w.calls
			require.Equal(t, api+tc.method, arrived.method)
			require.Empty(t, cmp.Diff(tc.want, arrived.request, protocmp.Transform()))
			require.Regexp(t, "^[A-Z2-7]{26}$", got.header.Get("X-Request-Id"))
		})
	}
	for _, service := range services(t) {
		for i := range service.Methods().Len() {
			method := service.Methods().Get(i)
			rule, ok := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
			require.True(t, ok && rule.GetPattern() != nil, "%s has no route", method.FullName())
			name := string(service.Name()) + "/" + string(method.Name())
			require.GreaterOrEqual(t, tested[name], 1+len(rule.GetAdditionalBindings()), "routes of %s are not tested", name)
		}
	}
}

// Without a token, or with a wrong one, no route works.
func TestNoRouteWorksWithoutAToken(t *testing.T) {
	w := newWorld(t, answers{})
	for name, values := range map[string][]string{
		"none": nil, "wrong": {"Bearer x"}, "two": {"Bearer " + rightToken, "Bearer " + rightToken}, "basic": {"Basic " + rightToken},
	} {
		for _, tc := range routeTests() {
			t.Run(name+" "+tc.verb+" "+tc.path, func(t *testing.T) {
				got := w.send(t, tc.verb, tc.path, tc.body, with("Authorization", values...))
				requireRefused(t, got, http.StatusUnauthorized, "UNAUTHENTICATED")
				require.Equal(t, "Bearer", got.header.Get("WWW-Authenticate"))
			})
		}
	}
	require.Empty(t, w.calls)
}
