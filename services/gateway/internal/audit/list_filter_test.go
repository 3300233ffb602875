package audit

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/telemetry"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

func nilMetrics() *telemetry.Metrics { return telemetry.NewMetrics(nil, "test") }

func newPages(tb testing.TB) pages {
	tb.Helper()
	codec, err := token.NewCodec(config.NewSecret("secret"), "audit page")
	require.NoError(tb, err)
	return pages{codec}
}

func TestConfig(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	require.EqualError(t, Config{}.Validate(),
		"query_timeout: must be at least 1s\nquery_memory: must be at least 64MiB\npage_bytes: must be positive")
}

func TestPageTokensBelongToTheirFilter(t *testing.T) {
	p := newPages(t)
	yes, no := true, false
	req, ofA := &controlv1.ListAuditEntriesRequest{Actor: "ada"}, scope{limited: true, visible: []string{tenantA}}
	f, err := compile(req, ofA)
	require.NoError(t, err)
	want := cursor{at: 1_793_491_200_123, id: "näme \"x\"\n"}
	sealed := p.token(&f, want)
	// The size of pages may change on the way, and tenants may be named in another order.
	for _, visible := range [][]string{{tenantA}, {tenantA, tenantA}} {
		again, err := compile(&controlv1.ListAuditEntriesRequest{Actor: "ada", PageSize: 9}, scope{limited: true, visible: visible})
		require.NoError(t, err)
		got, err := p.cursor(&again, sealed)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for name, other := range map[string]struct {
		req *controlv1.ListAuditEntriesRequest
		scope
	}{
		"every tenant":        {req, scope{}},
		"more tenants":        {req, scope{limited: true, visible: []string{tenantA, tenantB}}},
		"asked, not visible":  {req, scope{wanted: []string{tenantA}}},
		"asked":               {req, scope{true, []string{tenantA}, []string{tenantA}}},
		"another actor":       {&controlv1.ListAuditEntriesRequest{Actor: "bob"}, ofA},
		"target, not actor":   {&controlv1.ListAuditEntriesRequest{Target: "ada"}, ofA},
		"action, not actor":   {&controlv1.ListAuditEntriesRequest{Action: "ada"}, ofA},
		"no actor":            {&controlv1.ListAuditEntriesRequest{}, ofA},
		"failed":              {&controlv1.ListAuditEntriesRequest{Actor: "ada", Failed: &yes}, ofA},
		"not failed":          {&controlv1.ListAuditEntriesRequest{Actor: "ada", Failed: &no}, ofA},
		"start":               {&controlv1.ListAuditEntriesRequest{Actor: "ada", Start: &timestamppb.Timestamp{Seconds: 5}}, ofA},
		"end":                 {&controlv1.ListAuditEntriesRequest{Actor: "ada", End: &timestamppb.Timestamp{Seconds: 5}}, ofA},
		"tenants in the text": {&controlv1.ListAuditEntriesRequest{Actor: "ada\"\nvisible"}, scope{}},
	} {
		g, err := compile(other.req, other.scope)
		require.NoError(t, err)
		_, err = p.cursor(&g, sealed)
		require.ErrorContains(t, err, "page_token: belongs to another filter", name)
	}
	elsewhere, err := token.NewCodec(config.NewSecret("secret"), "directory page")
	require.NoError(t, err)
	flipped := []byte(sealed)
	flipped[30] ^= 1
	for name, bad := range map[string]string{
		"made up": "x", "too short": p.codec.Seal([]byte("short")), "longer": sealed + "A", "shorter": sealed[:len(sealed)-1],
		"changed": string(flipped), "for another use": pages{elsewhere}.token(&f, want),
	} {
		_, err := p.cursor(&f, bad)
		require.ErrorContains(t, err, "page_token: must be next_page_token", name)
	}
}

func FuzzAuditPageToken(f *testing.F) {
	p := newPages(f)
	all, err := compile(&controlv1.ListAuditEntriesRequest{}, scope{})
	require.NoError(f, err)
	f.Add(p.token(&all, cursor{at: 1, id: "a"}))
	f.Add(p.token(&all, cursor{}))
	f.Add("")
	f.Fuzz(func(t *testing.T, pageToken string) {
		c, err := p.cursor(&all, pageToken)
		if err == nil && p.token(&all, c) != pageToken {
			t.Fatalf("%q reads as %+v, whose token is another", pageToken, c)
		}
	})
}

func FuzzAuditFilter(f *testing.F) {
	f.Add("ada", "UserService-GetUser", "users/1", tenantA, int64(0), int64(5), true)
	f.Add("'; DROP TABLE audit_log; --", "{action:String}", "\x00", "']", int64(9), int64(5), false)
	f.Fuzz(func(t *testing.T, actor, action, target, tenant string, start, end int64, failed bool) {
		compiled, err := compile(&controlv1.ListAuditEntriesRequest{
			Actor: "a" + actor, Action: "a" + action, Target: "a" + target, Failed: &failed,
			Start: &timestamppb.Timestamp{Seconds: start}, End: &timestamppb.Timestamp{Seconds: end},
		}, scope{true, []string{tenant}, []string{tenant}})
		if err != nil {
			if _, ok := errors.AsType[*failure.InvalidError](err); !ok {
				t.Fatalf("compile returned a %T", err)
			}
			return
		}
		// The statement never depends on what is in a filter, only on what is set.
		want := strings.Join([]string{afterSQL, visibleSQL, tenantsSQL, actorSQL, actionSQL, targetSQL, failedSQL, startSQL, endSQL}, " AND ")
		if compiled.sql() != want {
			t.Fatalf("a value reached the statement: %s", compiled.sql())
		}
	})
}
