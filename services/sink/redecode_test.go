package sink_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
	"github.com/entraflow/entraflow/pkg/clickhouse/migrations"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/sink"
)

// hubEvent decodes a sign-in or a record without a model, as a hub delivers it.
func hubEvent(t *testing.T, category string, n int, at time.Time) *eventv1.Event {
	t.Helper()
	record := fmt.Sprintf(`{"time":%q,"category":%q,"tenantId":"11111111-2222-3333-4444-555555555555","operationName":"op",`+
		`"properties":{"id":"00000000-0000-0000-0000-%012d","createdDateTime":%q,"userPrincipalName":"ada@contoso.example","appDisplayName":"App %d"}}`,
		at.Format(time.RFC3339), category, n, at.Format(time.RFC3339), n)
	e, err := decode.New(decode.DefaultLimits()).HubRecord([]byte(record), decode.Origin{
		Integration: "contoso", ObservedAt: at, Clock: at, Sequence: int64(n),
	})
	require.NoError(t, err)
	return e
}

func insertRows(t *testing.T, store *clickhouse.Store, table string, rows []tables.Row[*eventv1.Event]) {
	t.Helper()
	for _, candidate := range tables.NewEvents().All() {
		if candidate.Name() == table {
			require.NoError(t, tables.NewInserter(store.Conn(), candidate).Insert(t.Context(), rows))
		}
	}
}

func TestRedecode(t *testing.T) {
	store := clickhousetest.New(t)
	require.NoError(t, clickhouse.Migrate(t.Context(), store.Conn(), migrations.Files, clickhouse.MigrateOptions{
		Schema: store.Schema(migrations.Settings{EventDays: 400, DeadLetterDays: 400, AuditDays: 400}.Map()),
	}))
	storedAt := time.Now().Add(-48 * time.Hour).Truncate(time.Millisecond)
	want := map[string]string{} // app by id
	var poor, misplaced []tables.Row[*eventv1.Event]
	for n := range 100 {
		at := time.Date(2026, time.Month(9+n%3), 30, 23, 59, 59, 0, time.UTC)
		e := hubEvent(t, "SignInLogs", n, at)
		want[e.GetId()] = e.GetSignIn().GetAppDisplayName()
		// As an older decoder stored it: without the application, or without any model.
		row := tables.Row[*eventv1.Event]{Message: e, Sequence: uint64(n), StoredAt: storedAt}
		if n%10 == 0 {
			e.Payload = &eventv1.Event_Other{Other: &eventv1.Other{}}
			misplaced = append(misplaced, row)
			continue
		}
		e.GetSignIn().AppDisplayName = ""
		poor = append(poor, row)
	}
	unreadable := hubEvent(t, "SignInLogs", 1000, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	unreadable.Raw, unreadable.GetSignIn().AppDisplayName = []byte("{"), "kept"
	want[unreadable.GetId()] = "kept"
	poor = append(poor, tables.Row[*eventv1.Event]{Message: unreadable, StoredAt: storedAt})
	insertRows(t, store, tables.SignIns, poor)
	insertRows(t, store, tables.OtherEvents, misplaced)

	var progress []sink.RedecodeProgress
	options := sink.DefaultRedecodeOptions()
	options.MaxRows = 7
	options.Progress = func(p sink.RedecodeProgress) { progress = append(progress, p) }
	result, err := sink.Redecode(t.Context(), store, options)
	require.NoError(t, err)
	require.Equal(t, sink.RedecodeResult{Rewritten: 90, Moved: 10, Kept: 1}, result)
	last := progress[len(progress)-1]
	require.Equal(t, result, last.Result)
	require.Equal(t, last.Total, last.Done)

	// The new row wins over the stored one of the same version, before and after parts are merged.
	for _, merge := range []bool{false, true} {
		if merge {
			require.NoError(t, store.Conn().Exec(t.Context(), "OPTIMIZE TABLE sign_ins FINAL"))
		}
		require.Empty(t, cmp.Diff(want, apps(t, store)))
		var others, versions, stored, sequences uint64
		require.NoError(t, store.Conn().QueryRow(t.Context(), "SELECT count() FROM other_events FINAL").Scan(&others))
		require.Zero(t, others)
		require.NoError(t, store.Conn().QueryRow(t.Context(),
			"SELECT uniqExact(version), countIf(stored_at = fromUnixTimestamp64Milli(?)), uniqExact(stream_sequence) FROM sign_ins FINAL",
			storedAt.UnixMilli()).Scan(&versions, &stored, &sequences))
		require.Equal(t, []uint64{101, 101, 100}, []uint64{versions, stored, sequences})
	}

	again, err := sink.Redecode(t.Context(), store, sink.RedecodeOptions{Tables: []string{tables.SignIns}, MaxRows: 1000, MaxBytes: 1 << 20})
	require.NoError(t, err)
	require.Equal(t, sink.RedecodeResult{Rewritten: 100, Kept: 1}, again)
	require.Empty(t, cmp.Diff(want, apps(t, store)))

	_, err = sink.Redecode(t.Context(), store, sink.RedecodeOptions{Tables: []string{"nope"}})
	require.EqualError(t, err, "nope is no table of events")
}

func apps(t *testing.T, store *clickhouse.Store) map[string]string {
	t.Helper()
	rows, err := store.Conn().Query(t.Context(), "SELECT id, app_display_name FROM sign_ins FINAL")
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	got := map[string]string{}
	for rows.Next() {
		var id, app string
		require.NoError(t, rows.Scan(&id, &app))
		got[id] = app
	}
	require.NoError(t, rows.Err())
	return got
}
