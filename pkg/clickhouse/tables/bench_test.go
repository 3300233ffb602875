package tables_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// BenchmarkAppend is this side's work for one row, columns that keep their memory.
func BenchmarkAppend(b *testing.B) {
	world := tablestest.NewWorld(time.Hour)
	rows := rowsOf(world.SignIns(8192)...)
	table := tables.NewEvents().For(rows[0].Message)[0]
	var into []column.Interface
	for _, c := range table.Columns() {
		col, err := column.Type(c.Type).Column(c.Name, &column.ServerContext{})
		require.NoError(b, err)
		into = append(into, col)
	}
	appender := table.Appender()
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range into {
			c.Reset()
		}
		require.NoError(b, appender.Append(into, rows))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}

// BenchmarkInsert is the whole way from events into the embedded engine, its merges included.
func BenchmarkInsert(b *testing.B) {
	for _, size := range []int{100, 2000, 8192, 16384} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			conn := migrated(b)
			world := tablestest.NewWorld(time.Second)
			table := tables.NewEvents().For(world.SignIn())[0]
			inserter := tables.NewInserter(conn, table)
			rows := rowsOf(world.SignIns(size)...)
			require.NoError(b, inserter.Insert(b.Context(), rows))
			used := processTime(b)
			for n := 0; b.Loop(); n++ {
				renew(rows, n)
				require.NoError(b, inserter.Insert(b.Context(), rows))
			}
			b.StopTimer()
			waitForMerges(b, conn)
			done := float64(b.N * size)
			b.ReportMetric(done/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64((processTime(b)-used).Microseconds())/done, "cpu-µs/row")
		})
	}
}

// renew makes other events of the rows, so that merges have to keep them all.
func renew(rows []tables.Row[*eventv1.Event], round int) {
	for i, row := range rows {
		row.Message.Id = fmt.Sprintf("%016x%016x", round, i*0x9e3779b97f4a7c1)
		row.Message.OccurredAt.Seconds++
	}
}

// waitForMerges waits until the engine sees nothing to merge.
func waitForMerges(b *testing.B, conn driver.Conn) {
	b.Helper()
	idle := 0
	require.Eventually(b, func() bool {
		var running uint64
		require.NoError(b, conn.QueryRow(b.Context(), "SELECT count() FROM system.merges").Scan(&running))
		idle++
		if running > 0 {
			idle = 0
		}
		return idle > 10
	}, time.Minute, 50*time.Millisecond)
}

// processTime is the CPU time that this process has used.
func processTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
