package tenant

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/services/collector/internal/window"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)

func TestTailWindow(t *testing.T) {
	cfg := DefaultConfig()
	before := func(d time.Duration) time.Time { return noon.Add(-d) }
	until := func(d time.Duration) window.Set {
		return window.Set{}.Add(window.Interval{From: before(30 * 24 * time.Hour), To: before(d)})
	}
	recently := before(time.Minute)
	cases := map[string]struct {
		began, overlapRead time.Time
		seen               snapshot
		from               time.Time
		overlap            bool
	}{
		"just begun":             {began: recently, from: before(3 * time.Hour), overlap: true},
		"after the overlap":      {began: before(time.Hour), overlapRead: recently, from: before(70 * time.Minute)},
		"goes on":                {began: before(time.Hour), overlapRead: recently, seen: snapshot{readUntil: recently}, from: before(11 * time.Minute)},
		"begun after it":         {began: recently, overlapRead: recently, seen: snapshot{readUntil: before(time.Hour)}, from: before(11 * time.Minute)},
		"overlap due":            {began: before(time.Hour), overlapRead: before(15 * time.Minute), seen: snapshot{readUntil: recently}, from: before(3 * time.Hour), overlap: true},
		"meets what was read":    {began: before(time.Hour), seen: snapshot{readUntil: recently, done: until(3*time.Hour + 15*time.Minute)}, from: before(3*time.Hour + 15*time.Minute).Add(window.Step), overlap: true},
		"does not reach it":      {began: before(time.Hour), seen: snapshot{readUntil: recently, done: until(24 * time.Hour)}, from: before(3 * time.Hour), overlap: true},
		"read nearly all":        {began: before(time.Hour), seen: snapshot{readUntil: recently, done: until(time.Hour)}, from: before(3 * time.Hour), overlap: true},
		"away for hours":         {began: before(8 * time.Hour), seen: snapshot{readUntil: before(5 * time.Hour)}, from: before(5*time.Hour + 10*time.Minute), overlap: true},
		"the clock was set back": {began: noon.Add(time.Hour), overlapRead: noon.Add(time.Hour), from: noon},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			within, overlap := tailWindow(cfg, noon, tc.began, tc.overlapRead, tc.seen)
			require.Equal(t, window.Interval{From: tc.from, To: noon}, within)
			require.Equal(t, tc.overlap, overlap)
		})
	}
}

func TestWhatWantsLess(t *testing.T) {
	for cause, want := range map[entra.Cause]bool{
		entra.CauseNetworkTimeout:   true,
		entra.CauseResponseTooLarge: true,
		entra.CauseThrottled:        false,
		entra.CauseBadRequest:       false,
	} {
		require.Equal(t, want, wantsLess(errors.Join(&entra.Error{Cause: cause})), cause)
	}
	require.False(t, wantsLess(io.EOF))
}

func TestHorizon(t *testing.T) {
	const day = 24 * time.Hour
	info := func(id entra.DataType) entra.DataTypeInfo {
		i, ok := entra.LookupDataType(id)
		require.True(t, ok)
		return i
	}
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	p1 := []entra.Licence{entra.LicenceP1}
	for name, tc := range map[string]struct {
		id       entra.DataType
		licences []entra.Licence
		history  time.Duration
		decided  time.Time
		want     time.Time
	}{
		"30 days":              {entra.Audit, p1, 30 * day, time.Time{}, ago(30*day + edge)},
		"7 days without":       {entra.Audit, nil, 30 * day, time.Time{}, ago(7*day + edge)},
		"less is wanted":       {entra.Audit, p1, 2 * day, time.Time{}, ago(2*day + edge)},
		"more is wanted":       {entra.SignInInteractive, p1, 300 * day, time.Time{}, ago(30*day + edge)},
		"kept for ever":        {entra.RiskyUser, p1, 30 * day, time.Time{}, beginning()},
		"decided before":       {entra.Audit, p1, 30 * day, ago(32 * day), ago(32 * day)},
		"a licence was bought": {entra.Audit, p1, 30 * day, ago(7 * day), ago(30*day + edge)},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, horizon(info(tc.id), tc.licences, tc.history, tc.decided, noon))
		})
	}
}

func TestRecentForgetsTheOldest(t *testing.T) {
	r := NewRecent(4)
	seen := func(event, look string) sighting { return r.sighting(event, []byte(look)) }
	for _, event := range []string{"1", "2", "3", "4", "5"} {
		r.add([]sighting{seen(event, "a")})
	}
	require.False(t, r.unchanged(seen("1", "a")), "forgotten")
	require.True(t, r.unchanged(seen("5", "a")))
	require.False(t, r.unchanged(seen("5", "b")), "it changed")
	require.False(t, r.unchanged(seen("6", "a")), "never seen")

	// What changes back is published again: the store has what came in between.
	r.add([]sighting{seen("5", "b")})
	require.False(t, r.unchanged(seen("5", "a")))
	require.True(t, r.unchanged(seen("5", "b")))
}
