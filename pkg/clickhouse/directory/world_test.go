package directory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
	"github.com/entraflow/entraflow/pkg/clickhouse/migrations"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(clickhousetest.Main(m)) }

const tenant = "11111111-2222-3333-4444-555555555555"

func now() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }

// world is a directory that tests write by hand.
type world struct {
	conn    driver.Conn
	version uint64
	objects []*directoryv1.Object
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	store := clickhousetest.New(tb)
	settings := migrations.Settings{EventDays: 400, DeadLetterDays: 90, AuditDays: 400}
	require.NoError(tb, clickhouse.Migrate(tb.Context(), store.Conn(), migrations.Files,
		clickhouse.MigrateOptions{Schema: store.Schema(settings.Map())}))
	return &world{conn: store.Conn()}
}

// put adds an object; store stores what was added.
func (w *world) put(object, id string, o *directoryv1.Object) {
	w.version++
	o.Object, o.Id, o.TenantId, o.Version = object, id, tenant, w.version
	o.ObservedAt, o.Change = timestamppb.New(now()), directoryv1.Change_CHANGE_CREATED
	w.objects = append(w.objects, o)
}

func (w *world) user(id string, change ...func(*directoryv1.User)) {
	u := &directoryv1.User{
		UserPrincipalName: id + "@example.com", DisplayName: "Name of " + id, UserType: "Member", ManagerId: "boss",
		AccountEnabled: new(true),
	}
	for _, c := range change {
		c(u)
	}
	w.put("user", id, &directoryv1.Object{DisplayName: u.GetDisplayName(), Payload: &directoryv1.Object_User{User: u}})
}

// group adds a group with members: "g:x" is the group x, "sp:x" a service principal, anything else a user.
func (w *world) group(id string, members ...string) {
	w.put("group", id, &directoryv1.Object{DisplayName: "Group " + id, Payload: &directoryv1.Object_Group{Group: &directoryv1.Group{}}})
	payload := &directoryv1.GroupMembers{GroupId: id}
	for _, name := range members {
		m := &directoryv1.Member{Id: name, Kind: "user"}
		for prefix, kind := range map[string]string{"g:": "group", "sp:": "service_principal"} {
			if len(name) > len(prefix) && name[:len(prefix)] == prefix {
				m = &directoryv1.Member{Id: name[len(prefix):], Kind: kind}
			}
		}
		payload.Members = append(payload.Members, m)
	}
	w.put("group_members", id+"-0", &directoryv1.Object{Payload: &directoryv1.Object_GroupMembers{GroupMembers: payload}})
}

// role assigns a role. object is role_assignment, role_schedule or role_eligibility.
func (w *world) role(object, role, principal string, change ...func(*directoryv1.RoleAssignment)) {
	a := &directoryv1.RoleAssignment{RoleDefinitionId: role, PrincipalId: principal, DirectoryScopeId: "/"}
	for _, c := range change {
		c(a)
	}
	w.put(object, fmt.Sprint(role, "-", principal, "-", w.version), &directoryv1.Object{Payload: &directoryv1.Object_RoleAssignment{RoleAssignment: a}})
}

func (w *world) definition(id string, d *directoryv1.RoleDefinition) {
	w.put("role_definition", id, &directoryv1.Object{DisplayName: d.GetDisplayName(), Payload: &directoryv1.Object_RoleDefinition{RoleDefinition: d}})
}

func (w *world) remove(object, id string) {
	w.put(object, id, &directoryv1.Object{})
	w.objects[len(w.objects)-1].Change, w.objects[len(w.objects)-1].Deleted = directoryv1.Change_CHANGE_DELETED, true
}

func (w *world) store(tb testing.TB) {
	tb.Helper()
	set := tables.NewDirectory()
	byTable := map[*tables.Table[*directoryv1.Object]][]tables.Row[*directoryv1.Object]{}
	for _, o := range w.objects {
		table := set.For(o)[1]
		byTable[table] = append(byTable[table], tables.Row[*directoryv1.Object]{Message: o, StoredAt: now()})
	}
	for table, rows := range byTable {
		require.NoError(tb, tables.NewInserter(w.conn, table).Insert(tb.Context(), rows))
	}
	w.objects = nil
}

// lines returns the rows of a query of one text.
func (w *world) lines(tb testing.TB, query string, params ...any) []string {
	tb.Helper()
	rows, err := w.conn.Query(tb.Context(), query, params...)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, rows.Close()) }()
	var lines []string
	for rows.Next() {
		var line string
		require.NoError(tb, rows.Scan(&line))
		lines = append(lines, line)
	}
	require.NoError(tb, rows.Err())
	return lines
}
