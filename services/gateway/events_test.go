package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Whatever the times and the pages: each event of the kind comes once, the newest version of it, newest first.
func TestPagesOfEventsAreComplete(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(5, 5))
	categories := map[string]string{
		"audit": "AuditLogs", "custom_security_attribute_audit": "CustomSecurityAttributeAuditLogs",
		"graph_activity": "MicrosoftGraphActivityLogs", "b2c_request": "B2CRequestLogs", "risky_user": "RiskyUsers",
	}
	want := map[string][]*eventv1.Event{}
	olders := map[string]int{}
	var all []*eventv1.Event
	spans := []time.Duration{time.Millisecond, time.Second, time.Hour, 90 * 24 * time.Hour}
	for kind, category := range categories {
		for n := range 60 {
			// Many share a millisecond.
			at := present().Add(-time.Duration(r.Int64N(int64(spans[n%len(spans)])))).Truncate(time.Millisecond)
			h := happening{
				tenant: []string{tenantA, tenantB}[n%2], id: recordID(n), category: category, at: at,
				properties: audited("Update user", "new@example.com"), clock: at.Add(time.Hour),
			}
			want[kind] = append(want[kind], h.event(t))
			h.properties, h.clock = audited("Update user", "old@example.com"), at
			// Events of kinds without an id in the record are told apart by the record: they have one version.
			if older := h.event(t); n%3 == 0 && older.GetId() == want[kind][n].GetId() {
				all = append(all, older)
				olders[kind]++
			}
		}
		all = append(all, want[kind]...)
		want[kind] = newestFirst(want[kind])
	}
	require.Equal(t, 20, olders["audit"])
	require.Equal(t, 20, olders["risky_user"])
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for chunk := range slices.Chunk(all, 97) {
		w.keep(t, chunk...)
	}
	for kind := range categories {
		for _, size := range []int32{0, 7, 60, 1000} {
			t.Run(fmt.Sprintf("%s in pages of %d", kind, size), func(t *testing.T) {
				sameEvents(t, want[kind], w.searchEvents(t, &controlv1.SearchEventsRequest{Kind: kind, PageSize: size}))
			})
		}
	}
	t.Run("an older version matches no more", func(t *testing.T) {
		require.Empty(t, w.searchEvents(t, &controlv1.SearchEventsRequest{Kind: "audit", User: "old@example.com"}))
	})
	t.Run("between two times", func(t *testing.T) {
		first, last := want["audit"][40].GetOccurredAt().AsTime(), want["audit"][15].GetOccurredAt().AsTime()
		var between []*eventv1.Event
		for _, e := range want["audit"] {
			if at := e.GetOccurredAt().AsTime(); !at.Before(first) && at.Before(last) {
				between = append(between, e)
			}
		}
		sameEvents(t, between, w.searchEvents(t, &controlv1.SearchEventsRequest{
			Kind: "audit", PageSize: 4, Start: timestamppb.New(first), End: timestamppb.New(last),
		}))
	})
}

