package e2e_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

type outageSize struct {
	away time.Duration
	rate float64 // records a second
	// The most memory that sink and streamer may hold, in bytes.
	maxSinkRSS, maxStreamerRSS int64
}

type floodSize struct {
	// stream limits EVENTS, send is what is sent while the sink is away, in bytes.
	stream, send               int
	recordBytes                int
	maxSinkRSS, maxStreamerRSS int64
}

// TestStoreAway takes ClickHouse away under load: by its death, and by a silence in which its connections
// stay open. Nothing is lost, and who waits for it holds little.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		goes, comes func(context.Context, *world) error
	}{
		"killed": {
			func(_ context.Context, w *world) error {
				w.store.kill()
				return nil
			},
			func(ctx context.Context, w *world) error { return w.store.start(ctx) },
		},
		"frozen": {
			func(_ context.Context, w *world) error { return w.store.signal(syscall.SIGSTOP) },
			func(_ context.Context, w *world) error { return w.store.signal(syscall.SIGCONT) },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size := sizes.outage
			ctx, w := newWorld(t, options{})
			require.NoError(t, w.startServices(ctx))
			b := newBooks()
			before, after := time.Second, 2*time.Second
			group, working := errgroup.WithContext(ctx)
			group.Go(func() error {
				count := int(size.rate * (before + size.away + after).Seconds())
				return b.send(working, w.hub, load{count: count, perMessage: 50, rate: size.rate, again: 20})
			})
			group.Go(func() error {
				if err := pause(working, before); err != nil {
					return err
				}
				if err := tc.goes(working, w); err != nil {
					return err
				}
				if err := pause(working, size.away); err != nil {
					return err
				}
				return tc.comes(working, w)
			})
			require.NoError(t, group.Wait())
			require.NoError(t, w.settle(ctx))
			conn := w.queryable(t)
			requireExactly(ctx, t, conn, b)
			require.Zero(t, count(ctx, t, conn, "SELECT count() FROM dead_letters"))
			said, err := w.sink.logged("store takes rows again")
			require.NoError(t, err)
			require.Equal(t, name == "killed" || !impatient, said, "the sink says that the store was away")
			w.requireLean(t, size.maxSinkRSS, size.maxStreamerRSS)
		})
	}
}

// requireLean checks the most memory that sink and streamer held.
func (w *world) requireLean(t *testing.T, sink, streamer int64) {
	t.Helper()
	t.Logf("peak RSS: sink %d of %d MiB, streamer %d of %d MiB, nats %d MiB", w.sink.peakRSS()/mib, sink/mib,
		w.streamers[0].peakRSS()/mib, streamer/mib, w.nats.peakRSS()/mib)
	require.LessOrEqual(t, w.sink.peakRSS(), sink, "memory of the sink in bytes")
	require.LessOrEqual(t, w.streamers[0].peakRSS(), streamer, "memory of the streamer in bytes")
}

// TestFullStream sends far more than EVENTS may hold while the sink is away. The streamer stops taking and
// says so, the rest waits in the hub, and once the sink is there all of it arrives. The streamer is killed
// while the stream is full: it had taken records that the stream had no room for, and must not have
// checkpointed them.
func TestFullStream(t *testing.T) {
	t.Parallel()
	size := sizes.flood
	ctx, w := newWorld(t, options{eventBytes: size.stream})
	streamer := w.streamers[0]
	require.NoError(t, streamer.start(ctx))
	require.NoError(t, streamer.ready(ctx))
	b := newBooks()
	require.NoError(t, b.send(ctx, w.hub, load{count: size.send / size.recordBytes, perMessage: 100, bytes: size.recordBytes}))
	require.NoError(t, eventually(ctx, "the gate to close", func() (bool, error) { return gateIs(ctx, streamer, 1) }))
	said, err := streamer.logged(`"gate closed: a reader is too far behind"`)
	require.NoError(t, err)
	require.True(t, said)
	held := w.eventBytes(ctx, t)
	require.Greater(t, held, size.stream*7/10)
	streamer.kill()
	require.NoError(t, streamer.start(ctx))
	require.NoError(t, streamer.ready(ctx))
	// However long the sink is away, no more comes.
	require.NoError(t, pause(ctx, 3*time.Second))
	require.LessOrEqual(t, w.eventBytes(ctx, t), size.stream)
	drained, _ := w.drained(ctx)
	require.False(t, drained, "the hub holds the rest")

	began := time.Now()
	require.NoError(t, w.sink.start(ctx))
	require.NoError(t, w.settle(ctx))
	took := time.Since(began)
	conn := w.queryable(t)
	requireExactly(ctx, t, conn, b)
	require.Zero(t, count(ctx, t, conn, "SELECT count() FROM dead_letters"))
	require.NoError(t, eventually(ctx, "the gate to open", func() (bool, error) { return gateIs(ctx, streamer, 0) }))
	require.LessOrEqual(t, w.eventBytes(ctx, t), size.stream)
	ids, _ := b.totals()
	t.Logf("EVENTS held %d of %d MiB while %d MiB were sent; the sink stored %d records in %.1f s",
		held/mib, size.stream/mib, size.send/mib, ids, took.Seconds())
	w.requireLean(t, size.maxSinkRSS, size.maxStreamerRSS)
}

func gateIs(ctx context.Context, p *program, want float64) (bool, error) {
	got, err := p.metric(ctx, "entraflow_bus_gate_closed", `stream="EVENTS"`)
	return got == want, err
}

// eventBytes is what EVENTS holds.
func (w *world) eventBytes(ctx context.Context, t *testing.T) int {
	t.Helper()
	var stream jetstream.Stream
	stream, err := w.operator.JetStream().Stream(ctx, eventv1.EventStream)
	require.NoError(t, err)
	return int(stream.CachedInfo().State.Bytes) //nolint:gosec // limited
}
