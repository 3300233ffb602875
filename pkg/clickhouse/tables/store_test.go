package tables_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The golden rows hold the path of each field in its column, since Filled sets it to that.
func TestWholeRows(t *testing.T) {
	conn := migrated(t)
	for _, kind := range tablestest.Kinds() {
		insert(t, conn, tablestest.Filled(kind))
	}
	letters := tables.NewInserter(conn, tables.NewDeadLetters())
	for id, inHub := range map[string]bool{"hub": true, "stream": false} {
		letter := tablestest.FilledDeadLetter(inHub)
		letter.Id = id
		row := tables.Row[*eventv1.DeadLetter]{Message: letter, Sequence: 42, StoredAt: tablestest.Start()}
		require.NoError(t, letters.Insert(t.Context(), []tables.Row[*eventv1.DeadLetter]{row}))
	}
	entry := tables.Row[*controlv1.AuditEntry]{Message: tablestest.FilledAuditEntry(), Sequence: 42, StoredAt: tablestest.Start()}
	require.NoError(t, tables.NewInserter(conn, tables.NewAuditLog()).Insert(t.Context(), []tables.Row[*controlv1.AuditEntry]{entry}))
	var objects []*directoryv1.Object
	for _, object := range tablestest.Objects() {
		objects = append(objects, tablestest.FilledObject(object))
	}
	insertObjects(t, conn, objects...)
	names := []string{tables.DeadLetters, tables.AuditLog}
	for _, table := range tables.NewDirectory().All() {
		names = append(names, table.Name())
	}
	for _, table := range tables.NewEvents().All() {
		names = append(names, table.Name())
	}
	for _, name := range names {
		golden(t, name, rowsAsJSON(t, conn, name))
	}
}

func rowsAsJSON(t *testing.T, conn driver.Conn, table string) []byte {
	t.Helper()
	reader, err := conn.QueryFormat(t.Context(), "JSONEachRow", "SELECT * FROM "+table+" FINAL ORDER BY ALL")
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	lines, err := io.ReadAll(reader)
	require.NoError(t, err)
	var out bytes.Buffer
	for line := range strings.Lines(string(lines)) {
		require.NoError(t, json.Indent(&out, []byte(line), "", "  "))
		out.WriteByte('\n')
	}
	return out.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "rows", name+".json")
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), string(got)), name)
}

func TestTheGreatestVersionWins(t *testing.T) {
	month := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	const complete = 1 << 63
	// Ids sort like this; facts lie a millisecond before and at the beginning of a month.
	cases := []struct {
		name     string
		occurred time.Time
		versions [2]uint64 // in the order of arrival
	}{
		{"before the month, newer last", month.Add(-time.Millisecond), [2]uint64{complete | 1, complete | 5}},
		{"before the month, newer first", month.Add(-time.Millisecond), [2]uint64{complete | 6, complete | 2}},
		{"in the month, newer last", month, [2]uint64{complete | 3, complete | 7}},
		{"in the month, newer first", month, [2]uint64{complete | 8, complete | 4}},
		{"withheld fields lose to older ones", month, [2]uint64{complete | 9, 1<<62 | 9}},
		{"withheld fields lose to newer ones", month, [2]uint64{1<<62 | 9, complete | 10}},
	}
	conn := migrated(t)
	set := tables.NewEvents()
	want := map[string]uint64{}
	for arrival := range 2 {
		for _, kind := range tablestest.Kinds() {
			var events []*eventv1.Event
			for _, tc := range cases {
				e := tablestest.Filled(kind)
				e.Id, e.OccurredAt, e.Version = tc.name, timestamppb.New(tc.occurred), tc.versions[arrival]
				if user := e.GetRiskyUser(); user != nil {
					user.UserId = tc.name
				}
				events = append(events, e)
				want[tc.name] = max(tc.versions[0], tc.versions[1])
			}
			for _, table := range set.For(events[0]) {
				require.NoError(t, tables.NewInserter(conn, table).Insert(t.Context(), rowsOf(events...)))
			}
		}
	}
	for _, table := range set.All() {
		require.Empty(t, cmp.Diff(want, versionsOf(t, conn, table.Name())), table.Name())
		require.NoError(t, conn.Exec(t.Context(), "OPTIMIZE TABLE "+table.Name()+" FINAL"))
		require.Empty(t, cmp.Diff(want, versionsOf(t, conn, table.Name())), table.Name()+", merged")
	}
}

func versionsOf(t *testing.T, conn driver.Conn, table string) map[string]uint64 {
	t.Helper()
	versions := map[string]uint64{}
	rows, err := conn.Query(t.Context(), "SELECT id, version FROM "+table+" FINAL")
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var id string
		var version uint64
		require.NoError(t, rows.Scan(&id, &version))
		require.NotContains(t, versions, id)
		versions[id] = version
	}
	require.NoError(t, rows.Err())
	return versions
}

