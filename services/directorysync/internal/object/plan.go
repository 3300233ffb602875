package object

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

// model fills in the payload of an object from Graph's properties.
type model func(f fields, o *directoryv1.Object)

// models are by kind. Kinds without one have their raw record alone.
var models = map[string]model{
	"user": user, "user_activity": userActivity, "authentication_registration": registration, "mailbox": mailbox, "mailbox_rules": mailboxRules,
	"group": group, "device": device, "managed_device": managedDevice,
	"application": application, "service_principal": servicePrincipal, "service_principal_activity": servicePrincipalActivity,
	"application_owners": owners("application"), "service_principal_owners": owners("service_principal"),
	"app_role_assignment": appRoleAssignment, "oauth2_grant": oauth2Grant,
	"directory_role": roleDefinition, "role_definition": roleDefinition, "role_assignment": roleAssignment, "role_eligibility": roleAssignment, "role_schedule": roleAssignment,
	"conditional_access_policy": policy, "named_location": policy, "policy": policy, "authentication_strength": policy,
	"cross_tenant_partner": policy,
}

// Identity is what all objects of a reading share.
type Identity struct {
	Kind, TenantID, Integration string
}

// Subject is the subject of an object's state.
func (i Identity) Subject(id string) string { return directoryv1.ObjectSubject(i.Kind, i.TenantID, id) }

// Seen is what Graph said of one object.
type Seen struct {
	ID string
	// Removed is "changed" (deleted, can be restored), "deleted" (gone), "vanished" (a whole reading did not have it) or
	// empty.
	Removed string
	// Date is the server's clock.
	Date time.Time

	properties fields
	// relations are the references that the object came with; a name that is missing says nothing.
	relations map[string][]Reference
}

// Reference is a relation that began or ended.
type Reference struct {
	Member  *directoryv1.Member
	Removed bool
}

const (
	deltaSuffix = "@delta"
	annotation  = "@odata."
	removedMark = "@removed"
	// RemovedVanished is Seen.Removed of what a whole reading did not have.
	RemovedVanished = "vanished"
)

// Read reads an element of a page. key is the property that has the id. It fails with ErrUnreadable.
func Read(raw []byte, key string, date time.Time) (Seen, error) {
	f, err := parse(raw)
	if err != nil {
		return Seen{}, err
	}
	s := Seen{ID: f.text(key), Date: date, properties: f}
	if s.ID == "" {
		return Seen{}, fmt.Errorf("reading object: %w: it has no %s", ErrUnreadable, key)
	}
	s.read()
	return s, nil
}

// ReadSingle reads the only object of its kind, whose id is given.
func ReadSingle(raw []byte, id string, date time.Time) (Seen, error) {
	f, err := parse(raw)
	if err != nil {
		return Seen{}, err
	}
	s := Seen{ID: id, Date: date, properties: f}
	s.read()
	return s, nil
}

// read takes what is no property out of the properties.
func (s *Seen) read() {
	if removed := s.properties.object(removedMark); removed != nil {
		s.Removed = "changed"
		if removed.text("reason") == "deleted" {
			s.Removed = "deleted"
		}
	}
	kept := s.properties[:0]
	for _, m := range s.properties {
		relation, isDelta := strings.CutSuffix(m.name, deltaSuffix)
		switch {
		case isDelta:
			if s.relations == nil {
				s.relations = map[string][]Reference{}
			}
			s.relations[relation] = fields{m}.references(m.name)
		case m.name == removedMark, strings.Contains(m.name, annotation) && m.name != "@odata.type":
		default:
			kept = append(kept, m)
		}
	}
	s.properties = kept
}

func (f fields) references(name string) []Reference {
	var all []Reference
	for _, o := range f.objects(name) {
		if m := o.member(); m.GetId() != "" {
			all = append(all, Reference{Member: m, Removed: o.value(removedMark) != nil})
		}
	}
	return all
}

// Relation returns what the object said of a relation ("members").
func (s *Seen) Relation(name string) []Reference { return s.relations[name] }

// Relations returns what the object said of each relation.
func (s *Seen) Relations() map[string][]Reference { return s.relations }

// Next returns the state that follows prev, nil for none, when Graph says seen. It returns nil if that is nothing new.
// A property that is absent keeps its value: a delta may tell what has changed alone.
func (i Identity) Next(prev *directoryv1.Object, seen Seen, now time.Time) *directoryv1.Object {
	next := &directoryv1.Object{
		Object: i.Kind, TenantId: i.TenantID, Id: seen.ID, Integration: i.Integration,
		Version: bus.Version(true, seen.Date, 0, 0, 0), ObservedAt: timestamppb.New(now), DisplayName: prev.GetDisplayName(),
	}
	next.Version = max(next.GetVersion(), prev.GetVersion()+1)
	if seen.Removed != "" {
		return removal(prev, next, seen.Removed)
	}
	properties, before := seen.properties, fields{}
	if prev != nil && !prev.GetDeleted() {
		before, _ = parse(prev.GetRaw())
		properties = before.merge(seen.properties)
	}
	next.Raw = properties.encode()
	next.DisplayName = properties.text("displayName")
	if fill, ok := models[i.Kind]; ok {
		fill(properties, next)
	}
	related := relate(prev, next, &seen)
	switch {
	case prev == nil:
		next.Change = directoryv1.Change_CHANGE_CREATED
	case prev.GetDeleted():
		next.Change = directoryv1.Change_CHANGE_RESTORED
	default:
		next.Change = directoryv1.Change_CHANGE_UPDATED
		next.Changed = append(changed(before, properties), related...)
		slices.Sort(next.GetChanged())
		if len(next.GetChanged()) == 0 || i.recomputed(next.GetChanged()) {
			return nil
		}
	}
	return next
}

// recomputed reports whether all that differs is when Graph computed a report. It does that for each user again and again:
// as states they would push those that say something out of the stream.
func (i Identity) recomputed(changed []string) bool {
	return i.Kind == "authentication_registration" && slices.Equal(changed, []string{"lastUpdatedDateTime"})
}

// removal makes next a tombstone; nil if the object is unknown or known to be gone as much.
func removal(prev, next *directoryv1.Object, reason string) *directoryv1.Object {
	if prev == nil {
		return nil
	}
	next.Deleted, next.Change = true, directoryv1.Change_CHANGE_VANISHED
	switch reason {
	case "changed":
		next.Change = directoryv1.Change_CHANGE_DELETED
	case "deleted":
		next.Change = directoryv1.Change_CHANGE_PURGED
	}
	if prev.GetDeleted() && (prev.GetChange() == next.GetChange() || next.GetChange() != directoryv1.Change_CHANGE_PURGED) {
		return nil
	}
	return next
}

// changed returns the names of the properties that differ. The order of an object's members is no difference; that of
// an array is.
func changed(before, after fields) []string {
	var names []string
	for _, m := range after {
		if !same(before.value(m.name), m.value) {
			names = append(names, m.name)
		}
	}
	return names
}

func same(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if len(a) == 0 {
		return bytes.Equal(b, []byte("null")) // what has never been set may be absent
	}
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}
