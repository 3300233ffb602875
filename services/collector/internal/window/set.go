// Package window does the arithmetic of time windows: which pieces of a log were read for good, which are
// missing, and how large the next one should be. It is pure; time comes in as values.
package window

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

// Step is the resolution of Graph's timestamps: a window that begins where another ended begins one Step later.
const Step = 100 * time.Nanosecond

// Interval is a closed piece of time, From ≤ t ≤ To.
type Interval struct{ From, To time.Time }

// Empty reports whether nothing is in it.
func (i Interval) Empty() bool { return i.To.Before(i.From) }

// Width is how long it is.
func (i Interval) Width() time.Duration {
	if i.Empty() {
		return 0
	}
	return i.To.Sub(i.From) + Step
}

// Halves splits it in the middle; the newer half comes first. ok is false if it is too short.
func (i Interval) Halves() (newer, older Interval, ok bool) {
	if i.Width() < 2*Step {
		return i, Interval{}, false
	}
	middle := i.From.Add((i.Width() / 2).Truncate(Step))
	return Interval{middle, i.To}, Interval{i.From, middle.Add(-Step)}, true
}

// Set is a set of instants: intervals in ascending order that neither touch nor overlap. The zero Set is empty.
// Its methods change no set, they return a new one.
type Set []Interval

// Add returns the set with the interval in it.
func (s Set) Add(added Interval) Set {
	if added.Empty() {
		return s
	}
	out := make(Set, 0, len(s)+1)
	for _, i := range s {
		switch {
		case i.To.Add(Step).Before(added.From):
			out = append(out, i)
		case added.To.Add(Step).Before(i.From):
			continue
		default:
			added = Interval{earlier(i.From, added.From), later(i.To, added.To)}
		}
	}
	out = append(out, added)
	for _, i := range s {
		if added.To.Add(Step).Before(i.From) {
			out = append(out, i)
		}
	}
	return out
}

// Gaps returns what is within and not in the set, in ascending order.
func (s Set) Gaps(within Interval) Set {
	var gaps Set
	from := within.From
	for _, i := range s {
		if i.To.Before(from) {
			continue
		}
		if i.From.After(within.To) {
			break
		}
		if gap := (Interval{from, i.From.Add(-Step)}); !gap.Empty() {
			gaps = append(gaps, gap)
		}
		from = i.To.Add(Step)
	}
	if rest := (Interval{from, within.To}); !rest.Empty() {
		gaps = append(gaps, rest)
	}
	return gaps
}

// Width is how much time is in it.
func (s Set) Width() time.Duration {
	var sum time.Duration
	for _, i := range s {
		sum += i.Width()
	}
	return sum
}

// Until is the last instant of the set; ok is false if it is empty.
func (s Set) Until() (_ time.Time, ok bool) {
	if len(s) == 0 {
		return time.Time{}, false
	}
	return s[len(s)-1].To, true
}

// Last is the newest interval: back to its beginning everything was read. ok is false if there is none.
func (s Set) Last() (_ Interval, ok bool) {
	if len(s) == 0 {
		return Interval{}, false
	}
	return s[len(s)-1], true
}

// Encode returns the set as it is kept.
func (s Set) Encode() []*statev1.Interval {
	out := make([]*statev1.Interval, len(s))
	for n, i := range s {
		out[n] = &statev1.Interval{From: timestamppb.New(i.From), To: timestamppb.New(i.To)}
	}
	return out
}

// Decode is the inverse of Encode; it takes intervals in any order.
func Decode(intervals []*statev1.Interval) Set {
	var s Set
	for _, i := range intervals {
		s = s.Add(Interval{i.GetFrom().AsTime(), i.GetTo().AsTime()})
	}
	return slices.Clip(s)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
