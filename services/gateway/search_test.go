package gateway_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway"
)

// search returns all pages of a search, each of at most size.
func (w *world) search(t *testing.T, filter *controlv1.SignInFilter, size int32) []*eventv1.Event {
	t.Helper()
	client := controlv1.NewSignInServiceClient(w.conn)
	req := &controlv1.SearchSignInsRequest{Filter: filter, PageSize: size, IncludeRaw: true}
	var found []*eventv1.Event
	for pages := 0; ; pages++ {
		require.Less(t, pages, 10_000, "paging does not end")
		answer, err := client.SearchSignIns(t.Context(), req)
		require.NoError(t, err)
		if size > 0 {
			require.LessOrEqual(t, len(answer.GetSignIns()), int(size))
		}
		found = append(found, answer.GetSignIns()...)
		if answer.GetNextPageToken() == "" {
			return found
		}
		require.NotEqual(t, req.GetPageToken(), answer.GetNextPageToken(), "a page must go on")
		req.PageToken = answer.GetNextPageToken()
	}
}

// newestFirst is the order of a search.
func newestFirst(events []*eventv1.Event) []*eventv1.Event {
	return slices.SortedFunc(slices.Values(events), func(a, b *eventv1.Event) int {
		return cmp.Or(b.GetOccurredAt().AsTime().Compare(a.GetOccurredAt().AsTime()), cmp.Compare(b.GetId(), a.GetId()))
	})
}

func sameEvents(t *testing.T, want, got []*eventv1.Event) {
	t.Helper()
	require.Empty(t, gocmp.Diff(want, got, protocmp.Transform()))
}

func ids(events []*eventv1.Event) []string {
	names := make([]string, 0, len(events))
	for _, e := range events {
		names = append(names, e.GetSourceId())
	}
	return names
}

// Whatever the times and the pages: each sign-in comes once, the newest version of it, newest first.
func TestPagesAreComplete(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(7, 7))
	var want, older []*eventv1.Event
	spans := []time.Duration{time.Millisecond, time.Second, time.Hour, 24 * time.Hour, 200 * 24 * time.Hour}
	for n := range 200 {
		// Many share a millisecond, some lie in the future, and some a long time back.
		at := present().Add(-time.Duration(r.Int64N(int64(spans[r.IntN(len(spans))])))).Truncate(time.Millisecond)
		if n%50 == 0 {
			at = time.Now().Add(time.Duration(n+1) * time.Hour).UTC().Truncate(time.Millisecond)
		}
		rec := record{tenant: []string{tenantA, tenantB}[n%2], id: recordID(n), at: at, user: "old@example.com"}
		if n%3 == 0 {
			rec.user = "ada@example.com"
			older = append(older, record{tenant: rec.tenant, id: rec.id, at: at, user: "older@example.com", enqueued: at.Add(-time.Hour)}.event(t))
		}
		want = append(want, rec.event(t))
	}
	shuffled := append(slices.Clone(want), older...)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for chunk := range slices.Chunk(shuffled, 97) {
		w.insert(t, chunk...)
	}
	want = newestFirst(want)
	for _, size := range []int32{0, 9, 200, 1000} {
		t.Run(fmt.Sprint("pages of ", size), func(t *testing.T) { sameEvents(t, want, w.search(t, nil, size)) })
	}
	t.Run("filtered", func(t *testing.T) {
		var ada []*eventv1.Event
		for _, e := range want {
			if e.GetTenantId() == tenantB && e.GetSignIn().GetUserPrincipalName() == "ada@example.com" {
				ada = append(ada, e)
			}
		}
		filter := &controlv1.SignInFilter{TenantIds: []string{tenantB}, User: "ada@example.com"}
		sameEvents(t, ada, w.search(t, filter, 13))
	})
	t.Run("an older version matches no more", func(t *testing.T) {
		require.Empty(t, w.search(t, &controlv1.SignInFilter{User: "older@example.com"}, 10))
	})
	t.Run("between two times", func(t *testing.T) {
		first, last := want[150].GetOccurredAt().AsTime(), want[50].GetOccurredAt().AsTime()
		var between []*eventv1.Event
		for _, e := range want {
			if at := e.GetOccurredAt().AsTime(); !at.Before(first) && at.Before(last) {
				between = append(between, e)
			}
		}
		filter := &controlv1.SignInFilter{Start: timestamppb.New(first), End: timestamppb.New(last)}
		sameEvents(t, between, w.search(t, filter, 23))
	})
}

