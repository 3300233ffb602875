package tables_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables/tablestest"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// onlyInRaw are the fields that have no column, each with the reason.
var onlyInRaw = map[string]string{
	"sign_in.event_types":                  "data_type says it",
	"sign_in.conditional_access_audiences": "nobody filters by it, and an Array column costs with each merge",
	"sign_in.authentication_methods_used":  "old records only; authentication_steps says it for all others",
	"raw_blob.name":                        "the sink reads the bytes into raw before it stores the event",
	"raw_blob.size":                        "as raw_blob.name",
	"sign_in.applied_conditional_access_policies.conditions_satisfied": "names or a bit mask, as the source likes: " +
		"no query could use both, and there is one for each of a tenant's policies in each sign-in",
	"sign_in.applied_conditional_access_policies.conditions_not_satisfied": "as conditions_satisfied",
}

func TestEveryFieldHasAColumn(t *testing.T) {
	missing := map[string]bool{"raw_blob.name": true, "raw_blob.size": true} // Filled leaves them out
	for _, kind := range tablestest.Kinds() {
		e := tablestest.Filled(kind)
		for _, table := range tables.NewEvents().For(e) {
			full := fieldsOf(t, table, e)
			leaves(e.ProtoReflect(), "", func(path string, clear func() (restore func())) {
				restore := clear()
				defer restore()
				if cmp.Equal(full, fieldsOf(t, table, e)) {
					missing[path] = true
				}
			})
		}
	}
	require.Empty(t, cmp.Diff(slices.Sorted(maps.Keys(onlyInRaw)), slices.Sorted(maps.Keys(missing))))
}

func TestEveryFieldOfADeadLetterHasAColumn(t *testing.T) {
	missing := map[string]bool{}
	for _, inHub := range []bool{true, false} {
		d := tablestest.FilledDeadLetter(inHub)
		full := fieldsOf(t, tables.NewDeadLetters(), d)
		leaves(d.ProtoReflect(), "", func(path string, clear func() (restore func())) {
			restore := clear()
			defer restore()
			if cmp.Equal(full, fieldsOf(t, tables.NewDeadLetters(), d)) {
				missing[path] = true
			}
		})
	}
	require.Equal(t, map[string]bool{"raw_blob.size": true}, missing)
}

func TestEveryFieldOfAnAuditEntryHasAColumn(t *testing.T) {
	e := tablestest.FilledAuditEntry()
	full := fieldsOf(t, tables.NewAuditLog(), e)
	leaves(e.ProtoReflect(), "", func(path string, clear func() (restore func())) {
		restore := clear()
		defer restore()
		require.NotEmpty(t, cmp.Diff(full, fieldsOf(t, tables.NewAuditLog(), e)), path)
	})
}

// fieldsOf returns what an Appender makes of a message, by column.
func fieldsOf[M any](t *testing.T, table *tables.Table[M], message M) map[string]string {
	t.Helper()
	var into []column.Interface
	for _, c := range table.Columns() {
		col, err := column.Type(c.Type).Column(c.Name, &column.ServerContext{})
		require.NoError(t, err)
		into = append(into, col)
	}
	require.NoError(t, table.Appender().Append(into, []tables.Row[M]{{Message: message}}))
	fields := make(map[string]string, len(into))
	for _, c := range into {
		require.Equal(t, 1, c.Rows(), c.Name())
		fields[c.Name()] = fmt.Sprint(dereferenced(c))
	}
	return fields
}

// dereferenced is a row's value with pointers followed, so that it can be compared as text.
func dereferenced(c column.Interface) any {
	switch value := c.Row(0, false).(type) {
	case *bool:
		return *value
	case *int64:
		return *value
	case *uint64:
		return *value
	case *uint32:
		return *value
	case *float64:
		return *value
	case []*bool:
		return follow(value)
	case []*string:
		return follow(value)
	default:
		return value
	}
}

func follow[V any](pointers []*V) []string {
	var values []string
	for _, p := range pointers {
		if p == nil {
			values = append(values, "NULL")
			continue
		}
		values = append(values, fmt.Sprint(*p))
	}
	return values
}

// leaves calls visit for each scalar field, list of scalars, and time in m, with a function that
// clears it until restore is called.
func leaves(m protoreflect.Message, path string, visit func(path string, clear func() (restore func()))) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := strings.TrimPrefix(path+"."+string(field.Name()), ".")
		isMessage := field.Message() != nil && !field.IsMap() && field.Message().FullName() != "google.protobuf.Timestamp"
		switch {
		case isMessage && field.IsList():
			leaves(value.List().Get(1).Message(), name, visit)
		case isMessage:
			leaves(value.Message(), name, visit)
		default:
			visit(name, func() func() {
				kept := proto.Clone(m.Interface()).ProtoReflect().Get(field)
				m.Clear(field)
				return func() { m.Set(field, kept) }
			})
		}
		return true
	})
}

func TestEveryColumnOfTheSchemaIsWritten(t *testing.T) {
	conn := migrated(t)
	check := func(name string, columns map[string]string) {
		t.Helper()
		require.Empty(t, cmp.Diff(schemaOf(t, conn, name), columns), name)
	}
	for _, table := range tables.NewEvents().All() {
		check(table.Name(), sentBy(table))
	}
	check(tables.DeadLetters, sentBy(tables.NewDeadLetters()))
	check(tables.AuditLog, sentBy(tables.NewAuditLog()))
}

func sentBy[M any](table *tables.Table[M]) map[string]string {
	columns := make(map[string]string)
	for _, c := range table.Columns() {
		columns[c.Name] = c.Type
	}
	return columns
}

// schemaOf returns the columns of a table with their types, low cardinality apart.
func schemaOf(t *testing.T, conn driver.Conn, table string) map[string]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT name, replaceAll(type, 'LowCardinality(String)', 'String')
		FROM system.columns WHERE default_kind = '' AND database = currentDatabase() AND table = {table:String}`, driver.NamedValue{Name: "table", Value: table})
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	columns := make(map[string]string)
	for rows.Next() {
		var name, kind string
		require.NoError(t, rows.Scan(&name, &kind))
		columns[name] = kind
	}
	require.NoError(t, rows.Err())
	return columns
}

func TestRowsWithNothingSet(t *testing.T) {
	conn := migrated(t)
	now := timestamppb.New(tablestest.Start())
	for _, kind := range tablestest.Kinds() {
		e := tablestest.Filled(kind)
		proto.Reset(payloadOf(e))
		insert(t, conn, e)
	}
	letter := tables.Row[*eventv1.DeadLetter]{Message: &eventv1.DeadLetter{Id: "x", FailedAt: now}}
	require.NoError(t, tables.NewInserter(conn, tables.NewDeadLetters()).Insert(t.Context(), []tables.Row[*eventv1.DeadLetter]{letter}))
	entry := tables.Row[*controlv1.AuditEntry]{Message: &controlv1.AuditEntry{Id: "x", Time: now}}
	require.NoError(t, tables.NewInserter(conn, tables.NewAuditLog()).Insert(t.Context(), []tables.Row[*controlv1.AuditEntry]{entry}))
}

func payloadOf(e *eventv1.Event) proto.Message {
	m := e.ProtoReflect()
	return m.Get(m.WhichOneof(m.Descriptor().Oneofs().ByName("payload"))).Message().Interface()
}
