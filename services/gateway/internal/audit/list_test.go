package audit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// Whatever the times, the parts and the pages: each entry comes once, newest first, as it was published.
func TestPagesAreComplete(t *testing.T) {
	conn := stored(t)
	r := rand.New(rand.NewPCG(7, 7))
	spans := []time.Duration{time.Millisecond, time.Second, time.Hour, 200 * 24 * time.Hour}
	var want []*controlv1.AuditEntry
	for n := range 300 {
		e := tablestest.FilledAuditEntry()
		// Ids are in no order of time; many share a millisecond, and some lie in the future.
		e.Id = fmt.Sprintf("%08x", r.Uint32())
		e.Time = timestamppb.New(noon().Add(-time.Duration(r.Int64N(int64(spans[r.IntN(len(spans))])))).Truncate(time.Millisecond))
		if n%50 == 0 {
			e.Time = timestamppb.New(noon().AddDate(n/50, 0, 0))
		}
		e.TenantId, e.TenantIds = "", nil
		want = append(want, e)
	}
	shuffled := append(slices.Clone(want), want[:120]...) // some were delivered twice
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for chunk := range slices.Chunk(shuffled, 97) {
		insert(t, conn, chunk...)
	}
	want = newestOf(want)
	client := serve(t, conn, everybody)
	for _, size := range []int32{0, 9, 300, 1000} {
		t.Run(fmt.Sprint("pages of ", size), func(t *testing.T) {
			same(t, want, list(t, client, &controlv1.ListAuditEntriesRequest{PageSize: size}))
		})
	}
	t.Run("between two times", func(t *testing.T) {
		first, last := want[250].GetTime(), want[40].GetTime()
		var between []*controlv1.AuditEntry
		for _, e := range want {
			if at := e.GetTime().AsTime(); !at.Before(first.AsTime()) && at.Before(last.AsTime()) {
				between = append(between, e)
			}
		}
		require.NotEmpty(t, between)
		same(t, between, list(t, client, &controlv1.ListAuditEntriesRequest{Start: first, End: last, PageSize: 60}))
	})
	t.Run("no page is larger than it may be", func(t *testing.T) {
		small := serve(t, conn, everybody, func(c *Config) { c.PageBytes = config.Bytes(5 * proto.Size(want[0])) })
		answer, err := small.ListAuditEntries(t.Context(), &controlv1.ListAuditEntriesRequest{PageSize: 1000})
		require.NoError(t, err)
		require.InDelta(t, 5, len(answer.GetAuditEntries()), 1)
		same(t, want, list(t, small, &controlv1.ListAuditEntriesRequest{PageSize: 1000}))
	})
}

