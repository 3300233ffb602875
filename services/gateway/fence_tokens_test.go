package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/oidc"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway"
)

// Page tokens that the admin of everything was given open nothing to the token of A.
func TestPageTokensOpenNoOtherTenant(t *testing.T) {
	f := newFence(t)
	for name, row := range map[string]fenceRow{
		"users":         {method: controlv1.DirectoryService_SearchUsers_FullMethodName, request: &controlv1.SearchUsersRequest{PageSize: 1}, want: codes.InvalidArgument},
		"users of B":    {method: controlv1.DirectoryService_SearchUsers_FullMethodName, request: &controlv1.SearchUsersRequest{PageSize: 1, TenantIds: []string{tenantB}}, want: codes.PermissionDenied},
		"groups":        {method: controlv1.DirectoryService_ListGroups_FullMethodName, request: &controlv1.ListGroupsRequest{PageSize: 1}, want: codes.InvalidArgument},
		"members":       {method: controlv1.DirectoryService_ListMembers_FullMethodName, request: &controlv1.ListMembersRequest{PageSize: 1, GroupId: "far"}, want: codes.InvalidArgument},
		"applications":  {method: controlv1.DirectoryService_ListApplications_FullMethodName, request: &controlv1.ListApplicationsRequest{PageSize: 1}, want: codes.InvalidArgument},
		"history":       {method: controlv1.DirectoryService_ListHistory_FullMethodName, request: &controlv1.ListHistoryRequest{PageSize: 1, Object: "user", Id: "zoe"}, want: codes.InvalidArgument},
		"sign-ins":      {method: controlv1.SignInService_SearchSignIns_FullMethodName, request: &controlv1.SearchSignInsRequest{PageSize: 1}, want: codes.InvalidArgument},
		"stored events": {method: controlv1.EventService_SearchEvents_FullMethodName, request: &controlv1.SearchEventsRequest{PageSize: 1, Kind: "audit"}, want: codes.InvalidArgument},
		"audit entries": {method: controlv1.AuditService_ListAuditEntries_FullMethodName, request: &controlv1.ListAuditEntriesRequest{PageSize: 1}, want: codes.InvalidArgument},
		"integrations":  {method: controlv1.IntegrationService_ListIntegrations_FullMethodName, request: &controlv1.ListIntegrationsRequest{PageSize: 1}, want: codes.OK},
		"tokens":        {method: controlv1.ApiTokenService_ListApiTokens_FullMethodName, request: &controlv1.ListApiTokensRequest{PageSize: 1}, want: codes.OK},
		"runs":          {method: controlv1.IntegrationService_ListRuns_FullMethodName, request: &controlv1.ListRunsRequest{PageSize: 1, Parent: "integrations/second"}, want: codes.NotFound},
	} {
		answer := answerOf(t, row.method)
		require.NoError(t, f.conn.Invoke(t.Context(), row.method, row.request, answer), name)
		page := answer.ProtoReflect().Get(answer.ProtoReflect().Descriptor().Fields().ByName("next_page_token")).String()
		require.NotEmpty(t, page, name)
		next := row.request.ProtoReflect()
		next.Set(next.Descriptor().Fields().ByName("page_token"), protoreflect.ValueOfString(page))
		row.name = name
		requireFenced(t, row, overGRPC(t.Context(), t, f.limited, row.method, row.request))
		for _, request := range f.bindings(t.Context(), t, row.method, row.request) {
			requireFenced(t, row, overHTTP(t, f.secret, request))
		}
	}
}

// The stream has events of B before, between and after those of A; the token of A gets its own, wherever it begins.
func TestAFencedSubscriberGetsItsOwn(t *testing.T) {
	f := newFence(t)
	p := f.publisher(t)
	publish(t, p, eventOf("b1", tenantB))
	begin := f.subscribe(t, &controlv1.SubscribeRequest{})
	resume := &controlv1.SubscribeRequest_ResumeToken{ResumeToken: begin.token}
	publish(t, p, eventOf("b2", tenantB), eventOf("a1", tenantA), eventOf("b3", tenantB), eventOf("a2", tenantA))
	require.Equal(t, []string{"b2", "a1", "b3", "a2"}, begin.names(t, 4))
	for name, request := range map[string]*controlv1.SubscribeRequest{
		"resume token":   {Begin: resume, IncludeRaw: true},
		"with a filter":  {Begin: resume, Filter: `event.tenant_id != ""`},
		"start time":     {Begin: &controlv1.SubscribeRequest_StartTime{StartTime: timestamppb.New(present().AddDate(-1, 0, 0))}},
		"its own tenant": {Begin: resume, TenantIds: []string{tenantA}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			stream, err := controlv1.NewEventServiceClient(f.limited).Subscribe(ctx, request)
			require.NoError(t, err)
			require.Equal(t, []string{"a1", "a2"}, receiveTwo(t, stream))
			for _, r := range f.bindings(ctx, t, controlv1.EventService_Subscribe_FullMethodName, request) {
				require.Equal(t, []string{"a1", "a2"}, f.streamTwo(t, r))
			}
		})
	}
}

