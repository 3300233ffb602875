package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seedEnv names the variable that repeats a run's random moments.
const seedEnv = "ENTRAFLOW_E2E_SEED"

// seed returns the seed of a run and tells it.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64() //nolint:gosec // no secret
	if text := os.Getenv(seedEnv); text != "" {
		var err error
		s, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, seedEnv)
	}
	t.Logf("%s=%d repeats this run's random moments", seedEnv, s)
	return s
}

// chaos kills programs at random moments. Each of its methods is for one goroutine and has its own random
// numbers, so that a seed gives the same moments however the goroutines run.
type chaos struct {
	seed  uint64
	began time.Time
	logf  func(format string, args ...any)
}

// random returns random numbers for a purpose.
func (c *chaos) random(purpose string) *rand.Rand {
	sum := uint64(0)
	for _, b := range []byte(purpose) {
		sum = sum*31 + uint64(b)
	}
	return rand.New(rand.NewPCG(c.seed, sum)) //nolint:gosec // to be repeatable
}

// until waits for a moment after the beginning.
func (c *chaos) until(ctx context.Context, moment time.Duration) error {
	return pause(ctx, time.Until(c.began.Add(moment)))
}

// moments returns n random moments within a span, in order.
func moments(r *rand.Rand, n int, from, to time.Duration) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = from + time.Duration(r.Int64N(int64(to-from)))
	}
	slices.Sort(all)
	return all
}

// kills kills one of the programs at each of n random moments of a span, and starts it again up to a second later.
func (c *chaos) kills(ctx context.Context, purpose string, n int, from, to time.Duration, targets ...*program) error {
	r := c.random(purpose)
	for _, moment := range moments(r, n, from, to) {
		target := targets[r.IntN(len(targets))]
		if err := c.until(ctx, moment); err != nil {
			return err
		}
		target.kill()
		if err := pause(ctx, time.Duration(r.Int64N(int64(time.Second)))); err != nil {
			return err
		}
		if err := target.start(ctx); err != nil {
			return fmt.Errorf("starting %s again: %w", target.name, err)
		}
		c.logf("%6.1f s: killed %s, pid is now %d", moment.Seconds(), target.name, target.id())
	}
	return nil
}

// freeze stops a program for a while with SIGSTOP and lets it go on with SIGCONT; meanwhile is called
// halfway and just before the end.
func (c *chaos) freeze(ctx context.Context, target *program, lasts time.Duration, meanwhile func(context.Context) error) error {
	if err := target.signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("freezing %s: %w", target.name, err)
	}
	c.logf("%6.1f s: froze %s for %s", time.Since(c.began).Seconds(), target.name, lasts)
	for range 2 {
		if err := pause(ctx, lasts/2); err != nil {
			return err
		}
		if err := meanwhile(ctx); err != nil {
			return err
		}
	}
	c.logf("%6.1f s: %s goes on", time.Since(c.began).Seconds(), target.name)
	return target.signal(syscall.SIGCONT)
}
