package embedded_test

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
)

// peakRSS returns the greatest memory of this process in MiB since resetPeak.
func peakRSS(t *testing.T) int {
	t.Helper()
	file, err := os.Open("/proc/self/status")
	require.NoError(t, err)
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.Fields(value)[0])
			require.NoError(t, err)
			return kib >> 10
		}
	}
	t.Fatal("no VmHWM in /proc/self/status")
	return 0
}

func resetPeak(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
}

// An answer of 800 MB passes through without being held anywhere.
func TestLargeAnswerIsStreamed(t *testing.T) {
	engine := openEngine(t)
	local, remote := connect(t, engine), dial(t, serve(t, engine))
	require.NoError(t, local.Ping(t.Context()))
	for name, conn := range map[string]driver.Conn{"in process": local, "http": remote} {
		t.Run(name, func(t *testing.T) {
			resetPeak(t)
			before := peakRSS(t)
			const rows, size = 800_000, 1000
			stream, err := conn.QueryFormat(t.Context(), "RowBinary", "SELECT repeat('x', 998) FROM numbers(800000)")
			require.NoError(t, err)
			read, err := io.Copy(io.Discard, stream)
			require.NoError(t, err)
			require.NoError(t, stream.Close())
			require.EqualValues(t, rows*size, read)
			grown := peakRSS(t) - before
			t.Logf("peak grew by %d MiB for %d MiB", grown, read>>20)
			require.Less(t, grown, 500)
		})
	}
}
