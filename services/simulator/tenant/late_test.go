package tenant_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

func lateTenant(tb testing.TB) *tenant.Tenant {
	tb.Helper()
	return newTenant(tb, func(c *tenant.Config) { c.Late = tenant.Late{Share: 0.3, Max: 2 * time.Hour, Changing: 0.3} })
}

func asMap(records []tenant.Record) map[string]tenant.Record {
	m := map[string]tenant.Record{}
	for _, r := range records {
		m[r.ID] = r
	}
	return m
}

func TestLateRecordsAppearWithinMax(t *testing.T) {
	tn := lateTenant(t)
	to := end().Add(-24 * time.Hour)
	window := func(at time.Time) map[string]tenant.Record {
		return asMap(all(t, tn, tenant.Interactive, tenant.Query{From: to.Add(-12 * time.Hour), To: to, At: at}, 1000))
	}
	first, later, last := window(to), window(to.Add(2*time.Hour)), window(to.Add(100*time.Hour))
	require.Less(t, len(first), len(later))
	require.Len(t, last, len(later), "what is late appears within Max")
	for id := range first {
		require.Contains(t, later, id, "nothing disappears")
	}
	share := 0
	for id, r := range later {
		if _, prompt := tn.Lookup(tenant.Interactive, id, tenant.Query{At: r.At}); !prompt {
			share++
		}
	}
	require.InDelta(t, 0.3, float64(share)/float64(len(later)), 0.1)
}

func TestPositionsHoldWhileLateRecordsAppear(t *testing.T) {
	tn := lateTenant(t)
	q := tenant.Query{To: end(), At: end()}
	page, next, _ := tn.Page(tenant.Interactive, q, tenant.Position{}, 100)
	q.At = end().Add(3 * time.Hour)
	rest, _, _ := tn.Page(tenant.Interactive, q, next, 100_000)
	seen := asMap(page)
	for _, r := range rest {
		require.NotContains(t, seen, r.ID)
		require.False(t, r.At.After(page[len(page)-1].At))
	}
}

func TestRecordsChangeUnderTheSameID(t *testing.T) {
	tn := lateTenant(t)
	for _, log := range []string{tenant.Interactive, tenant.NonInteractive, tenant.RiskDetection} {
		window := tenant.Query{From: end().Add(-48 * time.Hour), To: end().Add(-24 * time.Hour), At: end().Add(-22 * time.Hour)}
		before := asMap(all(t, tn, log, window, 1000))
		window.At = end().Add(48 * time.Hour)
		after := asMap(all(t, tn, log, window, 1000))
		changed := 0
		for id, r := range before {
			if !bytes.Equal(r.JSON, after[id].JSON) {
				changed++
				a, b := graphEvent(t, tn, log, r.JSON), graphEvent(t, tn, log, after[id].JSON)
				require.Equal(t, a.GetId(), b.GetId())
				require.Equal(t, a.GetOccurredAt().AsTime(), b.GetOccurredAt().AsTime())
			}
		}
		require.Positive(t, changed, log)
	}
}

func TestHubsCarryLateAndChangedRecords(t *testing.T) {
	tn := lateTenant(t)
	q := tenant.Query{From: end().Add(-12 * time.Hour), To: end(), At: end().Add(48 * time.Hour)}
	last, deliveries, newest := time.Time{}, map[string]int{}, map[string][]byte{}
	for at, raw := range tn.HubRecords(tenant.Interactive, q) {
		require.False(t, at.Before(last), "deliveries in their order")
		require.False(t, at.After(q.At))
		last = at
		e := hubEvent(t, raw)
		require.Empty(t, e.GetNotes())
		deliveries[e.GetSourceId()]++
		newest[e.GetSourceId()] = raw
	}
	graph := all(t, tn, tenant.Interactive, q, 100_000)
	require.Len(t, deliveries, len(graph))
	twice := 0
	for _, r := range graph {
		e := graphEvent(t, tn, tenant.Interactive, r.JSON)
		require.LessOrEqual(t, deliveries[r.ID], 2)
		twice += deliveries[r.ID] - 1
		require.Equal(t, e.GetSignIn().String(), hubEvent(t, newest[r.ID]).GetSignIn().String(), "the last delivery is what Graph shows")
	}
	require.InDelta(t, 0.3, float64(twice)/float64(len(graph)), 0.1)
}

func TestRiskyUsersAreState(t *testing.T) {
	tn := newTenant(t, func(c *tenant.Config) { c.Rates.RiskyUsers = 0.3 })
	states := 0
	for range tn.HubRecords(tenant.RiskyUser, tenant.Query{To: end()}) {
		states++
	}
	for _, at := range []time.Time{end(), end().Add(-100 * time.Hour), end().Add(240 * time.Hour)} {
		records := all(t, tn, tenant.RiskyUser, tenant.Query{To: at}, 7)
		require.Len(t, asMap(records), len(records), "one state a user")
		require.Less(t, len(records), states)
		for _, r := range records {
			found, ok := tn.Lookup(tenant.RiskyUser, r.ID, tenant.Query{At: at})
			require.True(t, ok)
			requireSame(t, []tenant.Record{r}, []tenant.Record{found})
			require.GreaterOrEqual(t, tn.Find(tenant.Users, r.ID), 0)
		}
	}
}
