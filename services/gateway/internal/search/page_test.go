package search

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/decode"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

// filterOf returns a filter on a text and tenants, of which some may be left out.
func filterOf(kind, name, value string, tenants ...string) *Filter {
	f := NewFilter(kind)
	f.AddTenants(tenants)
	if name != "" {
		f.Add("x = {"+name+":String}", clickhouse.Named(name, value))
	}
	return f
}

func TestTimesRoundUpToMilliseconds(t *testing.T) {
	second := time.Unix(1_700_000_000, 0)
	f := NewFilter(decode.KindSignIn)
	require.NoError(t, f.Between("filter.", timestamppb.New(second), timestamppb.New(second.Add(time.Nanosecond))))
	from, to := f.Bounds()
	require.Equal(t, second.UnixMilli(), from)
	require.Equal(t, second.UnixMilli()+1, to)
}

// A kind is looked for where its events are stored, and kinds that share a table are told apart.
func TestEveryKindHasATable(t *testing.T) {
	stored := tables.NewEvents()
	decoder := decode.New(decode.DefaultLimits())
	for _, category := range []string{
		"SignInLogs", "NonInteractiveUserSignInLogs", "ServicePrincipalSignInLogs", "ManagedIdentitySignInLogs", "ADFSSignInLogs",
		"AuditLogs", "CustomSecurityAttributeAuditLogs", "ProvisioningLogs", "RiskyUsers", "UserRiskEvents",
		"RiskyServicePrincipals", "ServicePrincipalRiskEvents", "MicrosoftGraphActivityLogs", "B2CRequestLogs", "SomethingNewLogs",
	} {
		raw := `{"time": "2026-11-24T12:00:00Z", "category": "` + category + `", "tenantId": "t", "properties": {"id": "1", "userId": "u",
			"riskLastUpdatedDateTime": "2026-11-24T12:00:00Z"}}`
		event, err := decoder.HubRecord([]byte(raw), decode.Origin{Integration: "contoso", ObservedAt: time.Now(), Clock: time.Now()})
		require.NoError(t, err, category)
		f := NewFilter(event.GetKind())
		require.Equal(t, stored.For(event)[0].Name(), f.table, category)
		require.Equal(t, map[bool]string{true: "true", false: "kind = {kind:String}"}[event.GetKind() == decode.KindSignIn], f.SQL(), category)
		for name, statement := range map[string]string{"bounds": boundsQuery(f), "keys": keysQuery(f), "rows": rowsQuery(f)} {
			require.Contains(t, statement, " FROM "+f.table+" ", "%s of %s", name, category)
		}
	}
}

func newPages(tb testing.TB) pages {
	tb.Helper()
	codec, err := token.NewCodec(config.NewSecret("secret"), "page")
	require.NoError(tb, err)
	return pages{codec}
}

func TestAPageTokenKeepsItsPlaceAndItsFilter(t *testing.T) {
	p := newPages(t)
	f := filterOf("audit", "user", "ada@example.com", "a", "b")
	for _, want := range []cursor{{}, {at: -5}, {at: math.MaxInt64, id: strings.Repeat("f", 32)}} {
		got, err := p.cursor(f, p.token(f, want))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := p.cursor(filterOf("audit", "user", "ada@example.com", "b", "A"), p.token(f, cursor{at: 1}))
	require.NoError(t, err, "another spelling of the same filter")

	later := filterOf("audit", "user", "ada@example.com", "a", "b")
	require.NoError(t, later.Between("", nil, &timestamppb.Timestamp{}))
	for name, other := range map[string]*Filter{
		"everything":    NewFilter("audit"),
		"fewer":         filterOf("audit", "user", "ada@example.com"),
		"other tenants": filterOf("audit", "user", "ada@example.com", "a,b"),
		"other times":   later,
		"other field":   filterOf("audit", "app", "ada@example.com", "a", "b"),
		"other kind":    filterOf("risky_user", "user", "ada@example.com", "a", "b"),
	} {
		_, err := p.cursor(other, p.token(f, cursor{at: 1}))
		require.ErrorContains(t, err, "page_token: belongs to another filter", name)
	}
	_, err = p.cursor(NewFilter("one"), p.token(NewFilter("two"), cursor{at: 1}))
	require.ErrorContains(t, err, "page_token: belongs to another filter", "kinds of one table")
	for _, bad := range []string{"x", p.codec.Seal([]byte("short")), p.token(f, cursor{}) + "A"} {
		_, err := p.cursor(f, bad)
		require.ErrorContains(t, err, "page_token: must be next_page_token")
	}
}

func FuzzPageToken(f *testing.F) {
	p := newPages(f)
	all := NewFilter(decode.KindSignIn)
	f.Add(p.token(all, cursor{at: 1, id: "a"}))
	f.Add(p.token(NewFilter(decode.KindAudit), cursor{at: 1, id: "a"}))
	f.Add("")
	f.Fuzz(func(t *testing.T, pageToken string) {
		c, err := p.cursor(all, pageToken)
		if err == nil && p.token(all, c) != pageToken {
			t.Fatalf("%q reads as %+v, whose token is another", pageToken, c)
		}
	})
}
