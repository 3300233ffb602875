package tables_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// entries returns the audit log as ScanAuditEntry reads it.
func entries(t *testing.T, conn driver.Conn) []*controlv1.AuditEntry {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT "+tables.AuditEntryColumns+" FROM audit_log FINAL ORDER BY time, id")
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

// Whatever was published comes back, once, also what later programs will know.
func TestAuditEntriesComeBack(t *testing.T) {
	conn := migrated(t)
	full := tablestest.FilledAuditEntry()
	bare := &controlv1.AuditEntry{Id: "bare", Time: timestamppb.New(full.GetTime().AsTime().Add(time.Minute))}
	late := &controlv1.AuditEntry{
		Id: "late", Time: timestamppb.New(full.GetTime().AsTime().Add(time.Hour)), Role: 77, Credential: 99, Address: "no address",
	}
	want := []*controlv1.AuditEntry{full, bare, late}
	for _, number := range slices.Sorted(maps.Keys(controlv1.CredentialKind_name)) {
		e := proto.CloneOf(late)
		e.Credential, e.Role = controlv1.CredentialKind(number), controlv1.Role(number)
		e.Time = timestamppb.New(full.GetTime().AsTime().Add(time.Duration(number+2) * time.Hour))
		want = append(want, e)
	}
	for range 2 {
		rows := make([]tables.Row[*controlv1.AuditEntry], 0, len(want))
		for _, e := range want {
			rows = append(rows, tables.Row[*controlv1.AuditEntry]{Message: e, StoredAt: tablestest.Start()})
		}
		require.NoError(t, tables.NewInserter(conn, tables.NewAuditLog()).Insert(t.Context(), rows))
	}
	require.Empty(t, cmp.Diff(want, entries(t, conn), protocmp.Transform()))
}

// Each skip index must leave out most of the table for what it is there for.
func TestSkipIndexesOfTheAuditLogLeaveOutMostGranules(t *testing.T) {
	conn := migrated(t)
	require.NoError(t, conn.Exec(t.Context(), `INSERT INTO audit_log (time, id, stored_at, action, actor, actor_display_name, target, ip, address)
		SELECT fromUnixTimestamp64Milli(toInt64(1793491200000 + 1000 * number), 'UTC'), toString(generateUUIDv4()), now(), 'UserService-GetUser',
			concat('Actor-', toString(intDiv(number, 50) % 2000)), concat('Name-', toString(intDiv(number, 50) % 2000)),
			concat('users/', toString(number)), toIPv6(concat('10.0.', toString(intDiv(number, 640) % 256), '.1')), ''
		FROM numbers(160000)`))
	require.NoError(t, conn.Exec(t.Context(), "OPTIMIZE TABLE audit_log FINAL"))
	for name, condition := range map[string]string{
		"id":      "id = (SELECT id FROM audit_log LIMIT 1 OFFSET 70000)",
		"actor":   "(lowerUTF8(actor) = lowerUTF8('ACTOR-77') OR lowerUTF8(actor_display_name) = lowerUTF8('ACTOR-77'))",
		"display": "(lowerUTF8(actor) = lowerUTF8('name-77') OR lowerUTF8(actor_display_name) = lowerUTF8('name-77'))",
		"target":  "target = 'users/70000'",
		"ip":      "ip = toIPv6('10.0.5.1')",
	} {
		read, total := granulesOf(t, conn, "audit_log", condition)
		require.Greater(t, total, 15, name)
		require.LessOrEqual(t, read, total/4, name)
	}
}