func TestFilters(t *testing.T) {
	yes, no := true, false
	at := func(minutes int) *timestamppb.Timestamp {
		return timestamppb.New(noon().Add(time.Duration(minutes) * time.Minute))
	}
	const odd = "O'Brien \"x\"\\ \t\nÄ{actor:String}"
	client := serve(t, stored(t,
		entry("1", 1, func(e *controlv1.AuditEntry) {
			e.Actor, e.ActorDisplayName, e.TenantId = "Ada@Example.com", "Ada Lund", tenantA
		}),
		entry("2", 2, func(e *controlv1.AuditEntry) { e.Actor, e.Action = "bob", "DirectoryService-ListGroups" }),
		entry("3", 3, func(e *controlv1.AuditEntry) {
			e.Action, e.Code, e.Target = "IntegrationService-CreateIntegration", "NOT_FOUND", "integrations/contoso"
		}),
		entry("4", 4, func(e *controlv1.AuditEntry) { e.Actor, e.Code = odd, "PERMISSION_DENIED" }),
		entry("5", 5, func(e *controlv1.AuditEntry) {
			e.TenantIds, e.Target = []string{tenantA, tenantB}, "Integrations/Contoso"
		}),
		entry("6", 6, func(e *controlv1.AuditEntry) {
			e.Action, e.ActorDisplayName = "DirectoryServiceOther-GetUser", "ÉLODIE"
		}),
	), everybody)
	for name, tc := range map[string]struct {
		req  *controlv1.ListAuditEntriesRequest
		want string
	}{
		"none":                    {&controlv1.ListAuditEntriesRequest{}, "654321"},
		"actor":                   {&controlv1.ListAuditEntriesRequest{Actor: "ada@EXAMPLE.com"}, "1"},
		"display name":            {&controlv1.ListAuditEntriesRequest{Actor: "ADA LUND"}, "1"},
		"name beyond ASCII":       {&controlv1.ListAuditEntriesRequest{Actor: "élodie"}, "6"},
		"odd actor":               {&controlv1.ListAuditEntriesRequest{Actor: strings.ToLower(odd)}, "4"},
		"part of an actor":        {&controlv1.ListAuditEntriesRequest{Actor: "ada"}, ""},
		"service":                 {&controlv1.ListAuditEntriesRequest{Action: "DirectoryService"}, "5421"},
		"method":                  {&controlv1.ListAuditEntriesRequest{Action: "DirectoryService-ListGroups"}, "2"},
		"beginning of a service":  {&controlv1.ListAuditEntriesRequest{Action: "Directory"}, ""},
		"beginning of a method":   {&controlv1.ListAuditEntriesRequest{Action: "DirectoryService-List"}, ""},
		"target":                  {&controlv1.ListAuditEntriesRequest{Target: "integrations/contoso"}, "3"},
		"failed":                  {&controlv1.ListAuditEntriesRequest{Failed: &yes}, "43"},
		"not failed":              {&controlv1.ListAuditEntriesRequest{Failed: &no}, "6521"},
		"tenant":                  {&controlv1.ListAuditEntriesRequest{TenantIds: []string{strings.ToUpper(tenantA)}}, "51"},
		"one of several tenants":  {&controlv1.ListAuditEntriesRequest{TenantIds: []string{tenantB, tenantC}}, "5"},
		"unknown tenant":          {&controlv1.ListAuditEntriesRequest{TenantIds: []string{"nobody"}}, ""},
		"start in, end not":       {&controlv1.ListAuditEntriesRequest{Start: at(2), End: at(5)}, "432"},
		"start after a time":      {&controlv1.ListAuditEntriesRequest{Start: &timestamppb.Timestamp{Seconds: at(2).GetSeconds(), Nanos: 1}}, "6543"},
		"the beginning of time":   {&controlv1.ListAuditEntriesRequest{Start: &timestamppb.Timestamp{Seconds: -62_135_596_800}}, "654321"},
		"before there were times": {&controlv1.ListAuditEntriesRequest{End: &timestamppb.Timestamp{Seconds: -62_135_596_800}}, ""},
		"the end of time":         {&controlv1.ListAuditEntriesRequest{End: &timestamppb.Timestamp{Seconds: 253_402_300_799}}, "654321"},
		"after the end":           {&controlv1.ListAuditEntriesRequest{Start: &timestamppb.Timestamp{Seconds: 253_402_300_799}}, ""},
		"no time at all":          {&controlv1.ListAuditEntriesRequest{Start: at(2), End: at(2)}, ""},
		"several": {&controlv1.ListAuditEntriesRequest{
			TenantIds: []string{tenantA}, Actor: "ada lund", Action: "DirectoryService", Failed: &no, Start: at(0), End: at(9),
		}, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, strings.Join(ids(list(t, client, tc.req)), ""))
		})
	}
	for field, req := range map[string]*controlv1.ListAuditEntriesRequest{
		"start: must not be after end":    {Start: at(2), End: at(1)},
		"start: must be a valid time":     {Start: &timestamppb.Timestamp{Nanos: -1}},
		"end: must be a valid time":       {End: &timestamppb.Timestamp{Seconds: 1 << 60}},
		"page_token: must be next_page_t": {PageToken: "made-up"},
	} {
		_, err := client.ListAuditEntries(t.Context(), req)
		require.Equal(t, codes.InvalidArgument, status.Code(err), field)
		require.ErrorContains(t, err, field)
	}
}

