package clock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNow(t *testing.T) {
	cases := map[string]struct {
		clock func() clock.Clock
		after time.Duration // on the clock, once a real minute has passed
	}{
		"zero":     {func() clock.Clock { return clock.Clock{} }, time.Minute},
		"real":     {clock.Real, time.Minute},
		"offset":   {func() clock.Clock { return clock.New(48*time.Hour, 1) }, 48*time.Hour + time.Minute},
		"negative": {func() clock.Clock { return clock.New(-time.Hour, 1) }, -time.Hour + time.Minute},
		"fast":     {func() clock.Clock { return clock.New(0, 60) }, time.Hour},
		"slow":     {func() clock.Clock { return clock.New(0, 0.5) }, 30 * time.Second},
		"both":     {func() clock.Clock { return clock.New(time.Hour, 120) }, 3 * time.Hour},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c := tc.clock()
				shown := c.Now()
				require.NoError(t, clock.Real().Sleep(t.Context(), time.Minute))
				require.Equal(t, tc.after, c.Now().Sub(began))
				require.Equal(t, c.Now().Sub(shown), c.Since(shown))
				require.Equal(t, -c.Since(shown), c.Until(shown))
			})
		})
	}
}

func TestAnchoredClocksAgreeWheneverTheyStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		anchor := time.Now()
		first := clock.NewAnchored(anchor, time.Hour, 3600)
		require.NoError(t, clock.Real().Sleep(t.Context(), 10*time.Second))
		second := clock.NewAnchored(anchor.Round(0), time.Hour, 3600)
		require.Equal(t, anchor.Add(11*time.Hour).Round(0), second.Now().Round(0))
		require.Equal(t, first.Now().Round(0), second.Now().Round(0))
	})
}

func TestTimersFollowTheSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(time.Hour, 60)
		began := time.Now()

		timer := c.NewTimer(time.Hour)
		<-timer.C
		require.Equal(t, time.Minute, time.Since(began))
		timer.Reset(time.Hour)
		<-timer.C
		require.Equal(t, 2*time.Minute, time.Since(began))
		timer.Reset(time.Hour)
		require.True(t, timer.Stop())

		ticker := c.NewTicker(time.Minute)
		defer ticker.Stop()
		<-ticker.C
		<-ticker.C
		require.Equal(t, 2*time.Minute+2*time.Second, time.Since(began))
		ticker.Reset(time.Hour)
		<-ticker.C
		require.Equal(t, 3*time.Minute+2*time.Second, time.Since(began))

		<-c.After(time.Hour)
		require.Equal(t, 4*time.Minute+2*time.Second, time.Since(began))
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, clock.New(0, 2).Sleep(ctx, time.Hour), context.DeadlineExceeded)
		require.NoError(t, clock.New(0, 2).Sleep(t.Context(), time.Hour))
	})
}

func TestTickerOfAFastClockIsNeverZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ticker := clock.New(0, 1e12).NewTicker(time.Nanosecond)
		defer ticker.Stop()
		<-ticker.C
	})
}

func TestSpeedMustBePositive(t *testing.T) {
	for _, speed := range []float64{0, -1} {
		require.Panics(t, func() { clock.New(0, speed) })
	}
}
