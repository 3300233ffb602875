package directory

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/jsonwalk"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// changeable are the collections whose objects can be changed.
func changeable(c tenant.Collection) bool {
	switch c {
	case tenant.Users, tenant.Groups, tenant.Devices, tenant.Applications, tenant.ServicePrincipals:
		return true
	default:
		return false
	}
}

// editable returns the record of an object for a change.
func (d *Directory) editable(ref tenant.Ref) *record {
	t := d.table(ref.Collection)
	r := t.records[ref.Index]
	if r == nil {
		r = &record{patch: map[string]string{}, links: map[tenant.Relation]*links{}}
		t.records[ref.Index] = r
	}
	return r
}

// note writes a change of names, or of the whole object if there are none, into the log.
func (d *Directory) note(ref tenant.Ref, names ...string) uint64 {
	d.seq++
	t, r := d.table(ref.Collection), d.editable(ref)
	r.entries = append(r.entries, len(t.log))
	t.log = append(t.log, entry{seq: d.seq, index: ref.Index, names: names})
	return d.seq
}

// create adds an object. Its id is the body's; it can be found by its other names, too.
func (d *Directory) create(c tenant.Collection, id string, body []byte, names ...string) tenant.Ref {
	t := d.table(c)
	ref := tenant.Ref{Collection: c, Index: d.count(c)}
	t.created = append(t.created, id)
	for _, name := range append(names, id) {
		t.byName[strings.ToLower(name)] = ref.Index
	}
	d.editable(ref).body = body
	d.note(ref)
	return ref
}

// update sets properties of an object to JSON values.
func (d *Directory) update(ref tenant.Ref, properties map[string]string) {
	r := d.editable(ref)
	names := slices.Sorted(maps.Keys(properties))
	for _, name := range names {
		if _, known := r.patch[name]; !known {
			r.names = append(r.names, name)
		}
		r.patch[name] = properties[name]
	}
	d.note(ref, names...)
}

// remove deletes an object: for good if it cannot be restored, or if that is asked for.
func (d *Directory) remove(ref tenant.Ref, forGood bool) {
	t, r := d.table(ref.Collection), d.editable(ref)
	if !forGood && d.canRestore(ref) {
		r.state = deleted
		t.deleted = append(t.deleted, ref.Index)
		d.note(ref)
		return
	}
	t.deleted = slices.DeleteFunc(t.deleted, func(i int) bool { return i == ref.Index })
	r.state = purged
	d.note(ref)
	d.unlink(ref)
}

// canRestore is false for devices and for all groups but Microsoft 365's.
func (d *Directory) canRestore(ref tenant.Ref) bool {
	switch ref.Collection {
	case tenant.Devices:
		return false
	case tenant.Groups:
		return strings.Contains(string(jsonwalk.Get(d.body(ref, time.Time{}), "groupTypes")), "Unified")
	default:
		return true
	}
}

func (d *Directory) restore(ref tenant.Ref) {
	t := d.table(ref.Collection)
	t.deleted = slices.DeleteFunc(t.deleted, func(i int) bool { return i == ref.Index })
	d.editable(ref).state = live
	d.note(ref)
}

// relate adds a link or takes it away, and reports whether that changed anything.
func (d *Directory) relate(ref tenant.Ref, relation tenant.Relation, to tenant.Ref, held bool) bool {
	if d.holds(ref, relation, to) == held {
		return false
	}
	r := d.editable(ref)
	l := r.links[relation]
	if l == nil {
		l = &links{last: map[tenant.Ref]linkState{}}
		r.links[relation] = l
	}
	seq := d.note(ref, string(relation))
	l.last[to] = linkState{seq, held}
	l.log = append(l.log, linkEntry{seq, to})
	return true
}

