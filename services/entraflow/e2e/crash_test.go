package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

type crashSize struct {
	records, perMessage                             int
	lasts                                           time.Duration // how long records are sent and programs killed
	freeze                                          time.Duration // within lasts
	streamerKills, sinkKills, natsKills, storeKills int
}

// TestCrash sends records while every part but the hub is killed at random moments and one of two
// streamers is frozen for so long that the other takes its partitions. In the end the store holds
// exactly the ids that were sent, each in its newest version.
func TestCrash(t *testing.T) {
	t.Parallel()
	size := sizes.crash
	c := &chaos{seed: seed(t), logf: t.Logf}
	ctx, w := newWorld(t, options{streamers: 2})
	require.NoError(t, w.startServices(ctx))
	watched, err := w.observe(ctx)
	require.NoError(t, err)

	b := newBooks()
	c.began = time.Now()
	group, working := errgroup.WithContext(ctx)
	group.Go(func() error {
		return b.send(working, w.hub, load{
			count: size.records, perMessage: size.perMessage, again: 20,
			rate: float64(size.records) / size.lasts.Seconds(),
		})
	})
	early, late := size.lasts/20, size.lasts*19/20
	group.Go(func() error { return c.kills(working, "sink", size.sinkKills, early, late, w.sink) })
	group.Go(func() error { return c.kills(working, "nats", size.natsKills, early, late, w.nats) })
	group.Go(func() error { return c.kills(working, "store", size.storeKills, early, late, w.store) })
	group.Go(func() error { return c.streamers(working, w, size) })
	require.NoError(t, group.Wait())
	require.NoError(t, w.servicesReady(ctx))
	require.NoError(t, w.settle(ctx))
	took := time.Since(c.began)

	conn := w.queryable(t)
	requireExactly(ctx, t, conn, b)
	require.Zero(t, count(ctx, t, conn, "SELECT count() FROM dead_letters"))
	writes, err := watched.stop()
	require.NoError(t, err)
	require.Positive(t, writes)
	w.tell(ctx, t, b, took)
}

// streamers kills replicas in the first and last third, and freezes one in between.
func (c *chaos) streamers(ctx context.Context, w *world, size crashSize) error {
	third := (size.lasts - size.freeze) / 2
	if err := c.kills(ctx, "streamers before", size.streamerKills/2, third/20, third*8/10, w.streamers...); err != nil {
		return err
	}
	if err := c.until(ctx, third); err != nil {
		return err
	}
	frozen := w.streamers[c.random("frozen").IntN(len(w.streamers))]
	if err := w.owns(ctx, frozen); err != nil {
		return err
	}
	before, err := w.positions(ctx)
	if err != nil {
		return fmt.Errorf("reading positions: %w", err)
	}
	halves := 0
	err = c.freeze(ctx, frozen, size.freeze, func(ctx context.Context) error {
		if halves++; halves == 1 {
			before, err = w.positions(ctx)
			return err
		}
		return w.movedOn(ctx, before)
	})
	if err != nil {
		return err
	}
	from := time.Since(c.began)
	rest := size.streamerKills - size.streamerKills/2
	return c.kills(ctx, "streamers after", rest, from+third/10, from+third*9/10, w.streamers...)
}

// owns waits until a streamer reads some partitions and another reads the others: only then freezing it shows anything.
func (w *world) owns(ctx context.Context, target *program) error {
	return eventually(ctx, "partitions to be shared", func() (bool, error) {
		owned, err := target.metric(ctx, "entraflow_streamer_owned_partitions")
		return owned >= 1 && owned < partitions, err
	})
}

// movedOn checks that every partition is read further than before, by whoever is not frozen.
func (w *world) movedOn(ctx context.Context, before map[string]int64) error {
	return eventually(ctx, "all partitions to be read while a streamer is frozen", func() (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, waitTimeout)
		defer cancel()
		now, err := w.positions(ctx)
		if err != nil {
			return false, err
		}
		if len(now) < partitions {
			return false, fmt.Errorf("positions are %v", now)
		}
		for id, at := range maps.All(now) {
			if at <= before[id] {
				return false, fmt.Errorf("partition %s stays at %d", id, at)
			}
		}
		return true, nil
	})
}

// tell logs what a run took.
func (w *world) tell(ctx context.Context, t *testing.T, b *books, took time.Duration) {
	t.Helper()
	ids, sent := b.totals()
	stream, err := w.operator.JetStream().Stream(ctx, eventv1.EventStream)
	require.NoError(t, err)
	rows := count(ctx, t, w.queryable(t), "SELECT count() FROM sign_ins")
	t.Logf("%d records of %d ids in %.1f s; %d messages in EVENTS; %d rows before the last merges",
		sent, ids, took.Seconds(), stream.CachedInfo().State.LastSeq, rows)
	for _, p := range append([]*program{w.simulator, w.nats, w.store, w.sink}, w.streamers...) {
		t.Logf("%-11s started %2d times, peak RSS %d MiB", p.name, p.starts, p.peakRSS()/mib)
	}
}
