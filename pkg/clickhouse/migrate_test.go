package clickhouse_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
)

func folder(files map[string]string) fstest.MapFS {
	fs := fstest.MapFS{"README.md": {Data: []byte("no migration")}}
	for name, text := range files {
		fs[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fs
}

// plus returns files with more in them.
func plus(files map[string]string, more ...string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, files)
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func basic() map[string]string {
	return map[string]string{
		"0001_first.sql": `-- A comment; with a semicolon.
CREATE TABLE IF NOT EXISTS {{local "t"}}{{on_cluster}} (a UInt64, s String DEFAULT 'x;y', v UInt64, at DateTime DEFAULT now())
ENGINE = {{replacing "t" "v"}} ORDER BY a;
{{distributed "t" "a"}}
/* ; */ INSERT INTO t (a) VALUES (1);`,
		"0003_third.sql": "ALTER TABLE t ADD COLUMN IF NOT EXISTS b String;",
		"repeat_ttl.sql": `ALTER TABLE t MODIFY TTL at + INTERVAL {{setting "days"}} DAY;`,
	}
}

func migrate(t *testing.T, store *clickhouse.Store, files map[string]string, days string) error {
	t.Helper()
	return clickhouse.Migrate(t.Context(), store.Conn(), folder(files), clickhouse.MigrateOptions{
		Schema: store.Schema(map[string]string{"days": days}),
	})
}

func single[V any](t *testing.T, store *clickhouse.Store, query string) (value V) {
	t.Helper()
	require.NoError(t, store.Conn().QueryRow(t.Context(), query).Scan(&value))
	return value
}

func TestMigrateOnceInOrder(t *testing.T) {
	store := clickhousetest.New(t)
	for range 2 {
		require.NoError(t, migrate(t, store, basic(), "30"))
		require.EqualValues(t, 1, single[uint64](t, store, "SELECT count() FROM t"), "run once")
		require.EqualValues(t, 3, single[uint64](t, store, "SELECT count() FROM schema_migrations"))
	}
	require.Equal(t, "x;y", single[string](t, store, "SELECT s FROM t"))
	require.Contains(t, single[string](t, store, "SHOW CREATE TABLE t"), "TTL at + toIntervalDay(30)")

	require.NoError(t, migrate(t, store, basic(), "60"))
	require.Contains(t, single[string](t, store, "SHOW CREATE TABLE t"), "TTL at + toIntervalDay(60)")

	require.NoError(t, migrate(t, store, plus(basic(), "0004_fourth.sql", "INSERT INTO t (a) VALUES (4)"), "60"))
	require.EqualValues(t, 2, single[uint64](t, store, "SELECT count() FROM t"))
	require.NoError(t, migrate(t, store, basic(), "60"), "an older release starts on a newer schema")
}

func TestMigrateRefuses(t *testing.T) {
	store := clickhousetest.New(t)
	require.NoError(t, migrate(t, store, basic(), "30"))
	for name, tc := range map[string]struct {
		files map[string]string
		want  error
		text  string
	}{
		"changed":         {plus(basic(), "0003_third.sql", "SELECT 1"), clickhouse.ErrChangedMigration, "0003_third.sql"},
		"out of order":    {plus(basic(), "0002_second.sql", "CREATE TABLE u (a UInt8) ENGINE = Memory"), clickhouse.ErrMigrationOrder, "0002_second.sql"},
		"name":            {plus(basic(), "third.sql", "SELECT 1"), nil, "third.sql"},
		"same number":     {plus(basic(), "0003_again.sql", "SELECT 1"), nil, "same number"},
		"template":        {plus(basic(), "0009_x.sql", "{{nothing}}"), nil, "0009_x.sql"},
		"missing setting": {plus(basic(), "0009_x.sql", `SELECT {{setting "no_such"}}`), nil, "no_such"},
	} {
		t.Run(name, func(t *testing.T) {
			err := migrate(t, store, plus(tc.files, "0009_last.sql", "CREATE TABLE last (a UInt8) ENGINE = Memory"), "30")
			require.ErrorContains(t, err, tc.text)
			if tc.want != nil {
				require.ErrorIs(t, err, tc.want)
			}
			require.EqualValues(t, 0, single[uint64](t, store, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name IN ('u', 'last')"), "nothing was run")
		})
	}
}

func TestFailedMigrationIsRunAgain(t *testing.T) {
	store := clickhousetest.New(t)
	broken := plus(basic(), "0004_two.sql", "CREATE TABLE IF NOT EXISTS u (a UInt8) ENGINE = MergeTree ORDER BY a; INSERT INTO nowhere VALUES (1);")
	err := migrate(t, store, broken, "30")
	require.ErrorContains(t, err, "0004_two.sql, statement 2")
	mended := plus(broken, "0004_two.sql", "CREATE TABLE IF NOT EXISTS u (a UInt8) ENGINE = MergeTree ORDER BY a; INSERT INTO u VALUES (1);")
	require.NoError(t, migrate(t, store, mended, "30"))
	require.EqualValues(t, 1, single[uint64](t, store, "SELECT count() FROM u"))
}

type locker struct {
	lock func(context.Context) (context.Context, func(), error)
}

func (l locker) Lock(ctx context.Context) (context.Context, func(), error) { return l.lock(ctx) }

func TestMigrateUnderLock(t *testing.T) {
	store := clickhousetest.New(t)
	locked := 0
	options := clickhouse.MigrateOptions{Schema: store.Schema(map[string]string{"days": "1"})}
	options.Locker = locker{func(ctx context.Context) (context.Context, func(), error) {
		locked++
		return ctx, func() { locked-- }, nil
	}}
	require.NoError(t, clickhouse.Migrate(t.Context(), store.Conn(), folder(basic()), options))
	require.Zero(t, locked)

	taken := errors.New("taken")
	options.Locker = locker{func(context.Context) (context.Context, func(), error) { return nil, nil, taken }}
	require.ErrorIs(t, clickhouse.Migrate(t.Context(), store.Conn(), folder(basic()), options), taken)

	options.Locker = locker{func(ctx context.Context) (context.Context, func(), error) {
		held, cancel := context.WithCancel(ctx)
		cancel() // the lease was lost at once
		return held, func() {}, nil
	}}
	more := plus(basic(), "0005_more.sql", "CREATE TABLE more (a UInt8) ENGINE = Memory")
	require.ErrorIs(t, clickhouse.Migrate(t.Context(), store.Conn(), folder(more), options), context.Canceled)
	require.EqualValues(t, 0, single[uint64](t, store, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'more'"))
}