func TestFilters(t *testing.T) {
	w := newWorld(t)
	at := func(minutes int) time.Time { return present().Add(time.Duration(minutes) * time.Minute) }
	const guid = "AbCdEf00-1111-4222-8333-444455556666"
	for _, rec := range []record{
		{id: "1", at: at(1), user: "Ada.Lund@Example.com", userID: guid, app: "App-One", ip: "203.0.113.7", country: "CH"},
		{id: "2", at: at(2), user: "bob@example.com", userID: "b", app: "app-two", ip: "203.0.113.200", country: "us", code: 50126},
		{id: "3", at: at(3), tenant: tenantB, user: "cleo@example.com", userID: "c", ip: "2001:db8::7", country: "US", code: 50074},
		{id: "4", at: at(4), category: "ServicePrincipalSignInLogs", servicePrincipal: "Sp-Object", app: "app-sp", ip: "10.0.0.1", country: "DE"},
		{id: "5", at: at(5), category: "ManagedIdentitySignInLogs", servicePrincipal: "mi-object", app: "app-mi", code: 700016},
		{id: "6", at: at(6), category: "NonInteractiveUserSignInLogs", user: `o'b"r\ie` + "n\t@example.com", userID: "o", ip: "198.51.100.1", country: "FR"},
	} {
		w.insert(t, rec.event(t))
	}
	time := func(minutes int) *timestamppb.Timestamp { return timestamppb.New(at(minutes)) }
	cases := map[string]struct {
		filter *controlv1.SignInFilter
		want   []string
	}{
		"none":               {nil, []string{"6", "5", "4", "3", "2", "1"}},
		"tenant":             {&controlv1.SignInFilter{TenantIds: []string{strings.ToUpper(tenantB)}}, []string{"3"}},
		"two tenants":        {&controlv1.SignInFilter{TenantIds: []string{tenantB, tenantA}}, []string{"6", "5", "4", "3", "2", "1"}},
		"unknown tenant":     {&controlv1.SignInFilter{TenantIds: []string{"nobody"}}, nil},
		"user name":          {&controlv1.SignInFilter{User: "ADA.lund@example.COM"}, []string{"1"}},
		"user id":            {&controlv1.SignInFilter{User: strings.ToUpper(guid)}, []string{"1"}},
		"user id as written": {&controlv1.SignInFilter{User: guid}, []string{"1"}},
		"odd user":           {&controlv1.SignInFilter{User: `O'B"R\IE` + "N\t@example.com"}, []string{"6"}},
		"no such user":       {&controlv1.SignInFilter{User: "ada"}, nil},
		"app":                {&controlv1.SignInFilter{App: "app-one"}, []string{"1"}},
		"service principal":  {&controlv1.SignInFilter{App: "SP-OBJECT"}, []string{"4"}},
		"address":            {&controlv1.SignInFilter{Ip: "203.0.113.7"}, []string{"1"}},
		"mapped address":     {&controlv1.SignInFilter{Ip: "::ffff:203.0.113.7"}, []string{"1"}},
		"network":            {&controlv1.SignInFilter{Ip: "203.0.113.0/24"}, []string{"2", "1"}},
		"half a network":     {&controlv1.SignInFilter{Ip: "203.0.113.128/25"}, []string{"2"}},
		"every IPv4":         {&controlv1.SignInFilter{Ip: "0.0.0.0/0"}, []string{"6", "4", "2", "1"}},
		"IPv6 network":       {&controlv1.SignInFilter{Ip: "2001:db8::/32"}, []string{"3"}},
		"every address":      {&controlv1.SignInFilter{Ip: "::/0"}, []string{"6", "4", "3", "2", "1"}},
		"countries":          {&controlv1.SignInFilter{Countries: []string{"us", "de"}}, []string{"4", "3", "2"}},
		"success":            {&controlv1.SignInFilter{Outcome: controlv1.SignInOutcome_SIGN_IN_OUTCOME_SUCCESS}, []string{"6", "4", "1"}},
		"failure":            {&controlv1.SignInFilter{Outcome: controlv1.SignInOutcome_SIGN_IN_OUTCOME_FAILURE}, []string{"5", "2"}},
		"interrupted":        {&controlv1.SignInFilter{Outcome: controlv1.SignInOutcome_SIGN_IN_OUTCOME_INTERRUPTED}, []string{"3"}},
		"error codes":        {&controlv1.SignInFilter{ErrorCodes: []int64{50126, 700016}}, []string{"5", "2"}},
		"types": {&controlv1.SignInFilter{Types: []eventv1.SignInType{
			eventv1.SignInType_SIGN_IN_TYPE_SERVICE_PRINCIPAL, eventv1.SignInType_SIGN_IN_TYPE_MANAGED_IDENTITY,
		}}, []string{"5", "4"}},
		"from is inclusive, to is not": {&controlv1.SignInFilter{Start: time(2), End: time(5)}, []string{"4", "3", "2"}},
		"no time at all":               {&controlv1.SignInFilter{Start: time(2), End: time(2)}, nil},
		"before everything":            {&controlv1.SignInFilter{End: time(1)}, nil},
		"after everything":             {&controlv1.SignInFilter{Start: time(7)}, nil},
		"several": {&controlv1.SignInFilter{
			TenantIds: []string{tenantA}, Ip: "203.0.113.0/24", Countries: []string{"US"}, ErrorCodes: []int64{50126},
		}, []string{"2"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := ids(w.search(t, tc.filter, 0))
			if len(tc.want) == 0 {
				require.Empty(t, got)
				return
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestRawIsLeftOutUnlessAskedFor(t *testing.T) {
	w := newWorld(t)
	event := record{id: "1", at: present(), user: "ada@example.com"}.event(t)
	w.insert(t, event)
	sameEvents(t, []*eventv1.Event{event}, w.search(t, nil, 0))
	answer, err := controlv1.NewSignInServiceClient(w.conn).SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{})
	require.NoError(t, err)
	bare := proto.CloneOf(event)
	bare.Raw = nil
	sameEvents(t, []*eventv1.Event{bare}, answer.GetSignIns())
	require.Empty(t, answer.GetNextPageToken())
}

// Statements in values stay values.
func TestStatementsInEveryField(t *testing.T) {
	w := newWorld(t)
	w.insert(t, record{id: "1", at: present(), user: "ada@example.com"}.event(t))
	client := controlv1.NewSignInServiceClient(w.conn)
	for _, text := range []string{
		`' OR 1=1 --`, `') OR (1=1`, `\' OR 1=1 --`, `{user:String}`, `'; DROP TABLE sign_ins; --`, "`", `"`, `\N`, `NULL`,
		"\x00", "tab\there", "line\nend", `[1,2]`, `a','b`, `%`, `*`, "\u2028", `\\`, `\x27`, `/* */`,
	} {
		for name, filter := range map[string]*controlv1.SignInFilter{
			"tenant": {TenantIds: []string{text}}, "user": {User: text}, "app": {App: text},
		} {
			answer, err := client.SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{Filter: filter})
			require.NoError(t, err, "%s %q", name, text)
			require.Empty(t, answer.GetSignIns(), "%s %q", name, text)
		}
		for name, req := range map[string]*controlv1.SearchSignInsRequest{
			"filter.ip":           {Filter: &controlv1.SignInFilter{Ip: text}},
			"filter.countries[0]": {Filter: &controlv1.SignInFilter{Countries: []string{text}}},
			"page_token":          {PageToken: text},
		} {
			_, err := client.SearchSignIns(t.Context(), req)
			require.Equal(t, codes.InvalidArgument, status.Code(err), "%s %q: %v", name, text, err)
		}
	}
	require.Len(t, w.search(t, nil, 0), 1)
}

func TestTamperedPageTokensAreRefused(t *testing.T) {
	w := newWorld(t)
	for n := range 3 {
		w.insert(t, record{id: recordID(n), at: present().Add(time.Duration(n) * time.Hour)}.event(t))
	}
	client := controlv1.NewSignInServiceClient(w.conn)
	filter := &controlv1.SignInFilter{TenantIds: []string{tenantA}}
	answer, err := client.SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{Filter: filter, PageSize: 1})
	require.NoError(t, err)
	token := answer.GetNextPageToken()
	require.NotEmpty(t, token)

	again, err := client.SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{
		Filter: filter, PageSize: 2, PageToken: token, IncludeRaw: true,
	})
	require.NoError(t, err, "size and raw may change from page to page")
	require.Len(t, again.GetSignIns(), 2)

	other := newWorld(t)
	cases := map[string]struct {
		conn *world
		req  *controlv1.SearchSignInsRequest
		want string
	}{
		"changed": {
			w, &controlv1.SearchSignInsRequest{Filter: filter, PageToken: "B" + token[1:]},
			"page_token: must be next_page_token of an answer, unchanged",
		},
		"another filter": {
			w, &controlv1.SearchSignInsRequest{PageToken: token},
			"page_token: belongs to another filter: ask for the first page, or use the filter it came with",
		},
		"another gateway": {
			other, &controlv1.SearchSignInsRequest{Filter: filter, PageToken: token},
			"page_token: must be next_page_token of an answer, unchanged",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := controlv1.NewSignInServiceClient(tc.conn.conn).SearchSignIns(t.Context(), tc.req)
			require.Equal(t, codes.InvalidArgument, status.Code(err))
			require.Equal(t, tc.want, status.Convert(err).Message())
			bad, ok := status.Convert(err).Details()[1].(*errdetails.BadRequest)
			require.True(t, ok)
			violations := bad.GetFieldViolations()
			require.Equal(t, tc.want, violations[0].GetField()+": "+violations[0].GetDescription())
		})
	}
}

