package budget

import (
	"hash/fnv"
	"math"
	"slices"
	"time"
)

// grid gives each unit of a bucket an instant of its own: unit g may be used from g·step on, for at most
// late. So a window of the limit never holds more units than the limit allows, as long as step·units exceeds
// the window by more than late and what the network adds to one request over another: the margin, of which
// late takes half. Every replica computes the same instants, so that they need only agree on who has which
// unit.
type grid struct {
	step, late time.Duration
	// phase shifts the instants, so that buckets alike do not all let through at the same moment.
	phase int64
	// ahead is how far ahead of its instant a unit may be leased. It bounds what an urgent request of another
	// replica waits: twice as much is open to it.
	ahead time.Duration
}

const (
	// leaseAhead lets a lease survive a slow answer of NATS.
	leaseAhead = 500 * time.Millisecond
	// minStep is where a limit is too wide to be kept by instants, and is none.
	minStep = 10 * time.Microsecond
	// shortWindow is where the usual margin would leave the network less than 50 ms.
	shortWindow = 2 * time.Second
	// usualMargin and shortMargin are Settings.Margin's defaults.
	usualMargin, shortMargin = 0.05, 0.08
)

// gridOf returns the grid of a limit's bucket. ok is false if there is no limit to keep.
func gridOf(l limit, key string, scale, margin float64) (grid, bool) {
	if margin == 0 {
		margin = usualMargin
		if l.window < shortWindow {
			margin = shortMargin
		}
	}
	units := l.units * scale
	if l.local {
		units *= localPart
	}
	step := time.Duration(float64(l.window) * (1 + margin) / units)
	if step < minStep {
		return grid{}, false
	}
	return grid{
		step: step, phase: int64(spread(key) % uint64(step)), late: time.Duration(float64(l.window) * margin / 2),
		ahead: max(step, leaseAhead),
	}, true
}

// spread hashes names that are alike to numbers that are far apart: the ends of FNV's need mixing.
func spread(name string) uint64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name))
	x := hash.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// at is the instant of a unit, in Unix nanoseconds.
func (g grid) at(unit int64) int64 { return unit*int64(g.step) + g.phase }

// oldest is the first unit that may still be used.
func (g grid) oldest(now int64) int64 { return ceilDiv(now-g.phase-int64(g.late), int64(g.step)) }

// newest is the last unit whose instant has come.
func (g grid) newest(now int64) int64 { return floorDiv(now-g.phase, int64(g.step)) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func ceilDiv(a, b int64) int64 { return -floorDiv(-a, b) }

// ledger is what the replicas share of a bucket: who has which units, and until when Graph wants none. It is
// the value of the bucket's key in the KV bucket, as JSON.
type ledger struct {
	// Step is the grid's, in nanoseconds: units of another are void.
	Step int64 `json:"step"`
	// Next is the first unit that nobody has.
	Next int64 `json:"next"`
	// Until is the end of a pause, in Unix nanoseconds.
	Until int64 `json:"until,omitempty"`
	// Recent are the last grants, the newest at the end.
	Recent []grant `json:"recent,omitempty"`
}

// grant gives a replica the units from First to before First+Count.
type grant struct {
	Replica string `json:"r"`
	First   int64  `json:"f"`
	Count   int64  `json:"n"`
}

// maxAlone keeps a unit's place on the circle exact in a float64.
const maxAlone = 1 << 32

// maxRecent is how many grants tell the shares: enough for some replicas to have had several.
const maxRecent = 16

// lease grants the replica up to need units at now. urgent looks twice as far ahead. With less granted than
// needed, again is when to ask next; 0 is at once.
func (l *ledger) lease(g grid, replica string, now, need int64, urgent bool) (got grant, again int64) {
	if l.Step != int64(g.step) {
		*l = ledger{Step: int64(g.step), Until: l.Until}
	}
	l.prune(g, now)
	if now < l.Until {
		return grant{}, l.Until
	}
	// Units that are about to expire are left alone where there are enough newer ones.
	first := max(l.Next, g.oldest(now), g.newest(now)-need+1)
	ahead := int64(g.ahead) - l.handicap(g, replica)
	if urgent {
		ahead = 2 * int64(g.ahead)
	}
	open := g.newest(now+ahead) - first + 1
	if open <= 0 {
		return grant{}, g.at(first) - ahead
	}
	count := min(need, open)
	if others := l.others(replica); others > 0 && !urgent {
		// Nobody takes more than its part of what is open, or those who ask a moment later find nothing.
		if part := ceilDiv(open, others+1); part < count {
			count, again = part, now+min(int64(leaseAhead), int64(g.ahead))/4
		}
	}
	got = grant{Replica: replica, First: first, Count: count}
	l.Next = first + count
	l.Recent = append(l.Recent, got)
	if len(l.Recent) > maxRecent {
		l.Recent = append([]grant(nil), l.Recent[len(l.Recent)-maxRecent:]...)
	}
	return got, again
}

// giveBack returns units of the replica that were granted last and whose instant has not come.
func (l *ledger) giveBack(replica string, unit int64) bool {
	if len(l.Recent) == 0 {
		return false
	}
	last := &l.Recent[len(l.Recent)-1]
	if last.Replica != replica || last.First+last.Count != l.Next || unit < last.First || unit >= l.Next {
		return false
	}
	last.Count, l.Next = unit-last.First, unit
	if last.Count == 0 {
		l.Recent = l.Recent[:len(l.Recent)-1]
	}
	return true
}

// prune forgets grants of replicas that may be gone.
func (l *ledger) prune(g grid, now int64) {
	const remembered = 8
	since := g.oldest(now - remembered*int64(g.ahead))
	for len(l.Recent) > 0 && l.Recent[0].First+l.Recent[0].Count < since {
		l.Recent = l.Recent[1:]
	}
}

// handicap makes who had more of late ask a little later, so that those who had less come first.
func (l *ledger) handicap(g grid, replica string) int64 {
	const most = 200 * time.Millisecond
	var mine, all int64
	for _, r := range l.Recent {
		all += r.Count
		if r.Replica == replica {
			mine += r.Count
		}
	}
	if all == 0 {
		return 0
	}
	return int64(min(g.ahead/4, most)) * mine / all
}

func (l *ledger) others(replica string) int64 {
	seen := map[string]struct{}{}
	for _, r := range l.Recent {
		if r.Replica != replica {
			seen[r.Replica] = struct{}{}
		}
	}
	return int64(len(seen))
}

// golden steps through the unit circle so that every arc of it gets its part of any run of units.
const golden = 0.6180339887498949

// alone says whether a unit is the replica's while nobody can be asked: those with recent grants have equal
// arcs of the unit circle. They may have seen the ledger a moment apart, so that the lengths of the grants would
// tell them different shares. A replica without grants takes a half.
func (l *ledger) alone(replica string, unit int64) bool {
	var among []string
	for _, r := range l.Recent {
		if !slices.Contains(among, r.Replica) {
			among = append(among, r.Replica)
		}
	}
	slices.Sort(among)
	_, place := math.Modf(float64(unit%maxAlone) * golden)
	i := slices.Index(among, replica)
	if i < 0 {
		const half = 0.5
		return place < half == (spread(replica)&1 == 0)
	}
	return int(place*float64(len(among))) == i
}
