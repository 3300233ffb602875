package tables_test

import (
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
	"github.com/entraflow/entraflow/pkg/clickhouse/migrations"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(clickhousetest.Main(m)) }

// migrated returns a connection to a new database with the tables of the product.
func migrated(tb testing.TB) driver.Conn {
	tb.Helper()
	store := clickhousetest.New(tb)
	settings := migrations.Settings{EventDays: 400, DeadLetterDays: 90, AuditDays: 400}
	require.NoError(tb, clickhouse.Migrate(tb.Context(), store.Conn(), migrations.Files,
		clickhouse.MigrateOptions{Schema: store.Schema(settings.Map())}))
	return store.Conn()
}

// rowOf gives an event the place and time that tests expect.
func rowOf(e *eventv1.Event) tables.Row[*eventv1.Event] {
	return tables.Row[*eventv1.Event]{Message: e, Sequence: 42, StoredAt: tablestest.Start()}
}

func rowsOf(events ...*eventv1.Event) []tables.Row[*eventv1.Event] {
	rows := make([]tables.Row[*eventv1.Event], 0, len(events))
	for _, e := range events {
		rows = append(rows, rowOf(e))
	}
	return rows
}

// insert stores events in the tables they belong to.
func insert(t *testing.T, conn driver.Conn, events ...*eventv1.Event) {
	t.Helper()
	set := tables.NewEvents()
	for _, e := range events {
		for _, table := range set.For(e) {
			require.NoError(t, tables.NewInserter(conn, table).Insert(t.Context(), rowsOf(e)))
		}
	}
}
