package search

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// walk returns all windows from a cursor down, as spans of milliseconds [from, to).
func walk(t *testing.T, d *descent) [][2]int64 {
	t.Helper()
	var spans [][2]int64
	for w, ok := d.next(); ok; w, ok = d.next() {
		to := w.after.at
		if w.after.id != "" {
			to++
		}
		spans = append(spans, [2]int64{w.from, to})
		d.passed(w, 0, 50)
		require.Less(t, len(spans), 200, "windows must grow")
	}
	return spans
}

func TestWindowsGrow(t *testing.T) {
	minute := time.Minute.Milliseconds()
	got := walk(t, newDescent(cursor{at: 1000 * minute}, 0, 1<<62, nil))
	require.Equal(t, [][2]int64{
		{985*minute - 1, 1000 * minute},
		{25*minute - 2, 985*minute - 1}, // 64 times as large
		{0, 25*minute - 2},
	}, got)
}

func TestTheNextWindowIsAsLargeAsWhatIsMissingTakes(t *testing.T) {
	for _, tc := range []struct {
		found, missing int
		want           int64
	}{{0, 50, 64}, {1, 50, 64}, {2, 49, 49}, {10, 41, 8}, {25, 26, 4}, {50, 1, 4}} {
		require.Equal(t, tc.want, growth(tc.found, tc.missing), "%+v", tc)
	}
}

func TestTheFirstWindowHasSoManyRows(t *testing.T) {
	day := 24 * time.Hour.Milliseconds()
	rows := stored{
		{oldest: 1_000_000 * day, newest: 1_000_030*day - 1, rows: 3}, // a far future
		{oldest: 30 * day, newest: 60*day - 1, rows: 30 * firstRows},
		{oldest: 0, newest: 30*day - 1, rows: 10 * firstRows},
	}
	require.Equal(t, day, rows.first(60*day))
	require.Equal(t, day, rows.first(30*day))
	require.Equal(t, 3*day, rows.first(30*day-1))
	require.Equal(t, firstWindow.Milliseconds(), rows.first(-1), "nothing is there")
	require.Equal(t, int64(30*firstRows/3)*day, rows.first(1_000_001*day))
	crowded := stored{{oldest: 0, newest: day, rows: 1 << 40}}
	require.Equal(t, firstWindow.Milliseconds(), crowded.first(day))
	ends := stored{{oldest: -1 << 62, newest: 1<<62 - 1, rows: 1}}
	require.InDelta(t, maxWindow, ends.first(0), 1, "no overflow")
	spans := walk(t, newDescent(cursor{at: rows.newest() + 1}, rows.oldest(), 60*day, rows))
	require.Contains(t, spans, [2]int64{59*day - 1, 60 * day}, "the present begins small again")
}

func TestWindowsBeginSmallAgainAtTheHorizon(t *testing.T) {
	hour := time.Hour.Milliseconds()
	now, future := 1000*hour, 1_000_000*hour
	spans := walk(t, newDescent(cursor{at: future + 1}, 0, now, nil))
	present := 0
	for i, span := range spans {
		if span[1] == now {
			present = i
		}
	}
	require.Positive(t, present)
	require.Equal(t, now, spans[present-1][0])
	require.Equal(t, firstWindow.Milliseconds(), spans[present][1]-1-spans[present][0])
	require.Less(t, len(spans), 30)
}

func TestWindowsMeetWithoutGapOrOverlap(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		span := int64(1) << r.IntN(45)
		floor := r.Int64N(span) - span/2
		top := floor + r.Int64N(span)
		d := newDescent(cursor{at: top + 1}, floor, floor+r.Int64N(span)-span/4, nil)
		if r.IntN(2) == 0 {
			d = newDescent(cursor{at: top, id: "id"}, floor, d.horizon, nil)
		}
		d.size = 1 + r.Int64N(1000)
		spans := walk(t, d)
		require.Equal(t, top+1, spans[0][1], "seed %d", seed)
		for i := 1; i < len(spans); i++ {
			require.Equal(t, spans[i-1][0], spans[i][1], "seed %d", seed)
		}
		require.Equal(t, floor, spans[len(spans)-1][0], "seed %d", seed)
	}
}

func TestNothingIsBelowTheFloor(t *testing.T) {
	for name, d := range map[string]*descent{
		"cursor at the floor": newDescent(cursor{at: 5}, 5, 100, nil),
		"cursor below":        newDescent(cursor{at: 4, id: "id"}, 5, 100, nil),
	} {
		t.Run(name, func(t *testing.T) {
			_, ok := d.next()
			require.False(t, ok)
		})
	}
}

func TestAPausedWindowGoesOn(t *testing.T) {
	d := newDescent(cursor{at: 100}, 0, 1<<62, nil)
	d.paused(cursor{at: 50, id: "b"})
	w, ok := d.next()
	require.True(t, ok)
	require.Equal(t, window{after: cursor{at: 50, id: "b"}, from: 0}, w)
	d.passed(w, 0, 50)
	_, ok = d.next()
	require.False(t, ok)
}

func TestAWindowTooLargeShrinksAndStaysSmall(t *testing.T) {
	day := 24 * time.Hour.Milliseconds()
	d := newDescent(cursor{at: 100 * day}, 0, 1<<62, nil)
	for range 3 {
		w, _ := d.next()
		d.passed(w, 0, 50)
	}
	large := d.size
	require.True(t, d.shrink())
	require.Equal(t, large/shrinkage, d.size)
	w, _ := d.next()
	d.passed(w, 0, 50)
	require.Equal(t, large/shrinkage, d.size)
	for d.shrink() {
		require.Positive(t, d.size)
	}
	require.Equal(t, firstWindow.Milliseconds()/shrinkage, d.size)
}
