// Package directory compares what a stream and a store hold of a tenant's directory with what the simulator has, object
// by object and link by link. It is for tests.
package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// Collection is one that is compared object by object, with its kind in DIRECTORY and its table.
type Collection struct {
	Name        tenant.Collection
	Kind, table string
}

// Collections returns those that are compared. The slice is the caller's.
func Collections() []Collection {
	return []Collection{
		{tenant.Users, "user", "users_current"},
		{tenant.Groups, "group", "groups_current"},
		{tenant.Devices, "device", "devices_current"},
		{tenant.Applications, "application", "applications_current"},
		{tenant.ServicePrincipals, "service_principal", "service_principals_current"},
	}
}

// Link says that one object is related to another.
type Link struct{ Relation, From, To string }

// Directory is what a place holds. It has one user at a time.
type Directory struct {
	// Objects are properties by kind and id.
	Objects map[string]map[string]map[string]any
	// Links are true, or false if they lead to what is soft-deleted: such a link may be missing elsewhere.
	Links map[Link]bool
}

// New returns an empty directory.
func New() Directory {
	return Directory{Objects: map[string]map[string]map[string]any{}, Links: map[Link]bool{}}
}

func (d Directory) put(kind, id string, properties map[string]any) {
	if d.Objects[kind] == nil {
		d.Objects[kind] = map[string]map[string]any{}
	}
	d.Objects[kind][id] = properties
}

// putRaw puts an object as Graph wrote it.
func (d Directory) putRaw(kind, id string, raw []byte) error {
	var properties map[string]any
	if err := json.Unmarshal(raw, &properties); err != nil {
		return fmt.Errorf("reading the record of %s %s: %w", kind, id, err)
	}
	d.put(kind, id, properties)
	return nil
}

// TakeTruth takes in a collection as the simulator writes its truth: a JSON object a line.
func (d Directory) TakeTruth(kind string, lines io.Reader) error {
	for decoder := json.NewDecoder(lines); ; {
		var o map[string]any
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the truth of %s: %w", kind, err)
		}
		id, _ := o["id"].(string)
		d.put(kind, id, o)
		for _, relation := range []string{"members", "owners", "manager"} {
			if relation == "owners" && kind != "group" {
				continue // objects of their own
			}
			list, _ := o[relation].([]any)
			for _, one := range list {
				to, _ := one.(map[string]any)
				gone, _ := to["deleted"].(bool)
				other, _ := to["id"].(string)
				d.Links[Link{relation, id, other}] = !gone
			}
		}
	}
}

// Take takes in the last state of an object, if it is of one of the kinds, or a shard of members.
func (d Directory) Take(o *directoryv1.Object, kinds []string) error {
	switch {
	case o.GetDeleted():
		return nil
	case o.GetObject() == "group_members":
		for _, m := range o.GetGroupMembers().GetMembers() {
			d.Links[Link{"members", o.GetGroupMembers().GetGroupId(), m.GetId()}] = true
		}
		return nil
	case !slices.Contains(kinds, o.GetObject()):
		return nil
	}
	for _, owner := range o.GetGroup().GetOwners() {
		d.Links[Link{"owners", o.GetId(), owner.GetId()}] = true
	}
	if manager := o.GetUser().GetManagerId(); manager != "" {
		d.Links[Link{"manager", o.GetId(), manager}] = true
	}
	return d.putRaw(o.GetObject(), o.GetId(), o.GetRaw())
}

// ReadStore reads what ClickHouse says is there.
func ReadStore(ctx context.Context, conn driver.Conn, kinds []string) (Directory, error) {
	d := New()
	for _, c := range Collections() {
		if !slices.Contains(kinds, c.Kind) {
			continue
		}
		err := eachPair(ctx, conn, fmt.Sprintf(`SELECT id, raw FROM (SELECT id FROM %s FINAL WHERE NOT deleted) AS c
			LEFT JOIN (SELECT id, argMax(raw, version) AS raw FROM directory_history WHERE object = '%s' GROUP BY id) AS h USING id`,
			c.table, c.Kind), func(id, raw string) error {
			if _, twice := d.Objects[c.Kind][id]; twice {
				return fmt.Errorf("%s %s is there twice", c.Kind, id)
			}
			return d.putRaw(c.Kind, id, []byte(raw))
		})
		if err != nil {
			return d, fmt.Errorf("reading %s: %w", c.table, err)
		}
	}
	for relation, query := range map[string]string{
		"members": "SELECT group_id, member_id FROM memberships",
		"owners":  "SELECT id, owner FROM groups_current FINAL ARRAY JOIN `owners.id` AS owner WHERE NOT deleted",
		"manager": "SELECT id, manager_id FROM users_current FINAL WHERE NOT deleted AND manager_id != ''",
	} {
		err := eachPair(ctx, conn, query, func(from, to string) error {
			d.Links[Link{relation, from, to}] = true
			return nil
		})
		if err != nil {
			return d, fmt.Errorf("reading %s: %w", relation, err)
		}
	}
	return d, nil
}

// eachPair calls handle for each row of two texts.
func eachPair(ctx context.Context, conn driver.Conn, query string, handle func(a, b string) error) error {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		var a, b string
		if err := rows.Scan(&a, &b); err != nil {
			return err
		}
		if err := handle(a, b); err != nil {
			return err
		}
	}
	return rows.Err()
}

// DiffersFrom says where a directory is not the truth; nil if it is.
func (d Directory) DiffersFrom(truth Directory) error {
	var all []string
	for kind, want := range truth.Objects {
		all = append(all, compare(kind, d.Objects[kind], want)...)
	}
	for l, needed := range truth.Links {
		if needed && !d.Links[l] {
			all = append(all, fmt.Sprintf("%+v is missing", l))
		}
	}
	for l := range d.Links {
		if _, ok := truth.Links[l]; !ok {
			all = append(all, fmt.Sprintf("%+v is gone", l))
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	const shown = 10
	return fmt.Errorf("%d differences:\n%s", len(all), strings.Join(all[:min(shown, len(all))], "\n"))
}

// compare compares objects of a kind in the properties that any of them has: those that Graph was asked for.
func compare(kind string, got, want map[string]map[string]any) (all []string) {
	selected := map[string]bool{}
	for _, o := range got {
		for name := range o {
			selected[name] = true
		}
	}
	for id, properties := range want {
		o, ok := got[id]
		if !ok {
			all = append(all, fmt.Sprintf("%s %s is missing", kind, id))
			continue
		}
		for name := range selected {
			if !reflect.DeepEqual(o[name], properties[name]) {
				all = append(all, fmt.Sprintf("%s %s: %s is %v, want %v", kind, id, name, o[name], properties[name]))
			}
		}
	}
	for id := range got {
		if _, ok := want[id]; !ok {
			all = append(all, fmt.Sprintf("%s %s is gone", kind, id))
		}
	}
	return all
}
