package directory

import (
	"math"
	"slices"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// walk makes a page.
type walk struct {
	d     *Directory
	q     Query
	round Round
	items []Item
}

// objects goes through all objects, or those of the query.
func (w *walk) objects() (done bool) {
	count := w.d.count(w.q.Collection)
	if len(w.q.IDs) > 0 {
		count = len(w.q.IDs)
	}
	for ; w.round.Next < count; w.round.Next++ {
		if len(w.items) >= w.q.Objects {
			return false
		}
		ref := tenant.Ref{Collection: w.q.Collection, Index: w.round.Next}
		if len(w.q.IDs) > 0 {
			ref, _ = w.d.find(w.q.Collection, w.q.IDs[w.round.Next])
		}
		if w.d.isLive(ref) && !w.object(ref, nil, true, math.MaxUint64) {
			return false
		}
		w.round.Relation, w.round.Link = 0, 0
	}
	return true
}

// changes goes through the log.
func (w *walk) changes() (done bool) {
	t := w.d.tables[w.q.Collection]
	for ; t != nil && w.round.Next < len(t.log) && t.log[w.round.Next].seq <= w.round.Until; w.round.Next++ {
		if len(w.items) >= w.q.Objects {
			return false
		}
		e := &t.log[w.round.Next]
		ref := tenant.Ref{Collection: w.q.Collection, Index: e.index}
		if w.tracks(e) && w.isLast(t, ref) && w.wants(ref) && !w.change(t, ref) {
			return false
		}
		w.round.Relation, w.round.Link = 0, 0
	}
	return true
}

func (w *walk) wants(ref tenant.Ref) bool {
	return len(w.q.IDs) == 0 || slices.Contains(w.q.IDs, w.d.id(ref))
}

// tracks reports whether a change is one that the query selects.
func (w *walk) tracks(e *entry) bool {
	if e.names == nil {
		return true
	}
	for _, name := range e.names {
		relation := tenant.Relation(name)
		if slices.Contains(w.q.Relations, relation) {
			return true
		}
		isRelation := slices.Contains(tenant.RelationsOf(w.q.Collection), relation)
		if !isRelation && (w.q.Properties == nil || slices.Contains(w.q.Properties, name)) {
			return true
		}
	}
	return false
}

// isLast reports whether the change at Next is the last of an object in the round: it is told once, there.
func (w *walk) isLast(t *table, ref tenant.Ref) bool {
	entries := t.records[ref.Index].entries
	for _, i := range slices.Backward(entries) {
		if e := &t.log[i]; e.seq <= w.round.Until && w.tracks(e) {
			return i == w.round.Next
		}
	}
	return false
}

// change adds an object that changed. It returns false if more of it has to come.
func (w *walk) change(t *table, ref tenant.Ref) bool {
	switch w.d.state(ref) {
	case deleted:
		w.items = append(w.items, Item{ID: w.d.id(ref), Removed: "changed"})
		return true
	case purged:
		w.items = append(w.items, Item{ID: w.d.id(ref), Removed: "deleted"})
		return true
	}
	changed, whole := []string{}, false
	for _, i := range slices.Backward(t.records[ref.Index].entries) {
		e := &t.log[i]
		if e.seq <= w.round.Since {
			break
		}
		whole = whole || e.names == nil
		changed = append(changed, e.names...)
	}
	if whole {
		changed = nil
	}
	return w.object(ref, changed, whole, w.round.Since)
}

// object adds an object with the links that fit. whole says that all links are told, and those that went since a change;
// else only what changed since. It returns false if more links have to come.
func (w *walk) object(ref tenant.Ref, changed []string, whole bool, since uint64) bool {
	item := Item{ID: w.d.id(ref), Body: w.d.body(ref, w.q.Now), Changed: changed}
	if item.Body == nil {
		return true
	}
	room := w.q.Links
	for ; w.round.Relation < len(w.q.Relations); w.round.Relation++ {
		relation := w.q.Relations[w.round.Relation]
		links, next, done := w.d.slice(ref, relation, whole, since, w.round.Link, room)
		if room -= len(links); len(links) > 0 {
			item.Links = append(item.Links, ItemLinks{relation, links})
		}
		if w.round.Link = next; !done {
			w.items = append(w.items, item)
			return false
		}
		w.round.Link = 0
	}
	w.items = append(w.items, item)
	return true
}

// slice returns up to limit links of an object from a position on.
func (d *Directory) slice(ref tenant.Ref, relation tenant.Relation, whole bool, since uint64, from, limit int) (all []Link, next int, done bool) {
	n, l := d.baseLinks(ref, relation), d.links(ref, relation)
	next, done = from, true
	add := func(position int, to tenant.Ref, removed bool) bool {
		if len(all) >= limit {
			next, done = position, false
			return false
		}
		all = append(all, Link{to.Collection, d.id(to), removed})
		return true
	}
	if whole {
		d.eachLink(ref, relation, from, func(position int, to tenant.Ref) bool { return add(position, to, false) })
	}
	if l == nil || !done {
		return all, next, done
	}
	// What went follows behind what is, at positions of its own: the whole log once more.
	first := 0
	if whole {
		first = n + len(l.log)
	}
	for j := max(l.after(since), from-first); j < len(l.log); j++ {
		e := l.log[j]
		s := l.last[e.to]
		if s.seq == e.seq && (!whole || !s.held) && !add(first+j, e.to, !s.held) {
			break
		}
	}
	return all, next, done
}