// unlink takes away all links to an object that is gone for good.
func (d *Directory) unlink(to tenant.Ref) {
	type held struct {
		ref      tenant.Ref
		relation tenant.Relation
	}
	var all []held
	if to.Index < d.base.Count(to.Collection) {
		d.base.EachReferrer(to, func(ref tenant.Ref, relation tenant.Relation) { all = append(all, held{ref, relation}) })
	}
	for _, c := range Collections() {
		t := d.tables[c]
		if t == nil {
			continue
		}
		for _, i := range slices.Sorted(maps.Keys(t.records)) {
			for _, relation := range tenant.RelationsOf(c) {
				all = append(all, held{tenant.Ref{Collection: c, Index: i}, relation})
			}
		}
	}
	for _, h := range all {
		if d.state(h.ref) != purged {
			d.relate(h.ref, h.relation, to, false)
		}
	}
}

// Create adds an object with properties, JSON values by name; what is missing is made up as the change generator does.
// It returns the object's id. Its error is ErrBad.
func (d *Directory) Create(c tenant.Collection, properties map[string]json.RawMessage, now time.Time) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !changeable(c) {
		return "", fmt.Errorf("%w: there are no new %s", ErrBad, c)
	}
	if len(properties["id"]) > 0 {
		return "", fmt.Errorf("%w: ids are made here", ErrBad)
	}
	return d.id(d.createFrom(c, texts(properties), now)), nil
}

func texts(properties map[string]json.RawMessage) map[string]string {
	all := map[string]string{}
	for name, value := range properties {
		all[name] = string(value)
	}
	return all
}

// known returns an object in one of some states. Its error is ErrNotFound.
func (d *Directory) known(c tenant.Collection, id string, states ...state) (tenant.Ref, error) {
	ref, ok := d.find(c, id)
	if !ok || !d.exists(ref) || !slices.Contains(states, d.state(ref)) || !changeable(c) && c != tenant.DirectoryRoles {
		return ref, fmt.Errorf("finding %s: %w", c, ErrNotFound)
	}
	return ref, nil
}

// Update sets properties of a live object, JSON values by name. Its error is ErrNotFound or ErrBad.
func (d *Directory) Update(c tenant.Collection, id string, properties map[string]json.RawMessage) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ref, err := d.known(c, id, live)
	if err != nil {
		return err
	}
	if len(properties) == 0 || len(properties["id"]) > 0 {
		return fmt.Errorf("%w: properties, and not the id, are needed", ErrBad)
	}
	d.update(ref, texts(properties))
	return nil
}

// Delete deletes a live object as Graph does, or a soft-deleted one for good; forGood deletes a live one for good, too. Its
// error is ErrNotFound.
func (d *Directory) Delete(c tenant.Collection, id string, forGood bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ref, err := d.known(c, id, live, deleted)
	if err != nil {
		return err
	}
	d.remove(ref, forGood || d.state(ref) == deleted)
	return nil
}

// Restore makes a soft-deleted object live again. Its error is ErrNotFound.
func (d *Directory) Restore(c tenant.Collection, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ref, err := d.known(c, id, deleted)
	if err != nil {
		return err
	}
	d.restore(ref)
	return nil
}

// Relate adds a link from one live object to another, whose collection it finds by the id, or takes one away. That it
// changes nothing is no error. Its error is ErrNotFound or ErrBad.
func (d *Directory) Relate(c tenant.Collection, id string, relation tenant.Relation, to string, held bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ref, err := d.known(c, id, live)
	if err != nil {
		return err
	}
	if !slices.Contains(tenant.RelationsOf(c), relation) {
		return fmt.Errorf("%w: %s have no %s", ErrBad, c, relation)
	}
	for _, kind := range []tenant.Collection{tenant.Users, tenant.Groups, tenant.Devices, tenant.ServicePrincipals} {
		target, err := d.known(kind, to, live, deleted)
		if err != nil {
			continue
		}
		if relation == tenant.Manager && held {
			d.clear(ref, relation)
		}
		d.relate(ref, relation, target, held)
		return nil
	}
	return fmt.Errorf("finding what to link: %w", ErrNotFound)
}

// clear takes away all links of a relation that holds one at most.
func (d *Directory) clear(ref tenant.Ref, relation tenant.Relation) {
	var all []tenant.Ref
	d.eachLink(ref, relation, 0, func(_ int, to tenant.Ref) bool { all = append(all, to); return true })
	for _, to := range all {
		d.relate(ref, relation, to, false)
	}
}
