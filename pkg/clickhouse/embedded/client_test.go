package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/config"
)

const typesTable = `CREATE TABLE types (
	a UInt64, s String, low LowCardinality(String), t DateTime64(3, 'UTC'), list Array(String),
	missing Nullable(String), yes Bool, ip IPv6, f FixedString(3), x Float64, m Map(String, UInt8)
) ENGINE = MergeTree ORDER BY a`

type typesRow struct {
	A       uint64           `ch:"a"`
	S       string           `ch:"s"`
	Low     string           `ch:"low"`
	T       time.Time        `ch:"t"`
	List    []string         `ch:"list"`
	Missing *string          `ch:"missing"`
	Yes     bool             `ch:"yes"`
	IP      netip.Addr       `ch:"ip"`
	F       string           `ch:"f"`
	X       float64          `ch:"x"`
	M       map[string]uint8 `ch:"m"`
}

// Every connection kind of clickhouse-go that a store may use speaks to the engine.
func TestClientRoundTrip(t *testing.T) {
	engine := openEngine(t)
	server := serve(t, engine)
	overHTTP := func(method clickhouse.CompressionMethod) driver.Conn {
		return dial(t, server, func(o *clickhouse.Options) { o.Compression = &clickhouse.Compression{Method: method} })
	}
	for name, conn := range map[string]driver.Conn{
		"in process": connect(t, engine),
		"http":       overHTTP(clickhouse.CompressionNone),
		"http lz4":   overHTTP(clickhouse.CompressionLZ4),
		"http zstd":  overHTTP(clickhouse.CompressionZSTD),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			require.NoError(t, conn.Exec(ctx, typesTable))
			defer func() { require.NoError(t, conn.Exec(ctx, "DROP TABLE types SYNC")) }()
			want := typesRow{
				A: 7, S: "naïve\n'\\", Low: "low", T: time.UnixMilli(1_700_000_000_123).UTC(), List: []string{"a", ""},
				Yes: true, IP: netip.MustParseAddr("2001:db8::1"), F: "abc", X: 1.5, M: map[string]uint8{"k": 1},
			}
			batch, err := conn.PrepareBatch(ctx, "INSERT INTO types")
			require.NoError(t, err)
			require.NoError(t, batch.AppendStruct(&want))
			require.NoError(t, batch.Send())
			var got []typesRow
			require.NoError(t, conn.Select(ctx, &got, "SELECT * FROM types WHERE s = {s:String}", clickhouse.Named("s", want.S)))
			require.Equal(t, []typesRow{want}, got)

			version, err := conn.ServerVersion()
			require.NoError(t, err)
			require.GreaterOrEqual(t, version.Version.Major, uint64(26))
			var none []typesRow
			require.NoError(t, conn.Select(ctx, &none, "SELECT * FROM types WHERE a = 0"))
			require.Empty(t, none)
		})
	}
}

func TestErrorsHaveCodes(t *testing.T) {
	conn := connect(t, openEngine(t, func(c *embedded.Config) { c.MaxStatementMemory = 64 * config.MiB }))
	ctx := t.Context()
	require.NoError(t, conn.Exec(ctx, "CREATE TABLE t (a UInt8, CONSTRAINT small CHECK a < 10) ENGINE = MergeTree ORDER BY a"))
	for name, tc := range map[string]struct {
		run  func() error
		code int32
	}{
		"unknown table":  {func() error { return conn.Exec(ctx, "SELECT * FROM nowhere") }, 60},
		"syntax":         {func() error { return conn.Exec(ctx, "SELEC 1") }, 62},
		"two statements": {func() error { return conn.Exec(ctx, "SELECT 1; SELECT 2") }, 62},
		"unknown setting": {func() error {
			return conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"no_such": 1})), "SELECT 1")
		}, 115},
		"unknown database": {func() error {
			return conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"database": "no_such"})), "SELECT 1")
		}, 81},
		"constraint": {func() error {
			batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
			require.NoError(t, err)
			require.NoError(t, batch.Append(uint8(11)))
			return batch.Send()
		}, 469},
		"after the first blocks": {func() error {
			rows, err := conn.Query(ctx, "SELECT throwIf(number = 3000000) FROM numbers(10000000) SETTINGS max_threads = 1")
			require.NoError(t, err)
			defer rows.Close()
			for rows.Next() {
			}
			return rows.Err()
		}, 395},
		"statement memory": {func() error {
			return conn.Exec(ctx, "SELECT count() FROM (SELECT groupArray(repeat(toString(number), 50)) FROM numbers(3000000))")
		}, 241},
		"raise memory":    {func() error { return conn.Exec(ctx, "SELECT 1 SETTINGS max_memory_usage = 1000000000000") }, 452},
		"no memory limit": {func() error { return conn.Exec(ctx, "SELECT 1 SETTINGS max_memory_usage = 0") }, 452},
	} {
		t.Run(name, func(t *testing.T) {
			var exception *clickhouse.Exception
			require.ErrorAs(t, tc.run(), &exception)
			require.Equal(t, tc.code, exception.Code, exception.Message)
		})
	}
	require.NoError(t, conn.Ping(ctx))
}

