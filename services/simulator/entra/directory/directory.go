// Package directory is a tenant's directory as Graph shows it: what package tenant generates, and the changes made to it
// since. It keeps changes in memory and nothing else, in the order in which they were made, so that delta rounds can be
// told from any point on. It changes objects, links and nothing of the logs; it knows nothing of HTTP, permissions or
// tokens.
package directory

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/jsonwalk"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// Base has a tenant's objects as they were at first. *tenant.Tenant is one, and its comments are the contract.
type Base interface {
	ID() string
	Config() tenant.Config
	Count(c tenant.Collection) int
	Object(c tenant.Collection, i int, at time.Time) []byte
	ObjectID(c tenant.Collection, i int) string
	Find(c tenant.Collection, id string) int
	Related(c tenant.Collection, i int, relation tenant.Relation) int
	EachRelated(c tenant.Collection, i int, relation tenant.Relation, from int, yield func(tenant.Ref) bool)
	Holds(c tenant.Collection, i int, relation tenant.Relation, to tenant.Ref) bool
	EachReferrer(to tenant.Ref, yield func(tenant.Ref, tenant.Relation))
	Details(d tenant.Detail, of tenant.Ref, at time.Time) [][]byte
	Essential(c tenant.Collection, i int) bool
}

// Errors that callers branch on.
var (
	// ErrNotFound says that an object does not exist, or is not in the state that a change needs.
	ErrNotFound = errors.New("not found")
	// ErrBad says that a change makes no sense.
	ErrBad = errors.New("change not understood")
)

// Directory is safe for concurrent use. A lock is held while objects are written: a reader never sees half a change.
type Directory struct {
	mu     sync.RWMutex
	base   Base
	tables map[tenant.Collection]*table
	// seq numbers changes, the first being 1.
	seq uint64
	// instance tells the sequence of this Directory from that of another.
	instance uint64
	// generations count how often the tokens of a collection were expired.
	generations map[tenant.Collection]int
	gone        map[tenant.Collection]bool // what was said of the last expiry
	schedule    Schedule
	scheduled   uint64 // changes of the schedule that were made
}

// New returns a directory without changes.
func New(base Base, s Schedule) *Directory {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return &Directory{
		base: base, tables: map[tenant.Collection]*table{}, generations: map[tenant.Collection]int{},
		gone: map[tenant.Collection]bool{}, schedule: s,
		instance: binary.LittleEndian.Uint64(b[:]),
	}
}

// Rebase replaces the base by one of another licence. What was changed stays changed.
func (d *Directory) Rebase(base Base) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.base = base
}

// state is where an object is in its life.
type state uint8

const (
	live state = iota
	// deleted objects can be restored for 30 days; their links stay.
	deleted
	purged
)

// table is what was changed of a collection.
type table struct {
	records map[int]*record
	// created are the names of objects that are not the base's: object i is at base.Count + i.
	created []string
	byName  map[string]int
	// deleted are the indexes of soft-deleted objects, in the order of their deletion.
	deleted []int
	log     []entry
}

// record is what was changed of an object.
type record struct {
	// body is that of a created object, nil if it is the base's.
	body    []byte
	state   state
	names   []string
	patch   map[string]string
	entries []int // indexes in the table's log
	links   map[tenant.Relation]*links
}

// entry is a change of an object.
type entry struct {
	seq   uint64
	index int
	// names are the properties and relations that changed, nil for the whole object: it came or went.
	names []string
}

func (d *Directory) table(c tenant.Collection) *table {
	t := d.tables[c]
	if t == nil {
		t = &table{records: map[int]*record{}, byName: map[string]int{}}
		d.tables[c] = t
	}
	return t
}

// count is how many indexes there are, of objects in whatever state.
func (d *Directory) count(c tenant.Collection) int {
	n := d.base.Count(c)
	if t := d.tables[c]; t != nil {
		n += len(t.created)
	}
	return n
}

func (d *Directory) record(ref tenant.Ref) *record {
	if t := d.tables[ref.Collection]; t != nil {
		return t.records[ref.Index]
	}
	return nil
}