// Who is admin of some tenants sees what is about these alone, whatever is asked for.
func TestCallersSeeTheirTenants(t *testing.T) {
	conn := stored(t,
		entry("a", 1, func(e *controlv1.AuditEntry) { e.TenantId = tenantA }),
		entry("b", 2, func(e *controlv1.AuditEntry) { e.TenantId = tenantB }),
		entry("c", 3, func(e *controlv1.AuditEntry) { e.TenantId = tenantC }),
		entry("ab", 4, func(e *controlv1.AuditEntry) { e.TenantIds = []string{tenantA, tenantB} }),
		entry("bc", 5, func(e *controlv1.AuditEntry) { e.TenantIds = []string{tenantB, tenantC} }),
		entry("none", 6),
		// No writer says both; who does is taken at every word.
		entry("a and c", 7, func(e *controlv1.AuditEntry) { e.TenantId, e.TenantIds = tenantA, []string{tenantC} }),
	)
	ofA := grpcserver.Identity{Subject: "a", Tenants: []string{tenantA}}
	for name, tc := range map[string]struct {
		caller  grpcserver.Identity
		tenants []string
		want    []string
		code    codes.Code
	}{
		"every tenant":               {everybody, nil, []string{"a and c", "none", "bc", "ab", "c", "b", "a"}, codes.OK},
		"every tenant, one asked":    {everybody, []string{tenantC}, []string{"a and c", "bc", "c"}, codes.OK},
		"one tenant":                 {ofA, nil, []string{"a"}, codes.OK},
		"one tenant, by name":        {ofA, []string{strings.ToUpper(tenantA)}, []string{"a"}, codes.OK},
		"two tenants":                {ofAAndB, nil, []string{"ab", "b", "a"}, codes.OK},
		"two tenants, one asked":     {ofAAndB, []string{tenantA}, []string{"ab", "a"}, codes.OK},
		"another's":                  {ofA, []string{tenantB}, nil, codes.PermissionDenied},
		"own and another's":          {ofA, []string{tenantA, tenantB}, nil, codes.PermissionDenied},
		"of no tenant":               {grpcserver.Identity{Subject: "x"}, nil, nil, codes.PermissionDenied},
		"of no tenant, one by name":  {grpcserver.Identity{Subject: "x"}, []string{tenantA}, nil, codes.PermissionDenied},
		"of a tenant without a call": {grpcserver.Identity{Subject: "x", Tenants: []string{"other"}}, nil, nil, codes.OK},
		"of the tenant without name": {grpcserver.Identity{Subject: "x", Tenants: []string{""}}, nil, nil, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, conn, tc.caller)
			req := &controlv1.ListAuditEntriesRequest{TenantIds: tc.tenants, PageSize: 2}
			if tc.code != codes.OK {
				_, err := client.ListAuditEntries(t.Context(), req)
				require.Equal(t, tc.code, status.Code(err))
				return
			}
			require.Equal(t, tc.want, ids(list(t, client, req)))
		})
	}
}

