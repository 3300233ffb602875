package tenant_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// end is the end of the tests' histories: a Tuesday noon.
func end() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// newTenant makes a tenant of 300 users and 10 days, changed by differ.
func newTenant(tb testing.TB, differ func(*tenant.Config)) *tenant.Tenant {
	tb.Helper()
	cfg := tenant.DefaultConfig()
	cfg.Seed, cfg.Users, cfg.Days, cfg.End = 7, 300, 10, end()
	cfg.Rates.RiskDetections, cfg.Rates.RiskyUsers = 0.05, 0.1
	if differ != nil {
		differ(&cfg)
	}
	t, err := tenant.New(cfg)
	require.NoError(tb, err)
	return t
}

// all reads a log in pages of limit.
func all(tb testing.TB, t *tenant.Tenant, log string, q tenant.Query, limit int) []tenant.Record {
	tb.Helper()
	var (
		records []tenant.Record
		after   tenant.Position
	)
	for {
		page, next, done := t.Page(log, q, after, limit)
		require.LessOrEqual(tb, len(page), limit)
		require.True(tb, done || len(page) > 0, "an empty page that is not the last")
		records = append(records, page...)
		if done {
			return records
		}
		// The position survives as text.
		text, err := next.MarshalText()
		require.NoError(tb, err)
		require.Less(tb, len(text), 24)
		after = tenant.Position{}
		require.NoError(tb, after.UnmarshalText(text))
	}
}

func ids(records []tenant.Record) []string {
	list := make([]string, 0, len(records))
	for _, r := range records {
		list = append(list, r.ID)
	}
	return list
}

// requireSame compares records. cmp and DeepEqual take seconds for as many bytes.
func requireSame(tb testing.TB, want, got []tenant.Record) {
	tb.Helper()
	require.Len(tb, got, len(want))
	for i := range want {
		if want[i].ID != got[i].ID || !want[i].At.Equal(got[i].At) || !bytes.Equal(want[i].JSON, got[i].JSON) {
			require.Equal(tb, string(want[i].JSON), string(got[i].JSON), "record %d: %s, %s", i, want[i].ID, got[i].ID)
			require.Equal(tb, want[i], got[i])
		}
	}
}

func TestSameConfigSameBytes(t *testing.T) {
	one, two, other := newTenant(t, nil), newTenant(t, nil), newTenant(t, func(c *tenant.Config) { c.Seed++ })
	require.Equal(t, one.ID(), two.ID())
	require.NotEqual(t, one.ID(), other.ID())
	q := tenant.Query{To: end()}
	for _, log := range tenant.Logs() {
		a, b, c := all(t, one, log, q, 1000), all(t, two, log, q, 1000), all(t, other, log, q, 1000)
		require.NotEmpty(t, a, log)
		requireSame(t, a, b)
		mine := map[string]bool{}
		for _, r := range a {
			mine[r.ID] = true
		}
		for _, r := range c {
			require.False(t, mine[r.ID], "%s: the seeds share id %s", log, r.ID)
		}
	}
	require.Empty(t, cmp.Diff(one.Incidents(), two.Incidents()))
}

func TestIDsAreUniqueOverAllLogs(t *testing.T) {
	tn := newTenant(t, nil)
	seen := map[string]string{}
	for _, log := range tenant.Logs() {
		for id := range tn.IDs(log, tenant.Query{To: end()}) {
			require.Empty(t, seen[id], "%s of %s", id, log)
			seen[id] = log
		}
	}
}

