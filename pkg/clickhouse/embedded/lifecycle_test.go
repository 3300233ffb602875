package embedded_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	"github.com/entraflow/entraflow/pkg/config"
)

func TestCloseWaitsForStatements(t *testing.T) {
	engine := openEngine(t)
	conn := connect(t, engine)
	require.NoError(t, conn.Ping(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- conn.Exec(t.Context(), "SELECT sleepEachRow(0.1) FROM numbers(10) SETTINGS max_block_size = 1")
	}()
	other := connect(t, engine)
	require.Eventually(t, func() bool { return running(t, other) == 1 }, 10*time.Second, 5*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, engine.Close(ctx))
	require.NoError(t, <-ended)
	require.ErrorIs(t, conn.Exec(t.Context(), "SELECT 1"), embedded.ErrClosed)
	require.NoError(t, engine.Close(ctx), "closing again does nothing")
}

func TestCloseKillsWhatDoesNotEnd(t *testing.T) {
	engine := openEngine(t)
	local, remote := connect(t, engine), dial(t, serve(t, engine))
	require.NoError(t, local.Ping(t.Context()))
	ended := make(chan error, 3)
	go func() { ended <- local.Exec(t.Context(), endless) }()
	go func() { ended <- remote.Exec(t.Context(), endless) }()
	// This one waits for its reader, which never comes.
	rows, err := local.Query(t.Context(), "SELECT number FROM numbers(10000000000000)")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return running(t, local) == 3 }, 10*time.Second, 5*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	require.ErrorIs(t, engine.Close(ctx), context.DeadlineExceeded)
	require.Less(t, time.Since(start), soon)
	require.Error(t, <-ended)
	require.Error(t, <-ended)
	_ = rows.Close()
}

func TestOneEngineAProcess(t *testing.T) {
	engine := openEngine(t)
	cfg := embedded.DefaultConfig()
	cfg.DataDir = t.TempDir()
	_, err := embedded.Open(t.Context(), cfg, embedded.Settings{})
	require.ErrorIs(t, err, embedded.ErrInUse)
	require.NoError(t, connect(t, engine).Ping(t.Context()))
}

func TestReopenedEngineHasItsRows(t *testing.T) {
	cfg := embedded.DefaultConfig()
	cfg.DataDir = filepath.Join(t.TempDir(), "made", "on demand")
	for round := range uint64(3) {
		engine, err := embedded.Open(t.Context(), cfg, embedded.Settings{})
		require.NoError(t, err)
		conn := connect(t, engine)
		require.NoError(t, conn.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS t (a UInt64) ENGINE = MergeTree ORDER BY a"))
		var count uint64
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM t").Scan(&count))
		require.Equal(t, round, count)
		require.NoError(t, conn.Exec(t.Context(), "INSERT INTO t VALUES (1)"))
		require.NoError(t, engine.Close(t.Context()))
	}
	for _, name := range []string{"etc/config.xml", "etc/users.xml", "entraflow.lock"} {
		info, err := os.Stat(filepath.Join(cfg.DataDir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
}

func TestSettingsReachTheEngine(t *testing.T) {
	conn := connect(t, openEngine(t, func(c *embedded.Config) {
		c.MaxMemory, c.MaxStatementMemory = 777*config.MiB, 333*config.MiB
		c.BackgroundThreads, c.MarkCache, c.SyncWrites = 3, 9*config.MiB, true
	}))
	for sql, want := range map[string]string{
		"SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'": "814743552",
		"SELECT value FROM system.server_settings WHERE name = 'background_pool_size'":    "3",
		"SELECT value FROM system.server_settings WHERE name = 'mark_cache_size'":         "9437184",
		"SELECT value FROM system.merge_tree_settings WHERE name = 'fsync_after_insert'":  "1",
		"SELECT toString(getSetting('max_memory_usage'))":                                 "349175808",
	} {
		var got string
		require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&got))
		require.Equal(t, want, got, sql)
	}
}

func TestMissingLibrary(t *testing.T) {
	cfg := embedded.DefaultConfig()
	cfg.DataDir, cfg.LibraryPath = t.TempDir(), filepath.Join(t.TempDir(), "none.so")
	_, err := embedded.Open(t.Context(), cfg, embedded.Settings{})
	require.ErrorIs(t, err, embedded.ErrLibraryMissing)
	require.ErrorContains(t, err, "scripts/fetch-libchdb.sh")
	require.NoError(t, os.WriteFile(cfg.LibraryPath, []byte("no library"), 0o600))
	_, err = embedded.Open(t.Context(), cfg, embedded.Settings{})
	require.ErrorContains(t, err, "opening libchdb")
	t.Chdir(t.TempDir())
	t.Setenv(embedded.LibraryEnv, "")
	_, err = embedded.FindLibrary("")
	require.ErrorIs(t, err, embedded.ErrLibraryMissing)
}

func TestScriptFetchesTheVersionThatIsBound(t *testing.T) {
	script, err := os.ReadFile("../../../scripts/fetch-libchdb.sh")
	require.NoError(t, err)
	require.Contains(t, strings.Split(string(script), "\n"), `version="`+embedded.LibraryVersion+`"`)
}

func TestValidateNamesEveryFault(t *testing.T) {
	err := embedded.Config{MaxThreads: -1}.Validate()
	var invalid *config.InvalidError
	require.ErrorAs(t, err, &invalid)
	keys := map[string]bool{}
	for _, problem := range invalid.Problems {
		keys[problem.Key] = true
	}
	require.Equal(t, map[string]bool{
		"data_dir": true, "connections": true, "max_memory": true, "max_statement_memory": true,
		"max_threads": true, "background_threads": true, "mark_cache": true,
	}, keys)
	_, err = embedded.Open(t.Context(), embedded.DefaultConfig(), embedded.Settings{})
	require.ErrorContains(t, err, "data_dir")
	cfg := embedded.DefaultConfig()
	cfg.DataDir = t.TempDir()
	_, err = embedded.Open(t.Context(), cfg, embedded.Settings{Users: []embedded.User{{Name: "x"}}})
	require.ErrorContains(t, err, "password")
}

// The library must leave the Go runtime its signals: a nil pointer stays a panic that can be recovered.
func TestGoKeepsItsSignals(t *testing.T) {
	engine := openEngine(t)
	require.NoError(t, connect(t, engine).Ping(t.Context()))
	require.Panics(t, func() {
		nothing := func() *struct{ value int } { return nil }
		nothing().value++
	})
}
