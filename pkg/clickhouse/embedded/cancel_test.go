package embedded_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
)

// endless keeps both its start-up and its first block busy for hours.
const endless = "SELECT sum(sipHash64(number)) FROM numbers(10000000000000)"

// soon is what ending a statement may take. An idle machine needs some 20 ms.
const soon = 5 * time.Second

// running counts the statements in the engine other than this one.
func running(t *testing.T, conn driver.Conn) uint64 {
	t.Helper()
	var count uint64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT toUInt64(count() - 1) FROM system.processes").Scan(&count))
	return count
}

func TestCancelledStatementEnds(t *testing.T) {
	engine := openEngine(t)
	local := connect(t, engine)
	remote := dial(t, serve(t, engine))
	require.NoError(t, local.Exec(t.Context(), "CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a"))
	for name, conn := range map[string]driver.Conn{"in process": local, "http": remote} {
		for kind, run := range map[string]func(context.Context) error{
			"busy select": func(ctx context.Context) error { return conn.Exec(ctx, endless) },
			"busy insert": func(ctx context.Context) error {
				return conn.Exec(ctx, "INSERT INTO t SELECT toString(sum(sipHash64(number))) FROM numbers(10000000000000)")
			},
			"show": func(ctx context.Context) error { return conn.Exec(ctx, "SELECT 1 FROM ("+endless+") FORMAT JSON") },
			"open insert": func(ctx context.Context) error {
				return conn.InsertFormat(ctx, "TSV", "INSERT INTO t (a)", stalled{ctx})
			},
			"full of rows": func(ctx context.Context) error {
				return readAll(ctx, conn, "SELECT number FROM numbers(10000000000000)")
			},
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- run(ctx) }()
				require.Eventually(t, func() bool { return running(t, local) == 1 }, 20*time.Second, 10*time.Millisecond)
				start := time.Now()
				cancel()
				require.Error(t, <-ended)
				require.Eventually(t, func() bool { return running(t, local) == 0 }, soon, 10*time.Millisecond)
				t.Logf("ended after %v", time.Since(start))
			})
		}
	}
	var count uint64
	require.NoError(t, local.QueryRow(t.Context(), "SELECT count() FROM t").Scan(&count))
	require.Zero(t, count)
}

// stalled is a body that has rows until its sender falls silent.
type stalled struct{ ctx context.Context } //nolint:containedctx // as short as the request

func (s stalled) Read(p []byte) (int, error) {
	<-s.ctx.Done()
	return copy(p, "row\n"), s.ctx.Err()
}

func readAll(ctx context.Context, conn driver.Conn, sql string) error {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

func TestWaitingForAConnectionObeysContext(t *testing.T) {
	engine := openEngine(t, func(c *embedded.Config) { c.Connections = 1 })
	conn := connect(t, engine)
	busy, cancelBusy := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	require.NoError(t, conn.Ping(t.Context())) // the client's own hello
	other := connect(t, engine)
	require.NoError(t, other.Ping(t.Context()))
	go func() { ended <- conn.Exec(busy, endless) }()
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var err error
	for err == nil { // until the other one has the connection
		err = other.Exec(short, "SELECT 1")
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	cancelBusy()
	require.Error(t, <-ended)
	require.NoError(t, other.Ping(t.Context()))
}

// A reader that leaves early stops the statement too.
func TestClosedAnswerEndsStatement(t *testing.T) {
	engine := openEngine(t)
	conn := connect(t, engine)
	stream, err := conn.QueryFormat(t.Context(), "RowBinary", "SELECT number FROM numbers(10000000000000)")
	require.NoError(t, err)
	_, err = io.ReadFull(stream, make([]byte, 1<<20))
	require.NoError(t, err)
	require.EqualValues(t, 1, running(t, conn))
	require.NoError(t, stream.Close())
	require.Eventually(t, func() bool { return running(t, conn) == 0 }, soon, 10*time.Millisecond)
}