// TestPagesTruthAndIDsAgree draws windows, limits, seeds and lateness at random.
func TestPagesTruthAndIDsAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 25 {
		tn := newTenant(t, func(c *tenant.Config) {
			c.Seed = r.Uint64()
			c.Users = 100 + r.IntN(400)
			c.Days = 1 + r.IntN(9)
			c.Scale = []float64{0.01, 0.3, 1, 4}[r.IntN(4)]
			c.Incidents = r.IntN(3) > 0
			if r.IntN(2) == 0 {
				c.Late = tenant.Late{Share: r.Float64(), Max: 3 * time.Hour, Changing: r.Float64()}
			}
		})
		from := end().Add(-time.Duration(r.Int64N(int64(9 * 24 * time.Hour))))
		q := tenant.Query{From: from, To: from.Add(time.Duration(r.Int64N(int64(60 * time.Hour))))}
		q.At = q.To.Add(time.Duration(r.Int64N(int64(6*time.Hour))) - time.Hour)
		truth := tn.Truth(q)
		require.Len(t, truth, len(tenant.Logs()))
		for _, log := range tenant.Logs() {
			whole := all(t, tn, log, q, 1_000_000)
			requireSame(t, whole, all(t, tn, log, q, 1+r.IntN(300)))
			require.Equal(t, ids(whole), append([]string{}, slices.Collect(tn.IDs(log, q))...), log)
			require.Equal(t, uint64(len(whole)), truth[log], log)
			requireNewestFirst(t, q, whole)
		}
	}
}

func requireNewestFirst(t *testing.T, q tenant.Query, records []tenant.Record) {
	t.Helper()
	seen := map[string]bool{}
	for i, one := range records {
		require.False(t, seen[one.ID], "twice: %s", one.ID)
		seen[one.ID] = true
		require.False(t, one.At.Before(q.From) || one.At.After(q.To) || one.At.After(q.At))
		require.True(t, i == 0 || !one.At.After(records[i-1].At))
	}
}

func TestBoundsAreInclusiveToTheTick(t *testing.T) {
	tn := newTenant(t, nil)
	q := tenant.Query{From: end().Add(-2 * time.Hour), To: end()}
	for _, r := range all(t, tn, tenant.Interactive, q, 1000)[:20] {
		at := tenant.Query{From: r.At, To: r.At}
		require.Contains(t, ids(all(t, tn, tenant.Interactive, at, 10)), r.ID)
		for _, q := range []tenant.Query{
			{From: r.At.Add(time.Nanosecond), To: end()}, {From: tn.Start(), To: r.At.Add(-time.Nanosecond)},
		} {
			require.NotContains(t, slices.Collect(tn.IDs(tenant.Interactive, q)), r.ID)
		}
	}
}

func TestCountsAreExactAndLifeGoesOn(t *testing.T) {
	tn := newTenant(t, func(c *tenant.Config) {
		c.Incidents = false
		c.Counts = map[string]uint64{tenant.Interactive: 12_345, tenant.Audit: 0}
	})
	history := tn.Truth(tenant.Query{From: tn.Start(), To: end().Add(-time.Nanosecond)})
	require.Equal(t, uint64(12_345), history[tenant.Interactive])
	require.Zero(t, history[tenant.Audit])
	after := tn.Truth(tenant.Query{From: end(), To: end().Add(10 * 24 * time.Hour)})
	require.InDelta(t, 12_345, float64(after[tenant.Interactive]), 3000)
	require.Equal(t, history, tn.Truth(tenant.Query{}), "without bounds the history is meant")
}

func TestNothingHappensAfterStop(t *testing.T) {
	stop := end().Add(-36 * time.Hour)
	alive, stopped := newTenant(t, nil), newTenant(t, func(c *tenant.Config) { c.Stop = stop })
	q := tenant.Query{At: end().Add(240 * time.Hour)}
	require.Equal(t, alive.Truth(tenant.Query{At: stop.Add(-100)}), stopped.Truth(q))
	require.Equal(t, stopped.Truth(tenant.Query{To: end(), At: end()}), stopped.Truth(q))
}

func TestSomeRecordsShareATime(t *testing.T) {
	tn := newTenant(t, func(c *tenant.Config) { c.Scale = 5 })
	last, shared := time.Time{}, 0
	for _, r := range all(t, tn, tenant.NonInteractive, tenant.Query{To: end()}, 100_000) {
		if r.At.Equal(last) {
			shared++
		}
		last = r.At
	}
	require.Positive(t, shared)
}

