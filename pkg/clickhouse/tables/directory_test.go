package tables_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

// insertObjects stores objects in the tables they belong to, with one insert into each.
func insertObjects(t *testing.T, conn driver.Conn, objects ...*directoryv1.Object) {
	t.Helper()
	set := tables.NewDirectory()
	byTable := map[*tables.Table[*directoryv1.Object]][]tables.Row[*directoryv1.Object]{}
	for _, o := range objects {
		for _, table := range set.For(o) {
			byTable[table] = append(byTable[table], tables.Row[*directoryv1.Object]{Message: o, Sequence: 42, StoredAt: tablestest.Start()})
		}
	}
	for table, rows := range byTable {
		require.NoError(t, tables.NewInserter(conn, table).Insert(t.Context(), rows))
	}
}

// Of what an object is, raw has everything; the columns of the newest states have what is listed nowhere here.
func TestEveryFieldOfAnObjectHasAColumn(t *testing.T) {
	inCurrent, inHistory := map[string]bool{}, map[string]bool{}
	for _, object := range tablestest.Objects() {
		o := tablestest.FilledObject(object)
		set := tables.NewDirectory().For(o)
		require.Len(t, set, 2)
		for missing, table := range map[*map[string]bool]*tables.Table[*directoryv1.Object]{&inHistory: set[0], &inCurrent: set[1]} {
			full := fieldsOf(t, table, o)
			leaves(o.ProtoReflect(), "", func(path string, clear func() (restore func())) {
				restore := clear()
				defer restore()
				if cmp.Equal(full, fieldsOf(t, table, o)) {
					(*missing)[path] = true
				}
			})
		}
	}
	for _, missing := range []map[string]bool{inHistory, inCurrent} {
		require.True(t, missing["unread"], "it is for who writes the stream")
		delete(missing, "unread")
	}
	// The object's own display_name says those of payloads; changed is said by the history alone.
	require.Equal(t, []string{
		"application.display_name", "changed", "device.display_name", "group.display_name",
		"policy.name", "raw", "role_definition.display_name", "service_principal.display_name", "user.display_name",
	}, slices.Sorted(maps.Keys(inCurrent)))
	for path := range inHistory {
		require.Contains(t, path, ".", "a field of the envelope")
		require.NotContains(t, path, "group_members.members", "a shard has no raw")
	}
}

// A tombstone leaves the row of the newest state, whatever it was, without anything but the envelope.
func TestTombstonesAndObjectsThatAreBack(t *testing.T) {
	conn := migrated(t)
	cases := []struct {
		name    string
		arrival []uint64 // versions; an odd one is a tombstone
		deleted bool
	}{
		{"deleted", []uint64{2, 3}, true},
		{"deleted, late state", []uint64{3, 2}, true},
		{"deleted, redelivered", []uint64{2, 3, 2, 3, 3}, true},
		{"restored", []uint64{2, 3, 4}, false},
		{"restored, late tombstone", []uint64{4, 2, 3}, false},
		{"tombstone alone", []uint64{5}, true},
		{"never deleted", []uint64{4, 2, 6}, false},
	}
	kinds := append(tablestest.Objects(), "role_schedule", "role_eligibility", "directory_role", "named_location", "service_principal_owners", "mailbox_rules")
	want, states := map[string]bool{}, map[string]int{}
	for _, tc := range cases {
		want[tc.name], states[tc.name] = tc.deleted, len(slices.Compact(slices.Sorted(slices.Values(tc.arrival))))
	}
	for step := range 5 {
		var arrived []*directoryv1.Object
		for _, object := range kinds {
			for _, tc := range cases {
				if step < len(tc.arrival) {
					arrived = append(arrived, stateOf(object, tc.name, tc.arrival[step]))
				}
			}
		}
		insertObjects(t, conn, arrived...)
	}
	for _, object := range kinds {
		table := tables.NewDirectory().For(&directoryv1.Object{Object: object})[1].Name()
		for range 2 {
			require.Empty(t, cmp.Diff(want, pairs[bool](t, conn, "SELECT id, deleted FROM "+table+" FINAL WHERE object = {object:String}", object)), object)
			require.Empty(t, cmp.Diff(states, counts(t, conn, object)), object)
			require.NoError(t, conn.Exec(t.Context(), "OPTIMIZE TABLE "+table+" FINAL"))
		}
	}
}

// stateOf is a state of an object; an odd version is a tombstone. Each was seen in another month.
func stateOf(object, id string, version uint64) *directoryv1.Object {
	o := tablestest.FilledObject(object)
	if version%2 == 1 {
		o = tablestest.Tombstone(object)
	}
	o.Id, o.Version = id, version
	o.ObservedAt = timestamppb.New(time.Date(2026, time.Month(1+version), 1, 0, 0, 0, 0, time.UTC))
	return o
}

