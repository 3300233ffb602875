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
	from, upTo uint64     // what was judged of ring lies behind from, up to upTo
	judged     []judgment // of it, in the order of the stream
}

// judgment is what a group keeps of a hit: the entry itself is the ring's alone, which drops it however slowly the
// members read.
type judgment struct {
	sequence uint64
	failed   bool
}

func bySequence(j judgment, sequence uint64) int { return cmp.Compare(j.sequence, sequence) }

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
// all there are; more if that is not the ring's end. It returns false if the ring does not hold them any more: the
// member must leave then.
func (g *group) next(r *ring, after uint64, limit int) (hits []hit, upTo uint64, more, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	floor, ok := r.holds(after)
	if !ok {
		return nil, 0, false, false
	}
	if g.ring != r || after < g.from {
		g.ring, g.from, g.upTo, g.judged = r, after, after, nil
	}
	g.forget(floor)
	view, ok := r.after(g.upTo, judgedAtOnce)
	if !ok {
		return nil, 0, false, false
	}
	judged := g.judged // which a panic leaves as it was
	for _, e := range view.entries {
		if h, chosen := g.judge(e); chosen {
			judged = append(judged, judgment{sequence: e.sequence, failed: h.failed})
		}
	}
	g.judged, g.upTo = judged, view.upTo
	first, _ := slices.BinarySearchFunc(g.judged, after+1, bySequence)
	last := min(len(g.judged), first+limit)
	upTo = max(after, g.upTo)
	if last < len(g.judged) {
		upTo = g.judged[last-1].sequence
	}
	hits, ok = r.hits(g.judged[first:last])
	return hits, upTo, upTo < view.head, ok
}

// forget drops what the ring dropped.
func (g *group) forget(floor uint64) {
	g.from, g.upTo = max(g.from, floor), max(g.upTo, floor)
	drop, _ := slices.BinarySearchFunc(g.judged, floor+1, bySequence)
	g.judged = slices.Delete(g.judged, 0, drop)
}

// left drops all that is known of the ring, as a member has left it: those that are in it still are near enough to its
// head to judge again, and without any nobody would forget.
func (g *group) left() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ring, g.from, g.upTo, g.judged = nil, 0, 0, nil
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
