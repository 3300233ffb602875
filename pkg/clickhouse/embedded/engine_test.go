package embedded_test

import (
	"context"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"
)

func TestRoundTrip(t *testing.T) {
	start := time.Now()
	engine := openEngine(t)
	t.Logf("open %v", time.Since(start))
	conn := connect(t, engine)
	ctx := t.Context()
	require.NoError(t, conn.Ping(ctx))
	t.Logf("first query %v", time.Since(start))
	require.NoError(t, conn.Exec(ctx, "CREATE DATABASE x"))
	require.NoError(t, conn.Exec(ctx, "CREATE TABLE x.t (a UInt64, s LowCardinality(String), d DateTime64(3,'UTC'), arr Array(String), n Nullable(String)) ENGINE = MergeTree ORDER BY a"))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO x.t")
	require.NoError(t, err)
	now := time.UnixMilli(1700000000123).UTC()
	for i := range 1000 {
		require.NoError(t, batch.Append(uint64(i), "s", now, []string{"a", "b"}, nil))
	}
	require.NoError(t, batch.Send())
	var n uint64
	require.NoError(t, conn.QueryRow(ctx, "SELECT count() FROM x.t WHERE s = {v:String}", clickhouse.Named("v", "s")).Scan(&n))
	require.Equal(t, uint64(1000), n)
	var d time.Time
	require.NoError(t, conn.QueryRow(ctx, "SELECT d FROM x.t WHERE a = ?", 5).Scan(&d))
	require.Equal(t, now, d)
	err = conn.Exec(ctx, "SELECT * FROM nope")
	var ex *clickhouse.Exception
	require.ErrorAs(t, err, &ex)
	require.Equal(t, int32(60), ex.Code)

	cctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	start = time.Now()
	err = conn.QueryRow(cctx, "SELECT sum(sipHash64(number)) FROM numbers(100000000000)").Scan(&n)
	require.Error(t, err)
	t.Logf("cancelled %v %v", time.Since(start), err)
	start = time.Now()
	require.NoError(t, conn.QueryRow(ctx, "SELECT count() FROM system.processes").Scan(&n))
	t.Log(n, time.Since(start))
}
