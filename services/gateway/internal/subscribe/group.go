package subscribe

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/entraflow/entraflow/services/gateway/internal/expression"
)

// judgedAtOnce bounds how many entries are judged in one go: others of the group wait meanwhile.
const judgedAtOnce = 1024

// hit is an entry that is chosen, or for which the filter failed.
type hit struct {
	entry  *entry
	failed bool
}

// group is the subscriptions that choose the same events. Each entry of a ring is judged once for all of them. It
// is safe for concurrent use.
type group struct {
	selected   selection
	filter     *expression.Filter // nil: all
	unreadable func(error)

	members int // guarded by groups

	mu         sync.Mutex
	ring       *ring
	from, upTo uint64 // what was judged of ring lies behind from, up to upTo
	hits       []hit  // of it, in the order of the stream
}

// judge chooses one entry; false if it is left out.
func (g *group) judge(e *entry) (hit, bool) {
	if !g.selected.mayInclude(e) || e.load(g.unreadable) != nil || !g.selected.includes(e.event) {
		return hit{}, false
	}
	if g.filter == nil {
		return hit{entry: e}, true
	}
	chosen, err := g.filter.Matches(e.event, len(e.bare))
	return hit{entry: e, failed: err != nil}, chosen || err != nil
}

// next returns hits of a ring behind a sequence, at most limit of them, and the place up to which they are
// all there are; more if that is not the ring's end. It returns false if the ring does not hold them any more.
func (g *group) next(r *ring, after uint64, limit int) (hits []hit, upTo uint64, more, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ring != r || after < g.from {
		g.ring, g.from, g.upTo, g.hits = r, after, after, nil
	}
	floor, ok := r.holds(after)
	if !ok {
		return nil, 0, false, false
	}
	g.forget(floor)
	view, ok := r.after(g.upTo, judgedAtOnce)
	if !ok {
		return nil, 0, false, false
	}
	for _, e := range view.entries {
		if h, chosen := g.judge(e); chosen {
			g.hits = append(g.hits, h)
		}
	}
	g.upTo = view.upTo
	first, _ := slices.BinarySearchFunc(g.hits, after+1, func(h hit, s uint64) int { return cmp.Compare(h.entry.sequence, s) })
	last := min(len(g.hits), first+limit)
	upTo = max(after, g.upTo)
	if last < len(g.hits) {
		upTo = g.hits[last-1].entry.sequence
	}
	return slices.Clone(g.hits[first:last]), upTo, upTo < view.head, true
}

// forget drops what the ring dropped.
func (g *group) forget(floor uint64) {
	g.from, g.upTo = max(g.from, floor), max(g.upTo, floor)
	drop, _ := slices.BinarySearchFunc(g.hits, floor+1, func(h hit, s uint64) int { return cmp.Compare(h.entry.sequence, s) })
	g.hits = slices.Delete(g.hits, 0, drop)
}

// groups are the groups that have members. It is safe for concurrent use.
type groups struct {
	mu    sync.Mutex
	byKey map[string]*group
}

// enter returns the group for a choice, of which text is the filter; build makes one that is not there. The
// caller must call leave once.
func (g *groups) enter(selected selection, text string, build func() (*group, error)) (_ *group, leave func(), err error) {
	key := strings.Join(selected.kinds, "\x00") + "\x01" + strings.Join(selected.tenants, "\x00") + "\x01" + text
	g.mu.Lock()
	defer g.mu.Unlock()
	found := g.byKey[key]
	if found == nil {
		if found, err = build(); err != nil {
			return nil, nil, err
		}
		if g.byKey == nil {
			g.byKey = map[string]*group{}
		}
		g.byKey[key] = found
	}
	found.members++
	return found, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if found.members--; found.members == 0 {
			delete(g.byKey, key)
		}
	}, nil
}
