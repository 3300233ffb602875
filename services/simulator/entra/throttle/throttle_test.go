package throttle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/entra/throttle"
)

// fake is a clock that a test moves.
type fake struct{ now time.Time }

func newThrottle(s throttle.Settings) (*throttle.Throttle, *fake) {
	f := &fake{time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	return throttle.New(s, func() time.Time { return f.now }), f
}

func (f *fake) pass(d time.Duration) { f.now = f.now.Add(d) }

func on() throttle.Settings { return throttle.Settings{Mode: throttle.On, Scale: 1} }

// allowed counts how many of n requests at once pass.
func allowed(t *throttle.Throttle, n int, bucket, tenant, app string, charges []throttle.Charge) int {
	passed := 0
	for range n {
		if t.Take(bucket, tenant, app, charges).OK {
			passed++
		}
	}
	return passed
}

func TestDocumentedLimits(t *testing.T) {
	tests := map[string]struct {
		bucket  string
		charges []throttle.Charge
		tries   int
		allowed int
		window  time.Duration
	}{
		"reports":             {throttle.BucketReports, throttle.Reports(), 5, 5, 10 * time.Second},
		"identity protection": {throttle.BucketProtection, throttle.Protection(), 1, 1, time.Second},
		"sign-in activity":    {throttle.BucketActivity, throttle.Activity(), 10, 10, time.Minute},
		"directory, small":    {throttle.BucketDirectory, throttle.Directory(49, 2), 1750, 1750, 10 * time.Second},
		"directory, medium":   {throttle.BucketDirectory, throttle.Directory(500, 5), 1000, 1000, 10 * time.Second},
		"directory, large":    {throttle.BucketDirectory, throttle.Directory(501, 4), 2000, 2000, 10 * time.Second},
		"login":               {throttle.BucketLogin, throttle.Login(), 100, 100, 10 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			th, clock := newThrottle(on())
			require.Equal(t, tt.allowed, allowed(th, tt.tries, tt.bucket, "t", "a", tt.charges))
			d := th.Take(tt.bucket, "t", "a", tt.charges)
			require.False(t, d.OK)
			if tt.bucket == throttle.BucketProtection {
				require.Zero(t, d.RetryAfter)
			} else {
				require.Equal(t, tt.window, d.RetryAfter)
			}
			require.Greater(t, d.Used, 1.0)
			clock.pass(tt.window - time.Millisecond)
			require.False(t, th.Take(tt.bucket, "t", "a", tt.charges).OK, "still within the window")
			clock.pass(tt.window)
			require.True(t, th.Take(tt.bucket, "t", "a", tt.charges).OK)
		})
	}
}

func TestWindowSlides(t *testing.T) {
	th, clock := newThrottle(on())
	for range 40 { // one every two seconds is exactly the rate
		require.True(t, th.Take(throttle.BucketReports, "t", "a", throttle.Reports()).OK)
		clock.pass(2 * time.Second)
	}
	require.True(t, th.Take(throttle.BucketReports, "t", "a", throttle.Reports()).OK)
	d := th.Take(throttle.BucketReports, "t", "a", throttle.Reports())
	require.False(t, d.OK, "two at once are not")
	require.Equal(t, 2*time.Second, d.RetryAfter)
}

func TestRefusedRequestsCount(t *testing.T) {
	th, clock := newThrottle(on())
	require.Equal(t, 5, allowed(th, 10, throttle.BucketReports, "t", "a", throttle.Reports()))
	clock.pass(9 * time.Second)
	require.Zero(t, allowed(th, 5, throttle.BucketReports, "t", "a", throttle.Reports()))
	clock.pass(2 * time.Second)
	require.Zero(t, allowed(th, 1, throttle.BucketReports, "t", "a", throttle.Reports()), "the refused ones are still in the window")
	clock.pass(10 * time.Second)
	require.Equal(t, 5, allowed(th, 6, throttle.BucketReports, "t", "a", throttle.Reports()))
}

func TestWhoSharesALimit(t *testing.T) {
	th, _ := newThrottle(on())
	require.Equal(t, 5, allowed(th, 6, throttle.BucketReports, "t", "a", throttle.Reports()))
	require.Equal(t, 5, allowed(th, 6, throttle.BucketReports, "t", "b", throttle.Reports()), "another app")
	require.Equal(t, 5, allowed(th, 6, throttle.BucketReports, "u", "a", throttle.Reports()), "another tenant")
	require.Equal(t, 1, allowed(th, 2, throttle.BucketProtection, "t", "a", throttle.Protection()))
	require.Zero(t, allowed(th, 1, throttle.BucketProtection, "t", "b", throttle.Protection()), "all apps of a tenant share it")
	th, _ = newThrottle(on())
	passed := 0
	for i := range 30 {
		passed += allowed(th, 5, throttle.BucketReports, string(rune('A'+i)), "a", throttle.Reports())
	}
	require.Equal(t, 122, passed, "an app over all tenants")
}

func TestModesAndScale(t *testing.T) {
	th, _ := newThrottle(throttle.Settings{Mode: throttle.Off, Scale: 1})
	require.Equal(t, 100, allowed(th, 100, throttle.BucketReports, "t", "a", throttle.Reports()))
	th.Set(throttle.Settings{Mode: throttle.On, Scale: 4})
	require.Equal(t, 20, allowed(th, 30, throttle.BucketReports, "t", "a", throttle.Reports()))
	require.Equal(t, throttle.Settings{Mode: throttle.On, Scale: 4}, th.Settings())
	th, _ = newThrottle(throttle.Settings{Mode: throttle.On, Scale: 0.01})
	require.Equal(t, 1, allowed(th, 3, throttle.BucketReports, "t", "a", throttle.Reports()), "never less than one")
}

func TestCounters(t *testing.T) {
	th, clock := newThrottle(on())
	first := clock.now
	allowed(th, 7, throttle.BucketReports, "t", "a", throttle.Reports())
	clock.pass(time.Second)
	th.CountFault(throttle.BucketReports, "t", "a")
	allowed(th, 1, throttle.BucketLogin, "t", "a", throttle.Login())
	require.Equal(t, []throttle.Counter{
		{Bucket: "login", Tenant: "t", App: "a", Requests: 1, First: clock.now, Last: clock.now},
		{Bucket: "reports", Tenant: "t", App: "a", Requests: 8, Throttled: 2, Faults: 1, First: first, Last: clock.now},
	}, th.Counters())
	th.ResetCounters()
	require.Empty(t, th.Counters())
}
