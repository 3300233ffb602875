package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// killWithin is how long a replica reads, at most, before it is killed.
const killWithin = 3 * time.Second

// TestDirectoryCrash kills the replica that reads a directory again and again, during whole and delta rounds, while objects
// and links change, tokens expire and Graph fails in every known way. In the end DIRECTORY and the store hold exactly what
// the tenant has.
func TestDirectoryCrash(t *testing.T) {
	t.Parallel()
	size := sizes.directory
	ctx, w, c := newDirectoryWorld(t, 2, shortLease, &tenantOptions{
		users: size.users, entra: map[string]any{"latency": "10ms", "delta": map[string]any{"page_size": 200, "slice_size": 50}},
	})
	require.NoError(t, w.fail(ctx, c.seed, directoryFaults...))
	require.NoError(t, w.startServices(ctx))
	w.integrate(ctx, t)
	c.began = time.Now()
	changes, err := w.whileChanging(ctx, c, size.changes, func(ctx context.Context) error {
		return c.killsOfDirectory(ctx, w, size.kills)
	})
	require.NoError(t, err)
	require.NoError(t, w.heal(ctx))
	w.tellAgreed(ctx, t, changes)
	w.requireSmall(t, size.maxRSS)
}

// whileChanging does something while the directory changes at a rate a second, and returns how many changes there were.
func (w *world) whileChanging(ctx context.Context, c *chaos, rate float64, do func(context.Context) error) (changes int, err error) {
	changing, enough := context.WithCancelCause(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		changes, err = w.tenant.change(changing, c.seed, 0, rate)
		return err
	})
	group.Go(func() error {
		defer enough(errEnough)
		return do(ctx)
	})
	return changes, group.Wait()
}

// killsOfDirectory kills the replica that reads n times. Before every other time all tokens expire, so that a whole round is
// hit; both of Graph's ways take turns.
func (c *chaos) killsOfDirectory(ctx context.Context, w *world, n int) error {
	r, complete := c.random("directory"), false
	for i := range n {
		at, err := w.working(ctx)
		if err != nil {
			return err
		}
		what := "before all users were read"
		if complete {
			what = "when changes were read"
			if i%2 == 1 {
				what = "when all was read again"
				if err := w.tenant.expireTokens(ctx, i%4 == 1); err != nil {
					return err
				}
			}
		}
		if err := pause(ctx, time.Duration(r.Int64N(int64(killWithin)))); err != nil {
			return err
		}
		target := w.directories[at]
		users, err := target.metric(ctx, "entraflow_directorysync_rounds_total", `data_type="users"`, `result="ok"`)
		if err != nil {
			return err
		}
		complete = complete || users > 0
		target.kill()
		if err := target.start(ctx); err != nil {
			return fmt.Errorf("starting %s again: %w", target.name, err)
		}
		c.logf("%6.1f s: killed %s %s, pid is now %d", time.Since(c.began).Seconds(), target.name, what, target.id())
	}
	return nil
}

// tellAgreed waits until everything agrees and tells how much that is.
func (w *world) tellAgreed(ctx context.Context, t *testing.T, changes int, kinds ...string) agreed {
	t.Helper()
	a, err := w.agree(ctx, t, kinds...)
	require.NoError(t, err)
	require.Zero(t, count(ctx, t, w.queryable(t), "SELECT count() FROM dead_letters"))
	t.Logf("after %d changes DIRECTORY and store hold %d objects and %d links as the tenant has them, %.1f s after the last; "+
		"%d states in the history; the largest message has %d KiB", changes, a.objects, a.links, a.took.Seconds(),
		count(ctx, t, w.queryable(t), "SELECT count() FROM directory_history FINAL"), a.largest>>10)

	return a
}

// TestDirectoryFrozen freezes the replica that reads a directory while that changes: the other takes over within half a
// minute, and the first, when it comes back, changes nothing.
func TestDirectoryFrozen(t *testing.T) {
	t.Parallel()
	size := sizes.directory
	ctx, w, c := newDirectoryWorld(t, 2, 0, &tenantOptions{users: size.users})
	require.NoError(t, w.startServices(ctx))
	w.integrate(ctx, t)
	c.began = time.Now()
	changes, err := w.whileChanging(ctx, c, size.changes, func(ctx context.Context) error {
		at, err := w.working(ctx)
		if err != nil {
			return err
		}
		if err := pause(ctx, killWithin); err != nil {
			return err
		}
		return c.freezeDirectory(ctx, w, at, max(size.freeze, takeover+5*time.Second))
	})
	require.NoError(t, err)
	w.tellAgreed(ctx, t, changes)
	w.requireSmall(t, size.maxRSS)
}

// freezeDirectory freezes a replica for a while, in which the other must go on.
func (c *chaos) freezeDirectory(ctx context.Context, w *world, at int, lasts time.Duration) error {
	other := w.directories[1-at]
	before, err := other.read(ctx)
	if err != nil {
		return err
	}
	frozen := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return c.freeze(ctx, w.directories[at], lasts, func(context.Context) error { return nil })
	})
	group.Go(func() error {
		err := eventually(ctx, "the other replica to read", func() (bool, error) {
			now, err := other.read(ctx)
			return now > before, err
		})
		took := time.Since(frozen)
		if err == nil && took > takeover {
			return fmt.Errorf("the other replica went on after %s", took)
		}
		c.logf("the other replica read again %.1f s after the freeze", took.Seconds())
		return err
	})
	return group.Wait()
}
