package sink_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
	"github.com/entraflow/entraflow/pkg/clickhouse/migrations"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

// synced publishes objects as directorysync does and waits until the sink has them.
func (w *world) synced(t *testing.T, objects ...*directoryv1.Object) {
	t.Helper()
	conn := w.bus.Connect(t, bus.UserDirectorySync)
	publisher := bustest.Publisher(t, conn)
	var last uint64
	for _, o := range objects {
		ack, err := publisher.Publish(t.Context(), o, bus.PublishOptions{})
		require.NoError(t, err)
		last = ack.Sequence
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, bus.Stored(ctx, conn.JetStream(), directoryv1.ObjectStream, last))
}

func TestEveryKindOfObjectIsStored(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	reference := clickhousetest.New(t)
	require.NoError(t, clickhouse.Migrate(t.Context(), reference.Conn(), migrations.Files, clickhouse.MigrateOptions{
		Schema: reference.Schema(migrations.Settings{EventDays: 1, DeadLetterDays: 1, AuditDays: 1}.Map()),
	}))
	set := tables.NewDirectory()
	var objects []*directoryv1.Object
	for _, kind := range tablestest.Objects() {
		o := tablestest.FilledObject(kind)
		objects = append(objects, o)
		for _, table := range set.For(o) {
			row := tables.Row[*directoryv1.Object]{Message: o, StoredAt: time.Now()}
			require.NoError(t, tables.NewInserter(reference.Conn(), table).Insert(t.Context(), []tables.Row[*directoryv1.Object]{row}))
		}
	}
	w.synced(t, objects...)
	for _, table := range set.All() {
		want := rowsOf(t, reference, table.Name())
		require.NotEmpty(t, want, table.Name())
		require.Empty(t, cmp.Diff(want, rowsOf(t, w.store, table.Name())), table.Name())
	}
	require.Equal(t, uint64(len(objects)), w.count(t, "SELECT count() FROM directory_history WHERE stream_sequence > 0 AND abs(now() - stored_at) < 60"))
}

// While the sink is away the stream keeps the states, and history is whole afterwards; a state that is
// delivered again is no new row.
func TestHistoryIsWholeAndTheNewestStateWins(t *testing.T) {
	w := newWorld(t)
	stop := w.start(t)
	stop()
	user := func(version uint64) *directoryv1.Object {
		o := tablestest.FilledObject("user")
		if version == 12 {
			o = tablestest.Tombstone("user")
		}
		o.Version, o.DisplayName = version, fmt.Sprint("name ", version)
		return o
	}
	conn := w.bus.Connect(t, bus.UserDirectorySync)
	publisher := bustest.Publisher(t, conn)
	for version := uint64(1); version <= 12; version++ {
		_, err := publisher.Publish(t.Context(), user(version), bus.PublishOptions{})
		require.NoError(t, err)
	}
	w.start(t)
	w.synced(t, user(11), user(12))
	require.Equal(t, uint64(12), w.count(t, "SELECT count() FROM directory_history FINAL"))
	require.Equal(t, uint64(0), w.count(t, "SELECT count() FROM users"))
	require.Equal(t, uint64(12), w.count(t, "SELECT version FROM users_current FINAL WHERE deleted AND display_name = 'name 12'"))
	w.synced(t, user(13))
	require.Equal(t, uint64(1), w.count(t, "SELECT count() FROM users WHERE display_name = 'name 13'"))
	require.NotZero(t, w.metric(t, "entraflow_sink_repeated_rows_total"))
}
