package sink_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
	"github.com/entraflow/entraflow/pkg/clickhouse/migrations"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/lifecycle/lifecycletest"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/sink"
)

func TestLifecycle(t *testing.T) {
	w := newWorld(t)
	lifecycletest.Run(t, func(t *testing.T) lifecycle.Service {
		t.Helper()
		return w.service(t, w.config())
	})
}

// Whole rows are tested in pkg/clickhouse/tables; here the rows of the sink are compared with rows
// made there.
func TestEveryKindIsStored(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	reference := clickhousetest.New(t)
	require.NoError(t, clickhouse.Migrate(t.Context(), reference.Conn(), migrations.Files, clickhouse.MigrateOptions{
		Schema: reference.Schema(migrations.Settings{EventDays: 1, DeadLetterDays: 1, AuditDays: 1}.Map()),
	}))
	set, now := tables.NewEvents(), time.Now()
	for _, kind := range tablestest.Kinds() {
		e := tablestest.Filled(kind)
		for _, table := range set.For(e) {
			require.NoError(t, tables.NewInserter(reference.Conn(), table).Insert(t.Context(), []tables.Row[*eventv1.Event]{{Message: e, StoredAt: now}}))
		}
		w.publish(t, e)
	}
	letter := tablestest.FilledDeadLetter(false)
	letter.Service, letter.RawBlob = "streamer", nil // the user that publishes it
	require.NoError(t, tables.NewInserter(reference.Conn(), tables.NewDeadLetters()).Insert(t.Context(), []tables.Row[*eventv1.DeadLetter]{{Message: letter, StoredAt: now}}))
	w.publish(t, letter)
	w.stored(t)
	w.eventually(t, 1, "SELECT count() FROM dead_letters")

	for _, table := range set.All() {
		require.Empty(t, cmp.Diff(rowsOf(t, reference, table.Name()), rowsOf(t, w.store, table.Name())), table.Name())
		require.Equal(t, uint64(1), w.count(t, "SELECT count() FROM "+table.Name()+" WHERE stream_sequence > 0 AND abs(now() - stored_at) < 60"))
	}
	require.Empty(t, cmp.Diff(rowsOf(t, reference, tables.DeadLetters), rowsOf(t, w.store, tables.DeadLetters)))
}

func rowsOf(t *testing.T, store *clickhouse.Store, table string) string {
	t.Helper()
	sequence := "stream_sequence"
	if table == tables.DeadLetters {
		sequence = "dead_sequence"
	}
	var rows string
	require.NoError(t, store.Conn().QueryRow(t.Context(), fmt.Sprintf(
		"SELECT arrayStringConcat(arraySort(groupArray(toJSONString(tuple(* EXCEPT (stored_at, %s))))), '\n') FROM %s FINAL", sequence, table)).Scan(&rows))
	return strings.ReplaceAll(rows, ",", ",\n")
}

func TestAPoisonousRowIsTheOnlyDeadLetter(t *testing.T) {
	w := newWorld(t)
	stop := w.start(t)
	stop() // the tables are there
	require.NoError(t, w.store.Conn().Exec(t.Context(),
		"ALTER TABLE sign_ins ADD CONSTRAINT no_poison CHECK user_display_name != 'poison'"))
	events := tablestest.NewWorld(time.Hour).SignIns(1001)
	poison := events[700]
	poison.GetSignIn().UserDisplayName = "poison"
	w.flood(t, events)
	w.start(t)

	w.stored(t)
	require.Equal(t, uint64(1000), w.count(t, "SELECT count() FROM sign_ins FINAL"))
	w.eventually(t, 1, "SELECT count() FROM dead_letters FINAL")
	var reason, detail, raw, stream string
	require.NoError(t, w.store.Conn().QueryRow(t.Context(), "SELECT reason, detail, raw, stream FROM dead_letters").Scan(&reason, &detail, &raw, &stream))
	require.Equal(t, "row_refused", reason)
	require.Contains(t, detail, "ClickHouse refuses the row (code 469: ")
	require.NotContains(t, detail, "poison'")
	require.Equal(t, eventv1.EventStream, stream)
	var kept eventv1.Event
	require.NoError(t, proto.Unmarshal([]byte(raw), &kept))
	require.Equal(t, poison.GetId(), kept.GetId())
	require.Equal(t, 1, w.metric(t, "entraflow_sink_refused_rows_total"))
}

func TestTheSameEventTwiceIsOneRow(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	e := tablestest.Filled("signin")
	w.publish(t, e)
	w.stored(t)
	e.Version++
	w.publish(t, e, e)
	w.stored(t)
	require.Equal(t, uint64(1), w.count(t, "SELECT count() FROM sign_ins FINAL"))
	require.Equal(t, e.GetVersion(), w.count(t, "SELECT version FROM sign_ins FINAL"))
	require.Equal(t, 2, w.metric(t, "entraflow_sink_repeated_rows_total"))
}

func TestARecordTooLargeForAMessage(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	large := tablestest.Filled("signin")
	large.Raw = []byte(strings.Repeat(`{"padding":"0123456789"}`, 500_000))
	size := len(large.GetRaw())
	gone := tablestest.Filled("audit")
	gone.Raw, gone.RawBlob = nil, &eventv1.BlobReference{Name: strings.Repeat("0", 64), Size: 9}
	w.publish(t, large, gone)
	require.NotNil(t, large.GetRawBlob())
	w.stored(t)
	require.Equal(t, uint64(size), w.count(t, "SELECT length(raw) FROM sign_ins"))
	require.Equal(t, uint64(0), w.count(t, "SELECT length(raw) FROM audits"))
	require.Equal(t, 1, w.metric(t, "entraflow_sink_lost_blobs_total"))
}

func TestStoppingStoresWhatItHolds(t *testing.T) {
	w := newWorld(t)
	stop := w.start(t, func(c *sink.Config) { c.Batch.MaxDelay = time.Hour })
	w.flood(t, tablestest.NewWorld(time.Hour).SignIns(500))
	w.delivered(t)
	stop()
	// What it had not put into a batch it gave back; nothing else could have stored rows within the hour.
	require.NotZero(t, w.count(t, "SELECT count() FROM sign_ins FINAL"))
	w.start(t)
	w.stored(t)
	require.Equal(t, uint64(500), w.count(t, "SELECT count() FROM sign_ins FINAL"))
}

func TestBytesThatAreNoMessage(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	ack, err := w.conn.JetStream().Publish(t.Context(), eventv1.EventSubject("signin", "t"), []byte{0xff, 0xff})
	require.NoError(t, err)
	w.last = ack.Sequence
	w.publish(t, tablestest.Filled("signin"))
	w.stored(t)
	require.Equal(t, uint64(1), w.count(t, "SELECT count() FROM sign_ins"))
	w.eventually(t, 1, "SELECT count() FROM dead_letters WHERE reason = 'payload_invalid' AND raw = unhex('ffff')")
}
