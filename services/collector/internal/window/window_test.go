package window_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/collector/internal/window"
)

var base = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// at returns the instant n steps after base.
func at(n int) time.Time { return base.Add(time.Duration(n) * window.Step) }

func span(from, to int) window.Interval { return window.Interval{From: at(from), To: at(to)} }

// Held against a plain slice of booleans.
func TestSetIsASetOfInstants(t *testing.T) {
	const size = 60
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
	for range 2000 {
		var set window.Set
		var in [size]bool
		for range random.IntN(8) {
			from := random.IntN(size)
			to := from + random.IntN(size-from)
			set = set.Add(span(from, to))
			for i := from; i <= to; i++ {
				in[i] = true
			}
		}
		for n := 1; n < len(set); n++ {
			require.Greater(t, set[n].From.Sub(set[n-1].To), window.Step, "touching intervals: %v", set)
		}
		from := random.IntN(size)
		within := span(from, from+random.IntN(size-from))
		var missing [size]bool
		for _, gap := range set.Gaps(within) {
			for i := range size {
				if !at(i).Before(gap.From) && !at(i).After(gap.To) {
					missing[i] = true
				}
			}
		}
		count := 0
		for i := range size {
			inside := !at(i).Before(within.From) && !at(i).After(within.To)
			require.Equal(t, inside && !in[i], missing[i], "%d of %v in %v", i, within, set)
			if in[i] {
				count++
			}
		}
		require.Equal(t, time.Duration(count)*window.Step, set.Width())
		require.Empty(t, cmp.Diff(set, window.Decode(set.Encode())))
	}
}

func TestNewestReadsEverythingOnceNewestFirst(t *testing.T) {
	within := window.Interval{From: base, To: base.Add(30 * 24 * time.Hour)}
	done := window.Set{}.Add(window.Interval{From: base.Add(50 * time.Hour), To: base.Add(77 * time.Hour)})
	width, last := window.FirstWidth, within.To.Add(window.Step)
	for n := 0; ; n++ {
		require.Less(t, n, 200)
		next, ok := window.Newest(done, within, width)
		if !ok {
			break
		}
		require.True(t, next.To.Before(last), "newest first")
		require.Equal(t, done.Width()+next.Width(), done.Add(next).Width(), "nothing twice")
		last, done = next.From, done.Add(next)
	}
	require.Equal(t, window.Set{within}, done)
	require.Zero(t, window.Pieces(done, within, width))
}

func TestWidthFollowsDensity(t *testing.T) {
	for name, c := range map[string]struct {
		width, read time.Duration
		pages       int
		want        time.Duration
	}{
		"empty":                  {time.Hour, time.Hour, 1, 2 * time.Hour},
		"right":                  {time.Hour, time.Hour, 6, time.Hour},
		"dense":                  {time.Hour, time.Hour, 40, 12 * time.Minute},
		"a rest of a gap":        {time.Hour, time.Minute, 1, time.Hour},
		"begun before, empty":    {2 * time.Hour, time.Hour, 1, 2 * time.Hour},
		"begun before, dense":    {12 * time.Minute, time.Hour, 40, 12 * time.Minute},
		"begun before, in order": {12 * time.Minute, time.Hour, 8, 12 * time.Minute},
		"not smaller":            {window.MinWidth, window.MinWidth, 400, window.MinWidth},
		"not larger":             {window.MaxWidth, window.MaxWidth, 1, window.MaxWidth},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, window.NextWidth(c.width, c.read, c.pages)) })
	}
}

func TestHalvesAreTheWhole(t *testing.T) {
	for _, n := range []int{2, 3, 10, 11} {
		whole := span(0, n-1)
		newer, older, ok := whole.Halves()
		require.True(t, ok)
		require.Equal(t, window.Set{whole}, window.Set{}.Add(newer).Add(older))
		require.Equal(t, whole.Width(), newer.Width()+older.Width())
		require.True(t, newer.From.After(older.To))
	}
	_, _, ok := span(1, 1).Halves()
	require.False(t, ok)
}

func TestUntilIsTheLastInstant(t *testing.T) {
	_, ok := window.Set{}.Until()
	require.False(t, ok)
	until, ok := window.Set{}.Add(span(0, 5)).Add(span(30, 40)).Until()
	require.True(t, ok)
	require.Equal(t, at(40), until)
}
