package tenant_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// large is a tenant of a million users with ten million sign-ins of users.
func large(tb testing.TB) *tenant.Tenant {
	tb.Helper()
	return newTenant(tb, func(c *tenant.Config) {
		c.Users, c.Days = 1_000_000, 30
		c.Rates = tenant.Rates{Audits: 0.01, ServicePrincipal: 0.01, RiskDetections: 0.0001, RiskyUsers: 0.0001}
		c.Counts = map[string]uint64{tenant.Interactive: 2_500_000, tenant.NonInteractive: 7_500_000}
	})
}

// BenchmarkPage reads pages of 1,000 records from a large tenant, from its end on.
func BenchmarkPage(b *testing.B) {
	tn := large(b)
	q := tenant.Query{From: tn.Start(), To: end()}
	for _, log := range tenant.Logs() {
		b.Run(log, func(b *testing.B) {
			var after tenant.Position
			records, bytes, begin := 0, 0, cpu(b)
			for b.Loop() {
				page, next, done := tn.Page(log, q, after, 1000)
				records += len(page)
				for _, r := range page {
					bytes += len(r.JSON)
				}
				if after = next; done {
					after = tenant.Position{}
				}
			}
			// Of processor time, garbage collection included: a busy machine does not change it much.
			b.ReportMetric(float64(records)/(cpu(b)-begin).Seconds(), "records/cpu-s")
			b.ReportMetric(float64(bytes)/float64(max(1, records)), "B/record")
		})
	}
}

// cpu is the processor time that this process has used.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTruth counts ten million sign-ins, with every slot counted record by record where some are late.
func BenchmarkTruth(b *testing.B) {
	for name, share := range map[string]float64{"prompt": 0, "late": 0.02} {
		b.Run(name, func(b *testing.B) {
			tn := large(b)
			cfg := tn.Config()
			cfg.Late.Share = share
			tn, err := tenant.New(cfg)
			require.NoError(b, err)
			for b.Loop() {
				require.Greater(b, tn.Truth(tenant.Query{To: end()})[tenant.NonInteractive], uint64(7_400_000))
			}
		})
	}
}

// BenchmarkIDs iterates the ids of ten million sign-ins.
func BenchmarkIDs(b *testing.B) {
	tn := large(b)
	for b.Loop() {
		n := 0
		for range tn.IDs(tenant.NonInteractive, tenant.Query{To: end()}) {
			n++
		}
		require.Greater(b, n, 7_400_000)
	}
}

// TestLargeTenantsTakeLittleMemory pages through a large tenant at many places and looks at the heap.
func TestLargeTenantsTakeLittleMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	tn := large(t)
	for day := range 30 {
		at := end().AddDate(0, 0, -day)
		for _, log := range tenant.Logs() {
			_, _, _ = tn.Page(log, tenant.Query{From: tn.Start(), To: at.Add(-time.Hour)}, tenant.Position{}, 1000)
		}
	}
	require.Equal(t, uint64(10_000_000), sum(tn.Truth(tenant.Query{}), tenant.Interactive, tenant.NonInteractive)/10_000*10_000)
	require.Less(t, int64(heap())-int64(before), int64(10<<20))
	runtime.KeepAlive(tn)
}

func sum(counts map[string]uint64, logs ...string) (n uint64) {
	for _, log := range logs {
		n += counts[log]
	}
	return n
}
