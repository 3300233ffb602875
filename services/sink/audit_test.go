package sink_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// audited publishes entries as the gateway does and waits until the sink has them.
func (w *world) audited(t *testing.T, entries ...*controlv1.AuditEntry) {
	t.Helper()
	conn := w.bus.Connect(t, bus.UserGateway)
	publisher := bustest.Publisher(t, conn)
	var last uint64
	for _, e := range entries {
		ack, err := publisher.Publish(t.Context(), e, bus.PublishOptions{})
		require.NoError(t, err)
		last = ack.Sequence
	}
	w.auditStored(t, conn, last)
}

func (w *world) auditStored(t *testing.T, conn *bus.Conn, sequence uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, bus.Stored(ctx, conn.JetStream(), controlv1.AuditEntryStream, sequence))
}

// auditLog returns what the table has, each entry once, oldest first.
func (w *world) auditLog(t *testing.T) []*controlv1.AuditEntry {
	t.Helper()
	rows, err := w.store.Conn().Query(t.Context(), "SELECT "+tables.AuditEntryColumns+" FROM audit_log FINAL ORDER BY time, id")
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var found []*controlv1.AuditEntry
	for rows.Next() {
		e, err := tables.ScanAuditEntry(rows)
		require.NoError(t, err)
		found = append(found, e)
	}
	require.NoError(t, rows.Err())
	return found
}

// calls are n entries, some in one millisecond, some in another month.
func calls(n int) []*controlv1.AuditEntry {
	made := make([]*controlv1.AuditEntry, 0, n)
	for i := range n {
		e := tablestest.FilledAuditEntry()
		e.Id = fmt.Sprintf("call-%05d", i)
		e.Time = timestamppb.New(time.Date(2026, 10, 31, 23, 59, 59, 0, time.UTC).Add(time.Duration(i/10) * 100 * time.Millisecond))
		e.Action, e.TenantId = fmt.Sprintf("UserService-Get%d", i%3), []string{"", "tenant"}[i%2]
		made = append(made, e)
	}
	return made
}

// deliverAgain makes the stream forget what was acknowledged.
func (w *world) deliverAgain(t *testing.T) {
	t.Helper()
	js := w.bus.Connect(t, bus.UserOperator).JetStream()
	durable, err := js.Consumer(t.Context(), controlv1.AuditEntryStream, bus.UserSink)
	require.NoError(t, err)
	cfg := durable.CachedInfo().Config
	require.NoError(t, js.DeleteConsumer(t.Context(), controlv1.AuditEntryStream, bus.UserSink))
	_, err = js.CreateConsumer(t.Context(), controlv1.AuditEntryStream, cfg)
	require.NoError(t, err)
}

// A publisher that lost a PubAck publishes again, and a sink that died before its acknowledgement gets what it
// stored once more: neither makes two entries of one.
func TestAuditEntriesAreStoredOnce(t *testing.T) {
	w := newWorld(t)
	stop := w.start(t)
	want := calls(300)
	w.audited(t, want...)
	require.Empty(t, cmp.Diff(want, w.auditLog(t), protocmp.Transform()))

	w.audited(t, want[:200]...)
	stop()
	w.deliverAgain(t)
	w.start(t)
	last := calls(301)[300]
	w.audited(t, last)

	require.Empty(t, cmp.Diff(append(want, last), w.auditLog(t), protocmp.Transform()))
	require.Equal(t, uint64(301), w.count(t, "SELECT count() FROM audit_log FINAL WHERE stream_sequence > 0 AND abs(now() - stored_at) < 60"))
	require.GreaterOrEqual(t, w.metric(t, "entraflow_sink_repeated_rows_total"), 200)
	require.Equal(t, 1001, w.metric(t, "entraflow_sink_rows_total"), "each delivery was inserted")
	require.Zero(t, w.count(t, "SELECT count() FROM dead_letters"))
}

// What is no entry becomes a dead letter with its bytes, and the next one is stored.
func TestBytesThatAreNoAuditEntry(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	conn := w.bus.Connect(t, bus.UserGateway)
	_, err := conn.JetStream().Publish(t.Context(), controlv1.AuditEntrySubject("UserService-GetUser", ""), []byte{0xff, 0xff})
	require.NoError(t, err)
	want := calls(1)
	w.audited(t, want...)
	require.Empty(t, cmp.Diff(want, w.auditLog(t), protocmp.Transform()))
	w.eventually(t, 1, "SELECT count() FROM dead_letters WHERE reason = 'payload_invalid' AND stream = 'AUDIT' AND raw = unhex('ffff')")
}