func receiveTwo(t *testing.T, stream grpc.ServerStreamingClient[controlv1.SubscribeResponse]) (got []string) {
	t.Helper()
	for len(got) < 2 {
		response, err := stream.Recv()
		require.NoError(t, err)
		require.NotContains(t, fmt.Sprint(response), hushed)
		got = append(got, ids(response.GetEvents())...)
	}
	return got
}

// streamTwo reads the ids of the first two events that a stream over HTTP brings.
func (f *fence) streamTwo(t *testing.T, request *http.Request) (got []string) {
	t.Helper()
	request.Header.Set("Authorization", "Bearer "+f.secret)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	for lines := json.NewDecoder(response.Body); len(got) < 2; {
		var line struct {
			Result struct {
				Events []struct {
					ID string `json:"id"`
				} `json:"events"`
			} `json:"result"`
			Error any `json:"error"`
		}
		require.NoError(t, lines.Decode(&line))
		require.Nil(t, line.Error)
		for _, event := range line.Result.Events {
			got = append(got, event.ID)
		}
	}
	return got
}

// A person who is admin of tenantA makes tokens for it alone: an API token itself makes none.
func TestAPersonOfOneTenantMakesTokensForNoOther(t *testing.T) {
	i := newIssuer(t)
	w := newWorld(t, unbounded, i.trust, func(c *gateway.Config) {
		c.Auth.OIDC.Roles["Entraflow.Admin"] = oidc.RoleConfig{Role: oidc.RoleAdmin, Tenants: []string{tenantA}}
	})
	secret, method := i.mint(t, i.person(t, "Entraflow.Admin"), nil), controlv1.ApiTokenService_CreateApiToken_FullMethodName
	person := w.dial(t, secret)
	for _, tenants := range [][]string{{tenantB}, {strings.ToUpper(tenantB)}, {tenantA, tenantB}, nil} {
		row := fenceRow{fmt.Sprint(tenants), method, &controlv1.CreateApiTokenRequest{ApiToken: &controlv1.ApiToken{
			DisplayName: "mine", Role: controlv1.Role_ROLE_ADMIN, TenantIds: tenants, AllTenants: true,
		}}, codes.PermissionDenied, ""}
		if len(tenants) == 0 {
			row.want, row.has = codes.OK, tenantA
		}
		answers := []reply{overGRPC(t.Context(), t, person, method, row.request)}
		for _, request := range w.bindings(t.Context(), t, method, row.request) {
			answers = append(answers, overHTTP(t, secret, request))
		}
		for _, got := range answers {
			requireFenced(t, row, got)
			require.NotRegexp(t, `all_?[tT]enants"?: *true`, got.text, row.name)
		}
	}
}

// A request with a request_id that is refused says why, each time, and is not under way after it.
func TestARefusedRequestForATokenSaysWhyEachTime(t *testing.T) {
	w := newWorld(t)
	secret := w.tokenFor(t, &controlv1.ApiToken{Role: controlv1.Role_ROLE_ADMIN}).GetSecret()
	request := &controlv1.CreateApiTokenRequest{
		ApiToken: &controlv1.ApiToken{DisplayName: "x", Role: controlv1.Role_ROLE_READ_ONLY}, RequestId: "token-1",
	}
	for range 2 {
		_, err := controlv1.NewApiTokenServiceClient(w.dial(t, secret)).CreateApiToken(t.Context(), request)
		require.Equal(t, "API_TOKEN_FROM_API_TOKEN", reason(t, err))
	}
}

// Whoever holds several credentials has an answer to a request_id for each: they may open different tenants.
func TestARequestIDIsOfOneCredential(t *testing.T) {
	f := newFence(t)
	update := &controlv1.UpdateIntegrationRequest{
		Integration: named("second", &controlv1.Integration{DisplayName: hushed + " still"}),
		UpdateMask:  &fieldmaskpb.FieldMask{Paths: []string{"display_name"}}, RequestId: "update-1",
	}
	method := controlv1.IntegrationService_UpdateIntegration_FullMethodName
	first := overGRPC(t.Context(), t, f.conn, method, update)
	require.Contains(t, first.text, tenantB)
	require.Equal(t, codes.NotFound, overGRPC(t.Context(), t, f.limited, method, update).code)
	require.Equal(t, codes.OK, overGRPC(t.Context(), t, f.conn, method, update).code)
}
