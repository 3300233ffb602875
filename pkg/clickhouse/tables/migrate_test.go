package tables_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
	"github.com/entraflow/entraflow/pkg/clickhouse/migrations"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// before are the migrations but one and what comes after it.
func before(t *testing.T, name string) fstest.MapFS {
	t.Helper()
	names, err := fs.Glob(migrations.Files, "*.sql")
	require.NoError(t, err)
	require.Contains(t, names, name)
	older := fstest.MapFS{}
	for _, n := range names {
		if n < name || strings.HasPrefix(n, "repeat_") {
			text, err := fs.ReadFile(migrations.Files, n)
			require.NoError(t, err)
			older[n] = &fstest.MapFile{Data: text}
		}
	}
	return older
}

// The table of sign-ins that takes the place of the older one has its rows, and all that the older had.
func TestSignInsOutliveTheirTable(t *testing.T) {
	const swap = "0015_sign_ins_search.sql"
	store := clickhousetest.New(t)
	conn := store.Conn()
	options := clickhouse.MigrateOptions{Schema: store.Schema(migrations.Settings{EventDays: 300, DeadLetterDays: 300, AuditDays: 300}.Map())}
	require.NoError(t, clickhouse.Migrate(t.Context(), conn, before(t, swap), options))
	insert := func() {
		world := tablestest.NewWorld(90 * 24 * time.Hour)
		signIns := tables.NewEvents().For(&eventv1.Event{Payload: &eventv1.Event_SignIn{}})[0]
		for range 3 {
			var rows []tables.Row[*eventv1.Event]
			for _, e := range world.SignIns(200) {
				rows = append(rows, tables.Row[*eventv1.Event]{Message: e, Sequence: 1, StoredAt: time.Now()})
			}
			require.NoError(t, tables.NewInserter(conn, signIns).Insert(t.Context(), rows))
		}
	}
	ask := func(query string) (answer string) {
		require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&answer))
		return answer
	}
	const content = "SELECT toString(tuple(count(), sum(cityHash64(raw, id, version, user_key)))) FROM sign_ins FINAL"
	insert()
	want, older := ask(content), ask("SHOW CREATE TABLE sign_ins")
	for range 2 { // the second time as after a migration that was broken off before it was written down
		require.NoError(t, clickhouse.Migrate(t.Context(), conn, migrations.Files, options))
		require.Equal(t, want, ask(content))
		newer := ask("SHOW CREATE TABLE sign_ins")
		for line := range strings.Lines(older) {
			line = strings.TrimRight(strings.TrimSpace(line), ",")
			if !strings.HasPrefix(line, "SETTINGS") {
				require.Contains(t, newer, line)
			}
		}
		require.Contains(t, newer, "index_granularity = 1024")
		require.Equal(t, "0", ask("SELECT toString(count()) FROM system.tables WHERE database = currentDatabase() AND name = 'sign_ins_next'"))
		require.NoError(t, conn.Exec(t.Context(), "ALTER TABLE schema_migrations DELETE WHERE name = '"+swap+"' SETTINGS mutations_sync = 2"))
	}
	require.NoError(t, conn.Exec(t.Context(), "OPTIMIZE TABLE sign_ins FINAL"))
	require.Equal(t, want, ask(content), "merges take the older parts")
	insert()
	require.Equal(t, want, ask(content), "what comes again is the same rows")
}