// exists reports whether there is an object, in whatever state.
func (d *Directory) exists(ref tenant.Ref) bool { return d.id(ref) != "" }

func (d *Directory) state(ref tenant.Ref) state {
	if r := d.record(ref); r != nil {
		return r.state
	}
	return live
}

// isLive reports whether there is an object that is neither deleted nor purged.
func (d *Directory) isLive(ref tenant.Ref) bool { return d.state(ref) == live && d.exists(ref) }

func (d *Directory) id(ref tenant.Ref) string {
	first := d.base.Count(ref.Collection)
	if ref.Index < first {
		return d.base.ObjectID(ref.Collection, ref.Index)
	}
	if t := d.tables[ref.Collection]; t != nil && ref.Index-first < len(t.created) {
		return t.created[ref.Index-first]
	}
	return ""
}

// body is an object with all its properties, in whatever state; nil if there is none.
func (d *Directory) body(ref tenant.Ref, at time.Time) []byte {
	r := d.record(ref)
	var body []byte
	if r != nil {
		body = r.body
	}
	if body == nil {
		body = d.base.Object(ref.Collection, ref.Index, at)
	}
	if body == nil || r == nil || len(r.patch) == 0 {
		return body
	}
	return jsonwalk.Set(body, r.names, r.patch)
}

// find returns the object with an id or another name that Base.Find knows, in whatever state.
func (d *Directory) find(c tenant.Collection, name string) (tenant.Ref, bool) {
	if t := d.tables[c]; t != nil {
		if i, ok := t.byName[strings.ToLower(name)]; ok {
			return tenant.Ref{Collection: c, Index: i}, true
		}
	}
	i := d.base.Find(c, name)
	return tenant.Ref{Collection: c, Index: i}, i >= 0
}

// Find returns the live object with an id, or another name that tenant.Find knows.
func (d *Directory) Find(c tenant.Collection, name string) (tenant.Ref, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	ref, ok := d.find(c, name)
	return ref, ok && d.isLive(ref)
}

// Object returns a live object with all its properties, nil if there is none.
func (d *Directory) Object(ref tenant.Ref, at time.Time) []byte {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.state(ref) != live {
		return nil
	}
	return d.body(ref, at)
}

// ObjectID returns an object's id, in whatever state; "" if there never was one.
func (d *Directory) ObjectID(ref tenant.Ref) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.id(ref)
}

// Each calls yield for the live objects of a collection from an index on until it returns false, or until limit indexes
// were looked at. It returns the index to go on from, and whether there is none.
func (d *Directory) Each(c tenant.Collection, from, limit int, at time.Time, yield func(ref tenant.Ref, object []byte) bool) (next int, done bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	count := d.count(c)
	for i := from; i < count; i++ {
		if limit--; limit < 0 {
			return i, false
		}
		ref := tenant.Ref{Collection: c, Index: i}
		if d.state(ref) != live {
			continue
		}
		if object := d.body(ref, at); object != nil && !yield(ref, object) {
			return i, false
		}
	}
	return count, true
}

// Deleted calls yield for the soft-deleted objects of a collection in the order of their deletion.
func (d *Directory) Deleted(c tenant.Collection, at time.Time, yield func(object []byte)) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if t := d.tables[c]; t != nil {
		for _, i := range t.deleted {
			yield(d.body(tenant.Ref{Collection: c, Index: i}, at))
		}
	}
}

// DeletedIDs returns the ids of the soft-deleted objects of a collection in the order of their deletion.
func (d *Directory) DeletedIDs(c tenant.Collection) []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var ids []string
	if t := d.tables[c]; t != nil {
		for _, i := range t.deleted {
			ids = append(ids, d.id(tenant.Ref{Collection: c, Index: i}))
		}
	}
	return ids
}

// Sequence returns the number of the last change, 0 if there was none.
func (d *Directory) Sequence() uint64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.seq
}

// Collections returns the collections that can be changed and that Truth knows, in the order of their names.
func Collections() []tenant.Collection {
	all := tenant.Collections()
	slices.Sort(all)
	return all
}