func TestFiltersOfEvents(t *testing.T) {
	w := newWorld(t)
	at := func(minutes int) time.Time { return present().Add(time.Duration(minutes) * time.Minute) }
	group := map[string]any{"id": "Group-Id", "type": "Group", "displayName": "Staff"}
	eve := map[string]any{"id": "Eve-Id", "type": "User", "userPrincipalName": "Eve@Example.com"}
	risk := func(user, id string) map[string]any {
		return map[string]any{"userPrincipalName": user, "userId": id, "riskLevel": "high", "activity": "signin"}
	}
	for _, h := range []happening{
		{id: "1", category: "AuditLogs", at: at(1), properties: audited("Add member to group", "Ada@Example.com", eve, group)},
		{id: "2", category: "AuditLogs", at: at(2), properties: audited("Update user", "bob@example.com", eve)},
		{id: "3", category: "AuditLogs", at: at(3), tenant: tenantB, properties: audited("Update user", "ada@example.com", group)},
		{id: "4", category: "CustomSecurityAttributeAuditLogs", at: at(3), properties: audited("Add attribute set", "ada@example.com")},
		{id: "5", category: "UserRiskEvents", at: at(4), properties: risk("Eve@Example.com", "Eve-Id")},
		{id: "6", category: "UserRiskEvents", at: at(5), properties: risk("ada@example.com", "ada-id")},
		{id: "7", category: "ServicePrincipalRiskEvents", at: at(6), properties: map[string]any{"servicePrincipalId": "eve-id"}},
		{id: "eve-id", category: "RiskyUsers", at: at(7), properties: risk("eve@example.com", "eve-id")},
		{id: "9", category: "ProvisioningLogs", at: at(8), properties: map[string]any{"provisioningAction": "create"}},
		{id: "10", category: "MicrosoftGraphActivityLogs", at: at(9)},
	} {
		w.keep(t, h.event(t))
	}
	w.insert(t, record{id: "signin", at: at(10), user: "eve@example.com"}.event(t))
	time := func(minutes int) *timestamppb.Timestamp { return timestamppb.New(at(minutes)) }
	type request = controlv1.SearchEventsRequest
	for name, tc := range map[string]struct {
		req  *request
		want []int // minutes
	}{
		"audits":              {&request{Kind: "audit"}, []int{3, 2, 1}},
		"attribute audits":    {&request{Kind: "custom_security_attribute_audit"}, []int{3}},
		"risk detections":     {&request{Kind: "risk_detection"}, []int{5, 4}},
		"of principals":       {&request{Kind: "service_principal_risk_detection"}, []int{6}},
		"risky users":         {&request{Kind: "risky_user"}, []int{7}},
		"provisioning":        {&request{Kind: "provisioning"}, []int{8}},
		"another kind":        {&request{Kind: "graph_activity"}, []int{9}},
		"no such kind":        {&request{Kind: "audits"}, nil},
		"tenant":              {&request{Kind: "audit", TenantIds: []string{strings.ToUpper(tenantB)}}, []int{3}},
		"initiator":           {&request{Kind: "audit", User: "ADA@example.com"}, []int{3, 1}},
		"initiator by id":     {&request{Kind: "audit", User: "ID-OF-BOB"}, nil},
		"target":              {&request{Kind: "audit", User: "eve@example.com"}, []int{2, 1}},
		"target by id":        {&request{Kind: "audit", User: "EVE-id"}, []int{2, 1}},
		"other audits' user":  {&request{Kind: "custom_security_attribute_audit", User: "ada@example.com"}, []int{3}},
		"risk by name":        {&request{Kind: "risk_detection", User: "eve@EXAMPLE.com"}, []int{4}},
		"risk by id":          {&request{Kind: "risk_detection", User: "EVE-ID"}, []int{4}},
		"risky user by id":    {&request{Kind: "risky_user", User: "EVE-ID"}, []int{7}},
		"nobody":              {&request{Kind: "risky_user", User: "ada@example.com"}, nil},
		"activity":            {&request{Kind: "audit", Activity: "update USER"}, []int{3, 2}},
		"part of an activity": {&request{Kind: "audit", Activity: "update"}, nil},
		"times":               {&request{Kind: "audit", Start: time(1), End: time(3)}, []int{2, 1}},
		"no time at all":      {&request{Kind: "audit", Start: time(2), End: time(2)}, nil},
		"several": {
			&request{Kind: "audit", User: "ada@example.com", Activity: "Update user", TenantIds: []string{tenantA, tenantB}}, []int{3},
		},
		"a statement": {&request{Kind: "audit", User: "') OR 1=1 --", Activity: "{user:String}"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			for _, e := range w.searchEvents(t, tc.req) {
				require.Equal(t, tc.req.GetKind(), e.GetKind())
				got = append(got, int(e.GetOccurredAt().AsTime().Sub(present()).Minutes()))
			}
			require.Equal(t, tc.want, got)
		})
	}
	t.Run("raw", func(t *testing.T) {
		answer, err := controlv1.NewEventServiceClient(w.conn).SearchEvents(t.Context(), &request{Kind: "provisioning"})
		require.NoError(t, err)
		require.Len(t, answer.GetEvents(), 1)
		require.Empty(t, answer.GetEvents()[0].GetRaw())
	})
}