func TestLookupFindsEveryRecord(t *testing.T) {
	tn := newTenant(t, func(c *tenant.Config) { c.Late = tenant.Late{Share: 0.2, Max: time.Hour, Changing: 0.2} })
	q := tenant.Query{To: end()}
	for _, log := range tenant.Logs() {
		for _, r := range all(t, tn, log, q, 700) {
			found, ok := tn.Lookup(log, r.ID, q)
			require.True(t, ok, "%s %s", log, r.ID)
			requireSame(t, []tenant.Record{r}, []tenant.Record{found})
			for _, other := range tenant.Logs() {
				if other != log {
					_, ok = tn.Lookup(other, r.ID, q)
					require.False(t, ok, "%s found in %s", r.ID, other)
				}
			}
		}
		for _, id := range []string{"", "x", "00000000-0000-4000-8000-000000000000", tn.ID()} {
			_, ok := tn.Lookup(log, id, q)
			require.False(t, ok)
		}
	}
	_, ok := tn.Lookup("other", "x", q)
	require.False(t, ok)
}

func TestValidateNamesEveryFault(t *testing.T) {
	cfg := tenant.Config{
		ID: "x", ClientID: "y", Users: -1, Days: 0, Licence: "gold", Scale: -1, Incidents: true,
		Rates: tenant.Rates{Audits: -1}, Late: tenant.Late{Share: 2, Changing: -1, Max: 4 * time.Hour},
		Counts: map[string]uint64{"other": 1},
	}
	err := cfg.Validate()
	for _, key := range []string{
		"id", "client_id", "users", "days", "end", "licence", "scale", "rates.audits", "late.share", "late.changing", "late.max", "counts",
	} {
		require.ErrorContains(t, err, key+":")
	}
	_, err = tenant.New(cfg)
	require.Error(t, err)
	cfg = tenant.DefaultConfig()
	cfg.End, cfg.Days, cfg.Counts = end(), 1, map[string]uint64{tenant.Audit: 1 << 40}
	require.ErrorContains(t, cfg.Validate(), "a second")
}

func TestJSONIsValid(t *testing.T) {
	tn := newTenant(t, func(c *tenant.Config) { c.Late.Changing, c.Scale = 0.5, 0.3 })
	for _, log := range tenant.Logs() {
		for _, r := range all(t, tn, log, tenant.Query{To: end()}, 1000) {
			require.True(t, json.Valid(r.JSON), "%s", r.JSON)
			require.NotContains(t, string(r.JSON), "\n")
		}
		for _, record := range tn.HubRecords(log, tenant.Query{To: end()}) {
			require.True(t, json.Valid(record), "%s", record)
		}
	}
}

func TestConcurrentReadersSeeTheSame(t *testing.T) {
	tn := newTenant(t, nil)
	want := all(t, tn, tenant.Interactive, tenant.Query{}, 500)
	results := make(chan []tenant.Record)
	const readers = 8
	for i := range readers {
		go func() {
			var (
				got   []tenant.Record
				after tenant.Position
			)
			for done := false; !done; {
				var page []tenant.Record
				page, after, done = tn.Page(tenant.Interactive, tenant.Query{}, after, 100+i)
				got = append(got, page...)
			}
			results <- got
		}()
	}
	for range readers {
		requireSame(t, want, <-results)
	}
}

func TestWriteTruth(t *testing.T) {
	tn := newTenant(t, nil)
	var out bytes.Buffer
	q := tenant.Query{To: end()}
	require.NoError(t, tn.WriteTruth(&out, q, map[string]uint64{"users": 7}))
	var truth struct {
		TenantID  string `json:"tenant_id"`
		Counts    map[string]uint64
		Incidents []tenant.Incident
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &truth))
	require.Equal(t, tn.ID(), truth.TenantID)
	require.Equal(t, tn.Truth(q), truth.Counts)
	require.Empty(t, cmp.Diff(tn.Incidents(), truth.Incidents))
}