func TestTheNewestStateOfARiskyUser(t *testing.T) {
	conn := migrated(t)
	states := []struct {
		version  uint64
		occurred time.Time
		state    string
	}{
		{1<<63 | 2, time.Date(2026, 10, 31, 23, 59, 59, 0, time.UTC), "atRisk"},
		{1<<63 | 9, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), "remediated"},
		{1<<63 | 5, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), "confirmedCompromised"},
	}
	for i, s := range states {
		e := tablestest.Filled("risky_user")
		e.Id, e.Version, e.OccurredAt = strings.Repeat("0", 31)+string(rune('a'+i)), s.version, timestamppb.New(s.occurred)
		e.GetRiskyUser().RiskState = s.state
		insert(t, conn, e)
	}
	var history uint64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM risky_users FINAL").Scan(&history))
	require.Equal(t, uint64(3), history)
	var state string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT risk_state FROM risky_users_current FINAL").Scan(&state))
	require.Equal(t, "remediated", state)
}

// A dead letter that comes again is one row, with its last failure.
func TestADeadLetterIsOneRow(t *testing.T) {
	conn := migrated(t)
	inserter := tables.NewInserter(conn, tables.NewDeadLetters())
	for _, attempts := range []uint32{1, 6, 3} {
		letter := tablestest.FilledDeadLetter(true)
		letter.Attempts = attempts
		letter.FailedAt = timestamppb.New(tablestest.Start().Add(time.Duration(attempts) * 40 * 24 * time.Hour))
		require.NoError(t, inserter.Insert(t.Context(), []tables.Row[*eventv1.DeadLetter]{{Message: letter, StoredAt: tablestest.Start()}}))
	}
	var rows uint64
	var attempts uint32
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(), any(attempts) FROM dead_letters FINAL").Scan(&rows, &attempts))
	require.Equal(t, []any{uint64(1), uint32(6)}, []any{rows, attempts})
}

// The memory that inserts share must not carry rows from one to the next.
func TestInsertsOfAllSizes(t *testing.T) {
	conn := migrated(t)
	world := tablestest.NewWorld(time.Hour)
	table := tables.NewEvents().For(world.SignIn())[0]
	inserter := tables.NewInserter(conn, table)
	total := 0
	for _, size := range []int{1, 1000, 0, 31, 32, 33, 7} {
		require.NoError(t, inserter.Insert(t.Context(), rowsOf(world.SignIns(size)...)))
		total += size
	}
	var stored, ids, raws uint64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(), uniqExact(id), countIf(position(raw, source_id) > 0) FROM sign_ins FINAL").Scan(&stored, &ids, &raws))
	require.Equal(t, []uint64{uint64(total), uint64(total), uint64(total)}, []uint64{stored, ids, raws})
}

func TestOldRecordsOfManyMonthsInOneInsert(t *testing.T) {
	conn := migrated(t)
	var events []*eventv1.Event
	for i := range 150 {
		e := tablestest.Filled("audit")
		e.OccurredAt = timestamppb.New(time.Date(2014, time.Month(1+i), 3, 0, 0, 0, 0, time.UTC))
		events = append(events, e)
	}
	table := tables.NewEvents().For(events[0])[0]
	require.NoError(t, tables.NewInserter(conn, table).Insert(t.Context(), rowsOf(events...)))
	var stored uint64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM audits FINAL").Scan(&stored))
	require.Equal(t, uint64(150), stored)
}

func TestAppenderDoesNotChangeMessages(t *testing.T) {
	conn := migrated(t)
	for _, kind := range tablestest.Kinds() {
		e := tablestest.Filled(kind)
		before := proto.Clone(e)
		insert(t, conn, e)
		require.True(t, proto.Equal(before, e), kind)
	}
}

func TestArraysOfJSONColumns(t *testing.T) {
	conn := migrated(t)
	e := tablestest.Filled("signin")
	policies := e.GetSignIn().GetAppliedConditionalAccessPolicies()
	policies[0].DisplayName = "a \"quoted\" \\ name\n\x01 \xff, ä"
	policies[1] = &eventv1.ConditionalAccessPolicy{Id: "bare"}
	empty := tablestest.Filled("signin")
	empty.Id = strings.Repeat("f", 32)
	empty.Payload = &eventv1.Event_SignIn{SignIn: &eventv1.SignIn{}}
	insert(t, conn, e, empty)
	reader, err := conn.QueryFormat(t.Context(), "JSONEachRow", `SELECT conditional_access_policy_ids AS ids,
		conditional_access_policy_names AS names, conditional_access_policy_results AS results,
		conditional_access_grant_controls AS controls, authentication_step_methods AS methods, authentication_processing AS processing
		FROM sign_ins FINAL ORDER BY id`)
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	got, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(`{"ids":["sign_in.applied_conditional_access_policies.0.id","bare"],`+
		`"names":["a \"quoted\" \\ name\n\u0001 �, ä",""],`+
		`"results":["sign_in.applied_conditional_access_policies.0.result",""],`+
		`"controls":[["sign_in.applied_conditional_access_policies.0.enforced_grant_controls.0","sign_in.applied_conditional_access_policies.0.enforced_grant_controls.1"],[]],`+
		`"methods":["sign_in.authentication_details.0.method","sign_in.authentication_details.1.method"],`+
		`"processing":{"sign_in.authentication_processing_details.0.key":"sign_in.authentication_processing_details.0.value",`+
		`"sign_in.authentication_processing_details.1.key":"sign_in.authentication_processing_details.1.value"}}
{"ids":[],"names":[],"results":[],"controls":[],"methods":[],"processing":{}}
`, string(got)))
}