func TestStatementsDoNotShareSessions(t *testing.T) {
	conn := connect(t, openEngine(t, func(c *embedded.Config) { c.Connections = 1; c.MaxThreads = 3 }))
	ctx := t.Context()
	threads := func(ctx context.Context) (got uint64) {
		require.NoError(t, conn.QueryRow(ctx, "SELECT toUInt64(getSetting('max_threads'))").Scan(&got))
		return got
	}
	require.EqualValues(t, 3, threads(ctx))
	require.EqualValues(t, 5, threads(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_threads": 5}))))
	require.EqualValues(t, 3, threads(ctx), "the profile's value, not the engine's default")
	require.NoError(t, conn.Exec(ctx, "SET max_threads = 7"))
	require.EqualValues(t, 3, threads(ctx))
	require.NoError(t, conn.Exec(ctx, "CREATE TEMPORARY TABLE mine (a UInt8)"))
	require.Error(t, conn.Exec(ctx, "SELECT * FROM mine"))
	require.NoError(t, conn.Exec(ctx, "USE system"))
	var database string
	require.NoError(t, conn.QueryRow(ctx, "SELECT currentDatabase()").Scan(&database))
	require.Equal(t, "default", database)
}

// The library hands what a failed statement had already answered to the next one of the connection.
func TestFailedStatementLeavesNothingBehind(t *testing.T) {
	engine := openEngine(t, func(c *embedded.Config) { c.Connections = 1 })
	conn := connect(t, engine)
	for _, format := range []string{"JSON", "CSVWithNames", "Native", "TSV"} {
		sql := "SELECT number, throwIf(number = 300000) FROM numbers(1000000) SETTINGS max_threads = 1, max_block_size = 1000 FORMAT " + format
		require.Error(t, readAll(t.Context(), conn, sql))
		var five uint8
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT 5").Scan(&five))
		require.EqualValues(t, 5, five)
	}
}

func TestConcurrentStatements(t *testing.T) {
	engine := openEngine(t, func(c *embedded.Config) { c.Connections = 4 })
	conn := connect(t, engine)
	require.NoError(t, conn.Exec(t.Context(), "CREATE TABLE t (worker UInt64, n UInt64) ENGINE = MergeTree ORDER BY (worker, n)"))
	const workers, batches, rows = 8, 6, 500
	group, ctx := errgroup.WithContext(t.Context())
	for worker := range uint64(workers) {
		group.Go(func() error {
			for b := range uint64(batches) {
				batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
				if err != nil {
					return err
				}
				for n := range uint64(rows) {
					if err := batch.Append(worker, b*rows+n); err != nil {
						return err
					}
				}
				if err := batch.Send(); err != nil {
					return err
				}
				var count uint64
				if err := conn.QueryRow(ctx, "SELECT count() FROM t WHERE worker = ?", worker).Scan(&count); err != nil {
					return err
				}
				if count != (b+1)*rows {
					return fmt.Errorf("worker %d sees %d rows after %d batches", worker, count, b+1)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	var count, sum uint64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(), sum(n) FROM t").Scan(&count, &sum))
	require.EqualValues(t, workers*batches*rows, count)
	require.EqualValues(t, workers*(batches*rows)*(batches*rows-1)/2, sum)
}

// A sender that breaks off must not leave half of its rows, whatever it looks like from here.
func TestBrokenInsertStoresNothing(t *testing.T) {
	engine := openEngine(t)
	conn := connect(t, engine)
	ctx := t.Context()
	require.NoError(t, conn.Exec(ctx, "CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a"))
	lines := bytes.Repeat([]byte("some row of text\n"), 100_000)
	broken := &failingReader{data: lines, err: fmt.Errorf("sender is gone")}
	require.ErrorContains(t, conn.InsertFormat(ctx, "TSV", "INSERT INTO t (a)", broken), "sender is gone")
	var exception *clickhouse.Exception
	require.ErrorAs(t, conn.InsertFormat(ctx, "TSV", "INSERT INTO t (a)", bytes.NewReader(nil)), &exception)
	require.EqualValues(t, 108, exception.Code)
	var count uint64
	require.NoError(t, conn.QueryRow(ctx, "SELECT count() FROM t").Scan(&count))
	require.Zero(t, count)
	require.NoError(t, conn.InsertFormat(ctx, "TSV", "INSERT INTO t (a)", bytes.NewReader(lines)))
	require.NoError(t, conn.QueryRow(ctx, "SELECT count() FROM t").Scan(&count))
	require.EqualValues(t, 100_000, count)
}

type failingReader struct {
	data []byte
	err  error
}

func (r *failingReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, r.err
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}
