package clickhouse_test

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
	"github.com/entraflow/entraflow/pkg/clickhouse/migrations"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// row is a sign-in: some hundred columns and 1.1 KB of raw JSON.
type row = tables.Row[*eventv1.Event]

func signInTable(b *testing.B) (*clickhouse.Store, *tables.Inserter[*eventv1.Event]) {
	b.Helper()
	store := clickhousetest.New(b)
	require.NoError(b, clickhouse.Migrate(b.Context(), store.Conn(), migrations.Files, clickhouse.MigrateOptions{
		Schema: store.Schema(migrations.Settings{EventDays: 400, DeadLetterDays: 90}.Map()),
	}))
	return store, tables.NewInserter(store.Conn(), tables.NewEvents().For(tablestest.Filled("signin"))[0])
}

func signIns(n int) []row {
	rows := make([]row, n)
	for i, event := range tablestest.NewWorld(24 * time.Hour).SignIns(n) {
		rows[i] = row{Message: event, Sequence: uint64(i), StoredAt: tablestest.Start()}
	}
	return rows
}

// measure reports rows/s, the CPU of the whole process, merges included, and its greatest memory.
func measure(b *testing.B, rows int, run func()) {
	b.Helper()
	before := cpuSeconds(b)
	b.ResetTimer()
	run()
	b.StopTimer()
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric((cpuSeconds(b)-before)/float64(rows)*1e6, "cpu-s/Mrow")
	b.ReportMetric(rssMiB(b), "peak-MiB")
}

func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func rssMiB(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	require.NoError(b, err)
	return float64(kib) / 1024
}

// One inserter, one insert after the other, by batch size.
func BenchmarkInsert(b *testing.B) {
	rows := signIns(16384)
	for _, size := range []int{1024, 4096, 8192, 16384} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			_, inserter := signInTable(b)
			measure(b, b.N*size, func() {
				for i := range b.N {
					from := i * size % len(rows)
					require.NoError(b, inserter.Insert(b.Context(), rows[from:from+size]))
				}
			})
		})
	}
}