func TestWrongSearchesOfEventsAreRefused(t *testing.T) {
	w := newWorld(t)
	for n := range 3 {
		h := happening{id: recordID(n), category: "AuditLogs", at: present().Add(time.Duration(n) * time.Hour), properties: audited("Update user", "ada@example.com")}
		w.keep(t, h.event(t))
		w.insert(t, record{id: recordID(n), at: h.at}.event(t))
	}
	client := controlv1.NewEventServiceClient(w.conn)
	type request = controlv1.SearchEventsRequest
	answer, err := client.SearchEvents(t.Context(), &request{Kind: "audit", PageSize: 1})
	require.NoError(t, err)
	token := answer.GetNextPageToken()
	require.NotEmpty(t, token)
	again, err := client.SearchEvents(t.Context(), &request{Kind: "audit", PageSize: 2, PageToken: token, IncludeRaw: true})
	require.NoError(t, err, "size and raw may change from page to page")
	require.Len(t, again.GetEvents(), 2)
	signIns, err := controlv1.NewSignInServiceClient(w.conn).SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{PageSize: 1})
	require.NoError(t, err)

	const otherFilter = "page_token: belongs to another filter: ask for the first page, or use the filter it came with"
	for name, tc := range map[string]struct {
		req  *request
		want string
	}{
		"no kind":                  {&request{}, "the request is not valid"},
		"kind in another spelling": {&request{Kind: "Audit"}, "the request is not valid"},
		"sign-ins":                 {&request{Kind: "signin"}, "kind: sign-ins are searched with SignInService.SearchSignIns, at /v1/sign-ins"},
		"user of provisioning":     {&request{Kind: "provisioning", User: "ada@example.com"}, "user: only events of the kinds audit, "},
		"user of another kind":     {&request{Kind: "graph_activity", User: "ada"}, "user: only events of the kinds audit, "},
		"activity of a risk":       {&request{Kind: "risk_detection", Activity: "signin"}, "activity: only events of the kinds audit and "},
		"times": {
			&request{Kind: "audit", Start: timestamppb.New(present()), End: timestamppb.New(present().Add(-time.Second))},
			"start: must not be after end",
		},
		"no time":      {&request{Kind: "audit", End: &timestamppb.Timestamp{Nanos: -1}}, "end: "},
		"page":         {&request{Kind: "audit", PageSize: 1001}, "the request is not valid"},
		"token":        {&request{Kind: "audit", PageToken: "B" + token[1:]}, "page_token: must be next_page_token of an answer, unchanged"},
		"other filter": {&request{Kind: "audit", User: "ada@example.com", PageToken: token}, otherFilter},
		"other kind":   {&request{Kind: "risky_user", PageToken: token}, otherFilter},
		"of sign-ins":  {&request{Kind: "audit", PageToken: signIns.GetNextPageToken()}, otherFilter},
		"not a token":  {&request{Kind: "audit", PageToken: "' OR 1=1 --"}, "page_token: must be next_page_token of an answer, unchanged"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.SearchEvents(t.Context(), tc.req)
			require.Equal(t, codes.InvalidArgument, status.Code(err))
			require.ErrorContains(t, err, tc.want)
		})
	}
	_, err = controlv1.NewSignInServiceClient(w.conn).SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{PageToken: token})
	require.ErrorContains(t, err, otherFilter)
}

func TestEventsOfTheCallersTenants(t *testing.T) {
	w := newWorld(t)
	for n, tenant := range []string{tenantA, tenantB, tenantA} {
		w.keep(t, happening{tenant: tenant, id: recordID(n), category: "AuditLogs", at: present().Add(time.Duration(n) * time.Hour)}.event(t))
	}
	made := w.tokenFor(t, &controlv1.ApiToken{Role: controlv1.Role_ROLE_READ_ONLY, TenantIds: []string{tenantA}})
	limited := controlv1.NewEventServiceClient(w.dial(t, made.GetSecret()))
	first, err := limited.SearchEvents(t.Context(), &controlv1.SearchEventsRequest{Kind: "audit", PageSize: 1})
	require.NoError(t, err)
	second, err := limited.SearchEvents(t.Context(), &controlv1.SearchEventsRequest{Kind: "audit", PageSize: 1, PageToken: first.GetNextPageToken()})
	require.NoError(t, err)
	require.Empty(t, second.GetNextPageToken())
	require.Equal(t, []string{recordID(2), recordID(0)}, ids(slices.Concat(first.GetEvents(), second.GetEvents())))
	_, err = limited.SearchEvents(t.Context(), &controlv1.SearchEventsRequest{Kind: "audit", TenantIds: []string{tenantA, tenantB}})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	everyones, err := controlv1.NewEventServiceClient(w.conn).SearchEvents(t.Context(), &controlv1.SearchEventsRequest{Kind: "audit", PageSize: 1})
	require.NoError(t, err)
	_, err = limited.SearchEvents(t.Context(), &controlv1.SearchEventsRequest{Kind: "audit", PageToken: everyones.GetNextPageToken()})
	require.Equal(t, codes.InvalidArgument, status.Code(err), "a page token opens no tenants")
	require.Positive(t, w.metric(t, "search_queries_total"))
}

// A record that the decoder does not read any more is shown as far as it goes, with the kind it had.
func TestUndecodableEventsAreShownBare(t *testing.T) {
	w := newWorld(t)
	bad := happening{id: "1", category: "CustomSecurityAttributeAuditLogs", at: present()}.event(t)
	bad.Raw = []byte(`{"no": "record"`)
	w.keep(t, bad)
	bare := proto.CloneOf(bad)
	bare.Payload, bare.SourceId = nil, ""
	sameEvents(t, []*eventv1.Event{bare}, w.searchEvents(t, &controlv1.SearchEventsRequest{Kind: "custom_security_attribute_audit"}))
	require.InDelta(t, 1, w.metric(t, "undecodable_rows_total"), 0)
}
