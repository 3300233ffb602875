package directory

import (
	"errors"
	"fmt"
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
