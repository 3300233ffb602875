package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	generator "github.com/entraflow/entraflow/services/simulator/tenant"
)

// compared are the collections that are compared object by object, with their kinds in DIRECTORY and their tables.
var compared = []struct {
	collection  generator.Collection
	kind, table string
}{
	{generator.Users, "user", "users_current"},
	{generator.Groups, "group", "groups_current"},
	{generator.Devices, "device", "devices_current"},
	{generator.Applications, "application", "applications_current"},
	{generator.ServicePrincipals, "service_principal", "service_principals_current"},
}

// link says that one object is related to another.
type link struct{ relation, from, to string }

// directory is what a place holds: the properties of objects by kind and id, and how they are related. A link that is false
// leads to what is soft-deleted; it may be missing elsewhere.
type directory struct {
	objects map[string]map[string]map[string]any
	links   map[link]bool
}

func newDirectory() directory {
	return directory{objects: map[string]map[string]map[string]any{}, links: map[link]bool{}}
}

func (d directory) put(kind, id string, properties map[string]any) {
	if d.objects[kind] == nil {
		d.objects[kind] = map[string]map[string]any{}
	}
	d.objects[kind][id] = properties
}

// putRaw puts an object as Graph wrote it.
func (d directory) putRaw(kind, id string, raw []byte) error {
	var properties map[string]any
	if err := json.Unmarshal(raw, &properties); err != nil {
		return fmt.Errorf("reading the record of %s %s: %w", kind, id, err)
	}
	d.put(kind, id, properties)
	return nil
}

// truth reads what the simulator has of kinds.
func (s *simulatedTenant) directory(ctx context.Context, kinds []string) (directory, error) {
	d := newDirectory()
	for _, c := range compared {
		if !slices.Contains(kinds, c.kind) {
			continue
		}
		err := s.objects(ctx, c.collection, func(o map[string]any) {
			id, _ := o["id"].(string)
			d.put(c.kind, id, o)
			for _, relation := range []string{"members", "owners", "manager"} {
				if relation == "owners" && c.kind != "group" {
					continue // objects of their own
				}
				list, _ := o[relation].([]any)
				for _, one := range list {
					to, _ := one.(map[string]any)
					gone, _ := to["deleted"].(bool)
					other, _ := to["id"].(string)
					d.links[link{relation, id, other}] = !gone
				}
			}
		})
		if err != nil {
			return d, err
		}
	}
	return d, nil
}

// streamed reads DIRECTORY from the start as a new reader does, and returns the size of its largest message.
func (w *world) streamed(ctx context.Context, kinds []string) (d directory, largest int, err error) {
	d = newDirectory()
	consumer, err := w.operator.JetStream().OrderedConsumer(ctx, directoryv1.ObjectStream, jetstream.OrderedConsumerConfig{
		DeliverPolicy:  jetstream.DeliverLastPerSubjectPolicy,
		FilterSubjects: []string{directoryv1.ObjectFilter("", w.tenant.Tenant.TenantID, "")},
	})
	if err != nil {
		return d, 0, err
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return d, 0, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return d, 0, err
	}
	defer messages.Stop()
	for left := info.NumPending; left > 0; left-- {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return d, 0, err
		}
		largest = max(largest, len(m.Data()))
		o := &directoryv1.Object{}
		if err := proto.Unmarshal(m.Data(), o); err != nil {
			return d, 0, err
		}
		if err := d.take(o, kinds); err != nil {
			return d, 0, err
		}
	}
	return d, largest, nil
}

// take takes in an object's last state.
func (d directory) take(o *directoryv1.Object, kinds []string) error {
	switch {
	case o.GetDeleted():
		return nil
	case o.GetObject() == "group_members":
		for _, m := range o.GetGroupMembers().GetMembers() {
			d.links[link{"members", o.GetGroupMembers().GetGroupId(), m.GetId()}] = true
		}
		return nil
	case !slices.Contains(kinds, o.GetObject()):
		return nil
	}
	for _, owner := range o.GetGroup().GetOwners() {
		d.links[link{"owners", o.GetId(), owner.GetId()}] = true
	}
	if manager := o.GetUser().GetManagerId(); manager != "" {
		d.links[link{"manager", o.GetId(), manager}] = true
	}
	return d.putRaw(o.GetObject(), o.GetId(), o.GetRaw())
}

// differsFrom says where a directory is not the truth; nil if it is.
func (d directory) differsFrom(truth directory) error {
	var all []string
	for kind, want := range truth.objects {
		selected := selectedOf(d.objects[kind])
		for id, properties := range want {
			got, ok := d.objects[kind][id]
			if !ok {
				all = append(all, fmt.Sprintf("%s %s is missing", kind, id))
				continue
			}
			for name := range selected {
				if !reflect.DeepEqual(got[name], properties[name]) {
					all = append(all, fmt.Sprintf("%s %s: %s is %v, want %v", kind, id, name, got[name], properties[name]))
				}
			}
		}
		for id := range d.objects[kind] {
			if _, ok := want[id]; !ok {
				all = append(all, fmt.Sprintf("%s %s is gone", kind, id))
			}
		}
	}
	for l, needed := range truth.links {
		if needed && !d.links[l] {
			all = append(all, fmt.Sprintf("%+v is missing", l))
		}
	}
	for l := range d.links {
		if _, ok := truth.links[l]; !ok {
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

// selectedOf returns the properties that any of the objects has: those that Graph was asked for.
func selectedOf(objects map[string]map[string]any) map[string]bool {
	names := map[string]bool{}
	for _, o := range objects {
		for name := range o {
			names[name] = true
		}
	}
	return names
}

// agreed says how much was compared.
type agreed struct {
	objects, links, largest int
	took                    time.Duration
}

// agree waits until DIRECTORY is what the simulator has, and then the store. The simulator must be quiet. Without kinds all
// that are compared are.
func (w *world) agree(ctx context.Context, t *testing.T, kinds ...string) (agreed, error) {
	t.Helper()
	if len(kinds) == 0 {
		kinds = allKinds()
	}
	truth, a, err := w.agreeStreamed(ctx, kinds)
	if err != nil {
		return a, err
	}
	if err := w.storedAll(ctx, directoryv1.ObjectStream); err != nil {
		return a, err
	}
	d, err := w.storedDirectory(ctx, w.queryable(t), kinds)
	if err == nil {
		err = d.differsFrom(truth)
	}
	if err != nil {
		return a, fmt.Errorf("comparing the store: %w", err)
	}
	return a, nil
}

func allKinds() (kinds []string) {
	for _, c := range compared {
		kinds = append(kinds, c.kind)
	}
	return kinds
}

// agreeStreamed waits until DIRECTORY is what the simulator has, and returns that.
func (w *world) agreeStreamed(ctx context.Context, kinds []string) (truth directory, a agreed, err error) {
	began := time.Now()
	if truth, err = w.tenant.directory(ctx, kinds); err != nil {
		return truth, a, err
	}
	a.links = len(truth.links)
	for _, all := range truth.objects {
		a.objects += len(all)
	}
	err = eventually(ctx, "DIRECTORY to be the truth", func() (bool, error) {
		d, largest, err := w.streamed(ctx, kinds)
		a.largest = largest
		err = errors.Join(err, d.differsFrom(truth))
		if err != nil {
			return false, errors.Join(err, pause(ctx, time.Second)) // comparing is dear
		}
		return true, nil
	})
	a.took = time.Since(began)
	return truth, a, err
}
