package sink_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	"github.com/entraflow/entraflow/services/sink"
)

// BenchmarkFromStream stores sign-ins of 1.1 KB that are in EVENTS already; NATS, sink and ClickHouse
// share the process. One iteration is one sign-in: run it with -benchtime 200000x or so.
func BenchmarkFromStream(b *testing.B) {
	w := newWorld(b)
	sign := tablestest.NewWorld(time.Hour)
	for left := b.N; left > 0; {
		n := min(left, 10_000)
		w.flood(b, sign.SignIns(n))
		left -= n
	}
	used := processTime(b)
	b.ResetTimer()
	w.start(b, func(c *sink.Config) { c.Batch = sink.DefaultConfig().Batch })
	w.stored(b)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64((processTime(b)-used).Microseconds())/float64(b.N), "cpu-µs/row")
}

// processTime is the CPU time that this process has used.
func processTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