func counts(t *testing.T, conn driver.Conn, object string) map[string]int {
	t.Helper()
	counted := map[string]int{}
	for id, n := range pairs[uint64](t, conn, "SELECT id, count() FROM directory_history FINAL WHERE object = {object:String} GROUP BY id", object) {
		counted[id] = int(n)
	}
	return counted
}

// pairs returns the rows of a query as a map; a key twice is an error.
func pairs[V any](t *testing.T, conn driver.Conn, query, object string) map[string]V {
	t.Helper()
	rows, err := conn.Query(t.Context(), query, driver.NamedValue{Name: "object", Value: object})
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	found := map[string]V{}
	for rows.Next() {
		var id string
		var value V
		require.NoError(t, rows.Scan(&id, &value))
		require.NotContains(t, found, id)
		found[id] = value
	}
	require.NoError(t, rows.Err())
	return found
}

// Ids of schedules are often those of their assignments.
func TestEqualIDsOfDifferentKindsAreDifferentRows(t *testing.T) {
	conn := migrated(t)
	var all []*directoryv1.Object
	for _, object := range []string{
		"role_assignment", "role_schedule", "role_eligibility", "role_definition", "directory_role", "policy",
		"conditional_access_policy", "domain", "organization", "mailbox", "mailbox_rules",
	} {
		o := tablestest.FilledObject(object)
		o.Id = "same"
		all = append(all, o)
	}
	insertObjects(t, conn, all...)
	for table, want := range map[string]uint64{
		"role_assignments_current": 3, "role_definitions_current": 2, "policies_current": 2, "directory_current": 2, "mailboxes_current": 2, "directory_history": 11,
	} {
		require.NoError(t, conn.Exec(t.Context(), "OPTIMIZE TABLE "+table+" FINAL"))
		var rows uint64
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM "+table).Scan(&rows))
		require.Equal(t, want, rows, table)
	}
}

func TestViewsShowWhatIsThere(t *testing.T) {
	conn := migrated(t)
	var all []*directoryv1.Object
	for _, object := range tablestest.Objects() {
		there, gone := tablestest.FilledObject(object), tablestest.Tombstone(object)
		gone.Id = "gone"
		all = append(all, there, gone)
	}
	insertObjects(t, conn, all...)
	rows, err := conn.Query(t.Context(), "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View' ORDER BY name")
	require.NoError(t, err)
	var views []string
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		views = append(views, name)
	}
	require.NoError(t, errorsOf(rows))
	// Every table of newest states has one but directory_current and group_members_current, and there are four more.
	require.Len(t, views, len(tables.NewDirectory().All())-3+4)
	for _, view := range views {
		want := uint64(1)
		switch view {
		case "memberships":
			want = 2 // both members of the shard
		case "group_edges":
			want = 0 // no member is a group
		case "credentials":
			want = 4 // two each of the application and the service principal
		}
		var got uint64
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count() FROM "+view+" WHERE tenant_id != 'other'").Scan(&got))
		require.Equal(t, want, got, view)
	}
}

func errorsOf(rows driver.Rows) error {
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

// While a group is split a member may be in two shards.
func TestAMemberOfTwoShardsIsOneMember(t *testing.T) {
	conn := migrated(t)
	shard := func(n string, version uint64, members ...string) *directoryv1.Object {
		o := tablestest.FilledObject("group_members")
		o.Id, o.Version = "g-"+n, version
		payload := &directoryv1.GroupMembers{GroupId: "g"}
		for _, id := range members {
			payload.Members = append(payload.Members, &directoryv1.Member{Id: id, Kind: "user"})
		}
		o.Payload = &directoryv1.Object_GroupMembers{GroupMembers: payload}
		return o
	}
	insertObjects(t, conn, shard("0", 2, "a", "b", "c"), shard("0", 1, "old"), shard("1", 2, "b", "d"), shard("2", 1))
	gone := tablestest.Tombstone("group")
	gone.Id = "other"
	insertObjects(t, conn, gone)
	var members string
	require.NoError(t, conn.QueryRow(t.Context(),
		"SELECT arrayStringConcat(arraySort(groupArray(member_id)), ' ') FROM memberships WHERE group_id = 'g'").Scan(&members))
	require.Equal(t, "a b c d", members)
	gone.Id = "g"
	insertObjects(t, conn, gone)
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT toString(count()) FROM memberships").Scan(&members))
	require.Equal(t, "0", members, "a deleted group has no members")
}

func TestEveryColumnOfTheDirectoryIsWritten(t *testing.T) {
	conn := migrated(t)
	for _, table := range tables.NewDirectory().All() {
		require.Empty(t, cmp.Diff(schemaOf(t, conn, table.Name()), sentBy(table)), table.Name())
		require.True(t, strings.HasSuffix(table.Name(), "_current") || table.Name() == tables.DirectoryHistory)
	}
}
