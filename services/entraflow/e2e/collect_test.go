package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

type collectSize struct {
	users, days int
	// speed hurries the clocks, so that what comes three hours late comes within the test.
	speed  float64
	kills  int
	freeze time.Duration
}

const (
	// late is how late a record may come, and lateShare how many do.
	late      = 3 * time.Hour
	lateShare = 0.02
	// takeover is how soon another replica must go on for one that is gone.
	takeover = 30 * time.Second
	// aliveAtMost is how long a collector works before it is killed, and shortLease how long the next one waits.
	aliveAtMost = 2 * time.Second
	shortLease  = 4 * time.Second
)

// faults is everything Graph is known to do wrong, some of it all the time.
var faults = []map[string]any{
	{"kind": "throttle", "share": 0.03, "path": "/auditLogs"},
	{"kind": "throttle", "share": 0.03, "path": "/auditLogs", "retry_after_seconds": 2},
	{"kind": "unavailable", "share": 0.03, "path": "/auditLogs"},
	{"kind": "gateway_timeout", "share": 0.03, "path": "/auditLogs"},
	{"kind": "bad_gateway", "share": 0.03, "path": "/auditLogs"},
	{"kind": "cut", "share": 0.01, "path": "/auditLogs"},
	{"kind": "skip_token", "share": 0.01, "path": "/auditLogs"},
	{"kind": "short_page", "share": 0.1, "path": "/auditLogs"},
	{"kind": "empty_page", "share": 0.02, "path": "/auditLogs"},
	{"kind": "duplicate", "share": 0.1, "path": "/auditLogs"},
}

// newTenantWorld starts a world with a faulty tenant of which some records come late.
func newTenantWorld(t *testing.T, size collectSize, collectors int, leaseTTL time.Duration) (context.Context, *world, *chaos) {
	t.Helper()
	c := &chaos{seed: seed(t), logf: t.Logf}
	ctx, w := newWorld(t, options{collectors: collectors, leaseTTL: leaseTTL, tenant: &tenantOptions{
		users: size.users, days: size.days, seed: c.seed, speed: size.speed, lateShare: lateShare,
	}})
	for i, f := range faults {
		f = maps.Clone(f)
		f["seed"] = c.seed + uint64(i)
		require.NoError(t, w.tenant.call(ctx, http.MethodPost, "/v1/entra/faults", f, nil))
	}
	require.NoError(t, w.startServices(ctx))
	w.integrate(ctx, t)
	return ctx, w, c
}

// TestCollectorCrash kills the collector again and again while it reads a tenant whose Graph fails in every known way,
// and of whose records some show hours late. In the end the store holds exactly the tenant's ids.
func TestCollectorCrash(t *testing.T) {
	t.Parallel()
	size := sizes.collect
	ctx, w, c := newTenantWorld(t, size, 1, shortLease)
	c.began = time.Now()
	require.NoError(t, c.killsAtWork(ctx, w, size.kills))
	require.NoError(t, w.collectedAll(ctx, t))
	w.tellCollected(ctx, t, time.Since(c.began))
}

// killsAtWork kills the collector n times, each at a random moment after it has read a window.
func (c *chaos) killsAtWork(ctx context.Context, w *world, n int) error {
	target, r := w.collectors[0], c.random("collector")
	during := 0
	for range n {
		err := eventually(ctx, "the collector to read", func() (bool, error) {
			windows, err := target.metric(ctx, "entraflow_collector_windows_total")
			return windows >= 1, err
		})
		if err != nil {
			return err
		}
		if err := pause(ctx, time.Duration(r.Int64N(int64(aliveAtMost)))); err != nil {
			return err
		}
		target.kill()
		ended, err := w.firstRunEnded(ctx)
		if err != nil {
			return err
		}
		if !ended {
			during++
		}
		if err := target.start(ctx); err != nil {
			return fmt.Errorf("starting %s again: %w", target.name, err)
		}
		c.logf("%6.1f s: killed %s, pid is now %d", time.Since(c.began).Seconds(), target.name, target.id())
	}
	c.logf("%d of %d kills were during the first run", during, n)
	return nil
}

