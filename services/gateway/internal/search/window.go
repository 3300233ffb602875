package search

import (
	"math"
	"time"
)

// cursor is a place in the order of a search: newest first, equal times by id, descending. What comes
// after it has an earlier time, or the same and a lesser id. An empty id stands before every id, so
// that only earlier times come after it.
type cursor struct {
	at int64 // milliseconds since 1970
	id string
}

// window is what one query looks at: the rows after a cursor, down to a time, inclusive.
type window struct {
	after cursor
	from  int64
}

const (
	// firstRows is about how many rows the first window has. A statement costs as much before it reads
	// as it takes to look at so many.
	firstRows = 200_000
	// firstWindow is the least that a first window is.
	firstWindow = 15 * time.Minute
	// leastGrowth and mostGrowth bound the factor between a window and the next: a statement for a little more costs as
	// much as for more, and one for much more than is missing reads what nobody wants.
	leastGrowth = 4
	mostGrowth  = 64
	// shrinkage is the factor to a window that is tried instead of one that was too much.
	shrinkage = 8
	maxWindow = math.MaxInt64 / 2 / mostGrowth
)

// growth is the factor to the next window after one that had some of the rows that were missing: as if the next ones
// were as frequent, and twice that, for a statement more costs more than rows. Without any it is the most.
func growth(found, missing int) int64 {
	if found == 0 {
		return mostGrowth
	}
	return int64(min(max(2*missing/found, leastGrowth), mostGrowth))
}

// month is what the store has of one: how many rows, and their first and last time.
type month struct {
	oldest, newest int64
	rows           uint64
}

// stored is what the store has, by month, newest first.
type stored []month

// oldest and newest are the first and last time of all. There must be a month.
func (s stored) oldest() int64 { return s[len(s)-1].oldest }
func (s stored) newest() int64 { return s[0].newest }

// first returns how large, in milliseconds, the first window down from a time shall be: as if the rows of the month
// were spread evenly over it.
func (s stored) first(at int64) int64 {
	least := firstWindow.Milliseconds()
	for _, m := range s {
		if m.oldest > at || m.rows == 0 {
			continue
		}
		span := float64(m.newest-m.oldest) + 1
		return max(least, int64(min(span/float64(m.rows)*firstRows, maxWindow)))
	}
	return least
}

// descent plans windows from a cursor down to a time. Each window is larger than the one before it; at
// horizon they begin small again, so that a few rows of a far future do not make the windows of the
// present large.
type descent struct {
	at      cursor
	floor   int64 // lowest time, inclusive
	horizon int64
	rows    stored
	size    int64 // of the next window, in milliseconds
	capped  bool
}

func newDescent(from cursor, floor, horizon int64, rows stored) *descent {
	return &descent{at: from, floor: floor, horizon: horizon, rows: rows, size: rows.first(from.at)}
}

// next returns the window to look at; false at the end. It is the same until passed, paused or shrink
// is called.
func (d *descent) next() (window, bool) {
	top := d.at.at
	if d.at.id == "" {
		top--
	}
	if top < d.floor {
		return window{}, false
	}
	from := max(d.floor, top-d.size) // floor and top are times of rows, far from overflow
	if top >= d.horizon && from < d.horizon {
		from = d.horizon
	}
	return window{after: d.at, from: from}, true
}

// passed says that everything in the window was seen, which had some of the rows that were missing before it.
func (d *descent) passed(w window, found, missing int) {
	d.at = cursor{at: w.from}
	switch {
	case w.from == d.horizon:
		d.size, d.capped = d.rows.first(w.from), false
	case !d.capped && d.size < maxWindow:
		d.size *= growth(found, missing-found)
	}
}

// paused says that everything down to c was seen, which is in the window.
func (d *descent) paused(c cursor) { d.at = c }

// shrink says that the window was too much for the store; false if it is the smallest already.
// Windows do not grow any more until the horizon.
func (d *descent) shrink() bool {
	if d.size <= firstWindow.Milliseconds()/shrinkage {
		return false
	}
	d.size /= shrinkage
	d.capped = true
	return true
}
