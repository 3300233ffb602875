package directory

import (
	"sort"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// links is what was changed of a relation of an object.
type links struct {
	// last is the newest change of each link.
	last map[tenant.Ref]linkState
	log  []linkEntry
}

type linkState struct {
	seq  uint64
	held bool
}

type linkEntry struct {
	seq uint64
	to  tenant.Ref
}

func (d *Directory) links(ref tenant.Ref, relation tenant.Relation) *links {
	if r := d.record(ref); r != nil {
		return r.links[relation]
	}
	return nil
}

// baseHolds reports whether the base has a link. Objects and targets that were created are not the base's.
func (d *Directory) baseHolds(ref tenant.Ref, relation tenant.Relation, to tenant.Ref) bool {
	return ref.Index < d.base.Count(ref.Collection) && to.Index < d.base.Count(to.Collection) &&
		d.base.Holds(ref.Collection, ref.Index, relation, to)
}

// baseLinks is how many links the base has.
func (d *Directory) baseLinks(ref tenant.Ref, relation tenant.Relation) int {
	if ref.Index >= d.base.Count(ref.Collection) {
		return 0
	}
	return d.base.Related(ref.Collection, ref.Index, relation)
}

// holds reports whether a link exists. A link to a soft-deleted object does.
func (d *Directory) holds(ref tenant.Ref, relation tenant.Relation, to tenant.Ref) bool {
	if l := d.links(ref, relation); l != nil {
		if s, ok := l.last[to]; ok {
			return s.held
		}
	}
	return d.baseHolds(ref, relation, to)
}

// eachLink calls yield for the links of an object from a position on, each once, until it returns false. Positions do not
// shift when links change: those of the base come first, then those that were added, in the order they were.
func (d *Directory) eachLink(ref tenant.Ref, relation tenant.Relation, from int, yield func(position int, to tenant.Ref) bool) {
	l, n := d.links(ref, relation), d.baseLinks(ref, relation)
	if from < n {
		position, more := from, true
		d.base.EachRelated(ref.Collection, ref.Index, relation, from, func(to tenant.Ref) bool {
			if l == nil || l.keeps(to) {
				more = yield(position, to)
			}
			position++
			return more
		})
		if !more {
			return
		}
		from = n
	}
	if l == nil {
		return
	}
	for j := from - n; j < len(l.log); j++ {
		e := l.log[j]
		if s := l.last[e.to]; s.seq == e.seq && s.held && !d.baseHolds(ref, relation, e.to) && !yield(n+j, e.to) {
			return
		}
	}
}

func (l *links) keeps(to tenant.Ref) bool {
	s, changed := l.last[to]
	return !changed || s.held
}

// after is the index of the first entry behind a change.
func (l *links) after(seq uint64) int {
	return sort.Search(len(l.log), func(i int) bool { return l.log[i].seq > seq })
}

// count is how many links there are.
func (d *Directory) countLinks(ref tenant.Ref, relation tenant.Relation) int {
	n := d.baseLinks(ref, relation)
	l := d.links(ref, relation)
	if l == nil {
		return n
	}
	for to, s := range l.last {
		switch base := d.baseHolds(ref, relation, to); {
		case s.held && !base:
			n++
		case !s.held && base:
			n--
		}
	}
	return n
}

// EachLink calls yield for the live objects that a relation of an object leads to, from a position on until it returns
// false; next goes on behind the last. A link to a soft-deleted object exists, but Graph does not show it.
func (d *Directory) EachLink(ref tenant.Ref, relation tenant.Relation, from int, yield func(position int, to tenant.Ref) bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	d.eachLink(ref, relation, from, func(position int, to tenant.Ref) bool {
		return !d.isLive(to) || yield(position, to)
	})
}

// Holds reports whether an object has a link to another.
func (d *Directory) Holds(ref tenant.Ref, relation tenant.Relation, to tenant.Ref) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.holds(ref, relation, to)
}

// EachHolder calls yield for the live objects of a collection that have a link to another.
func (d *Directory) EachHolder(c tenant.Collection, relation tenant.Relation, to tenant.Ref, yield func(tenant.Ref)) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for i := range d.count(c) {
		if ref := (tenant.Ref{Collection: c, Index: i}); d.state(ref) == live && d.holds(ref, relation, to) {
			yield(ref)
		}
	}
}