// firstRunEnded reports whether the first run has ended, however.
func (w *world) firstRunEnded(ctx context.Context) (bool, error) {
	store, err := runs.OpenReader(ctx, w.operator)
	if err != nil {
		return false, err
	}
	all, err := store.List(ctx, collected)
	if err != nil {
		return false, err
	}
	for _, run := range all {
		if run.GetTrigger() == controlv1.RunTrigger_RUN_TRIGGER_INITIAL && runs.Ended(run.GetState()) {
			return true, nil
		}
	}
	return false, nil
}

// TestCollectorFrozen freezes the collector that reads a tenant: the other takes over within half a minute, and the
// first, when it comes back, changes nothing.
func TestCollectorFrozen(t *testing.T) {
	t.Parallel()
	size := sizes.collect
	ctx, w, c := newTenantWorld(t, size, 2, 0)
	c.began = time.Now()
	var working, other *program
	require.NoError(t, eventually(ctx, "a collector to read", func() (bool, error) {
		for i, p := range w.collectors {
			if windows, err := p.metric(ctx, "entraflow_collector_windows_total"); err == nil && windows >= 2 {
				working, other = p, w.collectors[1-i]
				return true, nil
			}
		}
		return false, nil
	}))
	frozen := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return c.freeze(ctx, working, max(size.freeze, takeover+5*time.Second), func(context.Context) error { return nil })
	})
	group.Go(func() error {
		err := eventually(ctx, "the other collector to read", func() (bool, error) {
			windows, err := other.metric(ctx, "entraflow_collector_windows_total")
			return windows >= 1, err
		})
		if took := time.Since(frozen); err == nil && took > takeover {
			return fmt.Errorf("the other collector went on after %s", took)
		}
		t.Logf("the other collector went on after %.1f s", time.Since(frozen).Seconds())
		return err
	})
	require.NoError(t, group.Wait())
	ctx = t.Context()
	require.NoError(t, w.collectedAll(ctx, t))
	w.tellCollected(ctx, t, time.Since(c.began))
}

// collectedAll waits until the first run has ended, everything late has shown and was read, and the store holds
// exactly the truth.
func (w *world) collectedAll(ctx context.Context, t *testing.T) error {
	t.Helper()
	// It may fail in part, under so many faults; what failed is tried again.
	err := eventually(ctx, "the first run to end", func() (bool, error) { return w.firstRunEnded(ctx) })
	if err != nil {
		return err
	}
	shown := w.tenant.anchor.Add(late + time.Minute)
	if err := pause(ctx, time.Duration(float64(w.tenant.clock.Until(shown))/w.tenant.options.speed)); err != nil {
		return err
	}
	truth := w.tenant.truth()
	conn := w.queryable(t)
	return eventually(ctx, "the store to hold the truth", func() (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		stream, err := w.operator.JetStream().Stream(ctx, eventv1.EventStream)
		if err != nil {
			return false, err
		}
		if err := bus.Stored(ctx, w.operator.JetStream(), eventv1.EventStream, stream.CachedInfo().State.LastSeq); err != nil {
			return false, err
		}
		if err := pause(ctx, time.Second); err != nil { // counting ids is dear
			return false, err
		}
		err = w.matches(ctx, conn, truth)
		return err == nil, err
	})
}

func (w *world) tellCollected(ctx context.Context, t *testing.T, took time.Duration) {
	t.Helper()
	conn := w.queryable(t)
	require.Zero(t, count(ctx, t, conn, "SELECT count() FROM dead_letters"))
	stream, err := w.operator.JetStream().Stream(ctx, eventv1.EventStream)
	require.NoError(t, err)
	t.Logf("%d sign-ins in %.1f s; %d messages in EVENTS; 0 missing, 0 twice",
		count(ctx, t, conn, "SELECT count() FROM sign_ins FINAL"), took.Seconds(), stream.CachedInfo().State.LastSeq)
	for _, p := range append([]*program{w.simulator, w.nats, w.store, w.sink}, w.collectors...) {
		t.Logf("%-11s started %2d times, peak RSS %d MiB", p.name, p.starts, p.peakRSS()/mib)
	}
}