func TestPagesAreBoundedInBytes(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Search.PageBytes = 2000; c.Search.FetchRows = 3 })
	var want []*eventv1.Event
	for n := range 20 {
		want = append(want, record{id: recordID(n), at: present().Add(time.Duration(n%4) * time.Hour), user: "ada@example.com"}.event(t))
	}
	w.insert(t, want...)
	answer, err := controlv1.NewSignInServiceClient(w.conn).SearchSignIns(t.Context(),
		&controlv1.SearchSignInsRequest{IncludeRaw: true, PageSize: 20})
	require.NoError(t, err)
	require.Less(t, len(answer.GetSignIns()), 5)
	require.NotEmpty(t, answer.GetSignIns())
	sameEvents(t, newestFirst(want), w.search(t, nil, 20))
}

func TestAnEmptyStoreHasNoSignIns(t *testing.T) {
	require.Empty(t, newWorld(t).search(t, nil, 0))
}

// A record that the decoder does not read any more is shown as far as it goes, and hides no other.
func TestUndecodableRowsAreShownBare(t *testing.T) {
	w := newWorld(t)
	good, bad := record{id: "1", at: present()}.event(t), record{id: "2", at: present().Add(time.Second)}.event(t)
	bad.Raw = []byte(`{"no": "record"`)
	w.insert(t, good, bad)
	bare := proto.CloneOf(bad)
	bare.Payload, bare.SourceId = nil, ""
	sameEvents(t, []*eventv1.Event{bare, good}, w.search(t, nil, 0))
}