// Statements in values stay values.
func TestStatementsInEveryField(t *testing.T) {
	conn := stored(t, entry("1", 1, func(e *controlv1.AuditEntry) { e.Actor, e.TenantId, e.Target = "ada", tenantA, "users/ada" }), entry("2", 2))
	client := serve(t, conn, everybody)
	before := list(t, client, &controlv1.ListAuditEntriesRequest{})
	require.Len(t, before, 2)
	var tablesBefore, tablesAfter uint64
	const countTables = "SELECT cityHash64(groupArray(tuple(name, total_rows))) FROM (SELECT name, total_rows FROM system.tables WHERE database = currentDatabase() ORDER BY name)"
	require.NoError(t, conn.QueryRow(t.Context(), countTables).Scan(&tablesBefore))
	for _, text := range []string{
		`' OR 1=1 --`, `') OR (1=1`, `\' OR 1=1 --`, `{actor:String}`, `'; DROP TABLE audit_log; --`, "`", `"`, `\N`, `NULL`,
		"\x00", "tab\there", "line\nend", `[1,2]`, `a','b`, `%`, `*`, "\u2028", `\\`, `\x27`, `/* */`, `OK`, `']) OR has(['`,
	} {
		for name, req := range map[string]*controlv1.ListAuditEntriesRequest{
			"tenant_ids": {TenantIds: []string{text}},
			"actor":      {Actor: text},
			"target":     {Target: text},
		} {
			answer, err := client.ListAuditEntries(t.Context(), req)
			require.NoError(t, err, "%s %q", name, text)
			require.Empty(t, answer.GetAuditEntries(), "%s %q", name, text)
		}
		// The rules of the request stop what is no action before; behind them it would be bound all the same.
		f, err := compile(&controlv1.ListAuditEntriesRequest{Action: text}, scope{limited: true, visible: []string{text}})
		require.NoError(t, err)
		found, err := NewServer(DefaultConfig(), Settings{Store: conn, Metrics: NewListMetrics(nilMetrics())}).query(t.Context(), &f, cursor{latest, text}, 10)
		require.NoError(t, err, "%q", text)
		require.Empty(t, found, "%q", text)
		if text != "NULL" && text != "OK" {
			_, err = client.ListAuditEntries(t.Context(), &controlv1.ListAuditEntriesRequest{Action: text})
			require.Equal(t, codes.InvalidArgument, status.Code(err), "action %q: %v", text, err)
		}
		_, err = client.ListAuditEntries(t.Context(), &controlv1.ListAuditEntriesRequest{PageToken: text})
		require.Equal(t, codes.InvalidArgument, status.Code(err), "page_token %q: %v", text, err)
	}
	same(t, before, list(t, client, &controlv1.ListAuditEntriesRequest{}))
	require.NoError(t, conn.QueryRow(t.Context(), countTables).Scan(&tablesAfter))
	require.Equal(t, tablesBefore, tablesAfter)
}

// failing is a store whose answer is an error.
type failing struct{ err error }

func (f failing) Query(context.Context, string, ...any) (driver.Rows, error) { return nil, f.err }

func TestStoresThatDoNotAnswer(t *testing.T) {
	for code, err := range map[codes.Code]error{
		codes.Unavailable:       errors.New("not open"),
		codes.ResourceExhausted: &clickhouse.Exception{Code: 241, Message: "memory of Ada"},
		codes.Internal:          &clickhouse.Exception{Code: 62, Message: "syntax of Ada"},
	} {
		_, got := serve(t, failing{err}, everybody).ListAuditEntries(t.Context(), &controlv1.ListAuditEntriesRequest{})
		require.Equal(t, code, status.Code(got))
		require.NotContains(t, got.Error(), "Ada")
	}
}

// bounds is a store that keeps by what the last statement was bounded.
type bounds struct {
	driver.Conn
	time   time.Duration
	memory uint64
}

func (b *bounds) Query(ctx context.Context, statement string, args ...any) (driver.Rows, error) {
	var seconds float64
	_, settings, _ := strings.Cut(statement, " SETTINGS ")
	const asked = "SELECT toFloat64(getSetting('max_execution_time')), toUInt64(getSetting('max_memory_usage')) SETTINGS "
	if err := b.QueryRow(ctx, asked+settings).Scan(&seconds, &b.memory); err != nil {
		return nil, err
	}
	b.time = time.Duration(seconds * float64(time.Second))
	return b.Conn.Query(ctx, statement, args...)
}

func TestStatementsAreBounded(t *testing.T) {
	store := &bounds{Conn: stored(t, entry("1", 1))}
	client := serve(t, store, everybody, func(c *Config) { c.QueryTimeout, c.QueryMemory = 7*time.Second, 100*config.MiB })
	require.Len(t, list(t, client, &controlv1.ListAuditEntriesRequest{}), 1)
	require.Equal(t, 7*time.Second, store.time)
	require.Equal(t, uint64(100*config.MiB), store.memory)
}
