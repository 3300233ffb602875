package directory

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// Errors of a round whose state is not known any more.
var (
	// ErrState says that its token expired, or is another Directory's.
	ErrState = errors.New("sync state not found")
	// ErrGone says that the collection has to be read anew: ExpireTokens was told to say so.
	ErrGone = errors.New("sync state is gone")
)

// Query says what a delta round tracks.
type Query struct {
	Collection tenant.Collection
	// Properties are those whose changes count; nil is all.
	Properties []string
	Relations  []tenant.Relation
	// IDs narrow the round to some objects; none is all.
	IDs []string
	// Now is the time of the request.
	Now time.Time
	// Objects and Links bound a page: so many objects, and so many links of one object. An object with more comes again on
	// the next page.
	Objects, Links int
	// TokenLife is how long a round's token is good; 0 is for ever.
	TokenLife time.Duration
}

// Round is where a client is: within a round, or between two. The zero Round begins a first one. It is what tokens carry.
type Round struct {
	// Instance, Generation and Issued say which tokens are good: those of this Directory that were not expired.
	Instance   uint64 `json:"i,omitempty"`
	Generation int    `json:"g,omitempty"`
	Issued     int64  `json:"t,omitempty"`
	// Since is the change that the client has seen, Until the one that the round ends with.
	Since uint64 `json:"s,omitempty"`
	Until uint64 `json:"u,omitempty"`
	// Known says that the client has done a first round: this one tells changes alone.
	Known bool `json:"k,omitempty"`
	// Open says that the round has begun. Next is the object or change to go on with, Relation and Link where in its links.
	Open     bool `json:"o,omitempty"`
	Next     int  `json:"n,omitempty"`
	Relation int  `json:"r,omitempty"`
	Link     int  `json:"l,omitempty"`
}

// Item is an object in a page of a round.
type Item struct {
	ID string
	// Body is the object with all its properties, nil if it is gone.
	Body []byte
	// Removed is changed or deleted of an object that is gone.
	Removed string
	// Changed are the names of what changed; nil is everything.
	Changed []string
	Links   []ItemLinks
}

// ItemLinks is a slice of the links of a relation.
type ItemLinks struct {
	Relation tenant.Relation
	Links    []Link
}

// Link is the end of a link.
type Link struct {
	Collection tenant.Collection
	ID         string
	// Removed says that the link is no more.
	Removed bool
}

// Latest is the Round of a client that knows everything up to now.
func (d *Directory) Latest(c tenant.Collection, now time.Time) Round {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return Round{Instance: d.instance, Generation: d.generations[c], Issued: now.Unix(), Since: d.seq, Known: true}
}

// ExpireTokens makes all tokens of a collection bad, of all collections if c is empty. Rounds that would go on with one end
// in ErrState, or in ErrGone if gone.
func (d *Directory) ExpireTokens(c tenant.Collection, gone bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range Collections() {
		if c == "" || c == one {
			d.generations[one]++
			d.gone[one] = gone
		}
	}
}

// check returns ErrState or ErrGone for a round that cannot go on.
func (d *Directory) check(q Query, r Round) error {
	if r.Generation != d.generations[q.Collection] && d.gone[q.Collection] {
		return fmt.Errorf("going on with a delta round of %s: %w", q.Collection, ErrGone)
	}
	expired := q.TokenLife > 0 && q.Now.Sub(time.Unix(r.Issued, 0)) > q.TokenLife
	if r.Generation != d.generations[q.Collection] || expired || r.Instance != d.instance && max(r.Since, r.Until) > 0 {
		return fmt.Errorf("going on with a delta round of %s: %w", q.Collection, ErrState)
	}
	return nil
}

// Replay is r with so many changes that the client has seen before it, to be told again.
func (r Round) Replay(changes uint64) Round {
	if r.Known && !r.Open {
		r.Since -= min(r.Since, changes)
	}
	return r
}

// Delta returns a page of a round. next goes on with it, or with the next round if done. Items hold what is now, which can
// be newer than the round: then it comes again in the next. Its errors are ErrState and
// ErrGone.
func (d *Directory) Delta(q Query, r Round) (items []Item, next Round, done bool, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	switch {
	case r.Open || r.Known:
		if err := d.check(q, r); err != nil {
			return nil, r, false, err
		}
	default:
		r.Generation = d.generations[q.Collection]
	}
	if !r.Open {
		r.Open, r.Until, r.Next = true, d.seq, 0
		if r.Known {
			r.Next = d.firstAfter(q.Collection, r.Since)
		}
	}
	r.Instance, r.Issued = d.instance, q.Now.Unix()
	w := &walk{d: d, q: q, round: r}
	if r.Known {
		done = w.changes()
	} else {
		done = w.objects()
	}
	next = w.round
	if done {
		next = Round{Instance: next.Instance, Generation: next.Generation, Issued: next.Issued, Since: next.Until, Known: true}
	}
	return w.items, next, done, nil
}

// firstAfter is the index of the first change in a collection's log behind another.
func (d *Directory) firstAfter(c tenant.Collection, seq uint64) int {
	t := d.tables[c]
	if t == nil {
		return 0
	}
	return sort.Search(len(t.log), func(i int) bool { return t.log[i].seq > seq })
}

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

// AppendJSON appends a link as a page has it.
func (l Link) AppendJSON(b []byte) []byte {
	b = append(b, `{"@odata.type":"#microsoft.graph.`...)
	b = append(b, TypeName(l.Collection)...)
	b = append(b, `","id":"`...)
	b = append(b, l.ID...)
	if l.Removed {
		return append(b, `","@removed":{"reason":"deleted"}}`...)
	}
	return append(b, `"}`...)
}

// TypeName is the name of the type of a collection's objects.
func TypeName(c tenant.Collection) string {
	switch c {
	case tenant.Users:
		return "user"
	case tenant.Groups:
		return "group"
	case tenant.Devices:
		return "device"
	case tenant.Applications:
		return "application"
	case tenant.ServicePrincipals:
		return "servicePrincipal"
	default:
		return "directoryObject"
	}
}
