package streamer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	"github.com/entraflow/entraflow/services/streamer"
)

func (w *world) inject(f eventhubs.Fault) eventhubs.FaultReport {
	w.t.Helper()
	report, err := w.sim.Inject(f)
	require.NoError(w.t, err)
	return report
}

// TestFaults hurts the connection while records flow; all arrive, once.
func TestFaults(t *testing.T) {
	cases := map[string]func(w *world){
		"cut":   func(w *world) { w.inject(eventhubs.Fault{Kind: eventhubs.FaultCut}) },
		"close": func(w *world) { w.inject(eventhubs.Fault{Kind: eventhubs.FaultClose}) },
		"close for good": func(w *world) {
			w.inject(eventhubs.Fault{Kind: eventhubs.FaultClose, Condition: "amqp:unauthorized-access"})
		},
		"detach":           func(w *world) { w.inject(eventhubs.Fault{Kind: eventhubs.FaultDetach}) },
		"detach one":       func(w *world) { w.inject(eventhubs.Fault{Kind: eventhubs.FaultDetach, Partition: "1"}) },
		"detach not found": func(w *world) { w.inject(eventhubs.Fault{Kind: eventhubs.FaultDetach, Condition: "amqp:not-found"}) },
		"steal":            func(w *world) { w.inject(eventhubs.Fault{Kind: eventhubs.FaultSteal}) },
		"server busy": func(w *world) {
			w.inject(eventhubs.Fault{Kind: eventhubs.FaultRefuse, Count: 6})
			w.inject(eventhubs.Fault{Kind: eventhubs.FaultCut})
		},
		"refused for good": func(w *world) {
			w.inject(eventhubs.Fault{Kind: eventhubs.FaultRefuse, Condition: "amqp:unauthorized-access", Count: 6})
			w.inject(eventhubs.Fault{Kind: eventhubs.FaultCut})
		},
		"disabled": func(w *world) {
			w.hub.SetEnabled(false)
			w.hub.SetEnabled(true)
		},
	}
	for name, hurt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rounds, perRound = 3, 40
			w := newWorld(t, 4)
			r := w.start(w.config())
			for round := range rounds {
				w.fill(round*perRound, perRound/5, 5)
				w.awaitStored(eventv1.EventStream, round*perRound+perRound/2)
				hurt(w)
			}
			w.fill(rounds*perRound, 8, 5)
			w.awaitStored(eventv1.EventStream, rounds*perRound+40)
			r.wait()
			requireExactly(t, w.events(), 0, rounds*perRound+40)
			for p := range 4 {
				require.Equal(t, int64((rounds+1)*2-1), w.position("$Default", fmt.Sprint(p)))
			}
		})
	}
}

// TestUnreachableHubIsTriedAgain has a hub that is away at first.
func TestUnreachableHubIsTriedAgain(t *testing.T) {
	w := newWorld(t, 2)
	w.fill(0, 4, 5)
	away := make(chan struct{})
	r := w.start(w.config(), func(set *streamer.Settings) {
		dial := set.Dial
		set.Dial = func(ctx context.Context, p azeventhubsParams) (net.Conn, error) {
			select {
			case <-away:
				return dial(ctx, p)
			default:
				return refuseDial(ctx, p)
			}
		}
	})
	eventually(t, "some attempts", func() bool { return r.metric("entraflow_streamer_hub_connections_total") >= 3 })
	require.InDelta(t, 0, r.metric("entraflow_streamer_hub_connected"), 0)
	require.Contains(t, r.logs.String(), "hub connection lost")
	close(away)
	w.awaitStored(eventv1.EventStream, 20)
	require.InDelta(t, 1, r.metric("entraflow_streamer_hub_connected"), 0)
	require.InDelta(t, 2, r.metric("entraflow_streamer_owned_partitions"), 0)
	r.wait()
	requireExactly(t, w.events(), 0, 20)
}

// TestPartitionThatCannotBeOpened has a partition that the SDK claims and cannot open, and says nothing about.
func TestPartitionThatCannotBeOpened(t *testing.T) {
	w := newWorld(t, 2)
	w.inject(eventhubs.Fault{Kind: eventhubs.FaultRefuse, Condition: "amqp:unauthorized-access", Partition: "1"})
	cfg := w.config()
	cfg.StallTimeout = 300 * time.Millisecond
	r := w.start(cfg)
	w.fill(0, 4, 5)
	eventually(t, "new connections", func() bool { return r.metric("entraflow_streamer_hub_connections_total") >= 3 })
	require.Contains(t, r.logs.String(), "partition 1 was claimed but could not be opened")
	w.awaitStored(eventv1.EventStream, 10)
	require.NoError(t, w.sim.ClearFault(""))
	w.awaitStored(eventv1.EventStream, 20)
	r.wait()
	requireExactly(t, w.events(), 0, 20)
}

func TestRestartResumes(t *testing.T) {
	w := newWorld(t, 4)
	w.fill(0, 20, 5)
	r := w.start(w.config())
	w.awaitStored(eventv1.EventStream, 100)
	r.wait()

	w.fill(100, 20, 5)
	r = w.start(w.config())
	w.awaitStored(eventv1.EventStream, 200)
	r.wait()
	requireExactly(t, w.events(), 0, 200)
	require.InDelta(t, 20, r.metric("entraflow_streamer_hub_messages_total"), 0, "nothing was read twice")
	require.InDelta(t, 0, r.metric("entraflow_bus_duplicate_messages_total"), 0)
}

// TestRetentionIsOver leaves a streamer away until the hub no longer has what comes next.
func TestRetentionIsOver(t *testing.T) {
	w := newWorld(t, 1)
	w.sim.Close()
	cfg := eventhubs.DefaultConfig()
	cfg.Namespaces = []eventhubs.NamespaceConfig{{
		Name: namespace, Tokens: eventhubs.TokensRefused, Keys: []eventhubs.KeyConfig{{Name: "all", Secret: "c2VjcmV0"}},
		Hubs: []eventhubs.HubConfig{{Name: hubName, Partitions: 1, RetentionBytes: 20_000}},
	}}
	var err error
	w.sim, err = eventhubs.New(cfg, eventhubs.Settings{})
	require.NoError(t, err)
	t.Cleanup(w.sim.Close)
	w.hub, err = w.sim.Hub("", hubName)
	require.NoError(t, err)

	w.fill(0, 2, 1)
	r := w.start(w.config())
	w.awaitStored(eventv1.EventStream, 2)
	r.wait()
	require.Zero(t, r.metric("entraflow_streamer_skipped_messages_total"))
	w.fill(2, 100, 1)
	r = w.start(w.config())
	eventually(t, "the last message", func() bool { return w.position("$Default", "0") == 101 })
	r.wait()
	require.InDelta(t, 102-w.count(eventv1.EventStream), r.metric("entraflow_streamer_skipped_messages_total"), 0)
	require.Positive(t, r.metric("entraflow_streamer_skipped_messages_total"))
	require.Contains(t, r.logs.String(), "messages missing")
}

// TestCrashBeforeCheckpoint ends a streamer that can neither save its positions nor give up its partitions.
func TestCrashBeforeCheckpoint(t *testing.T) {
	w := newWorld(t, 4)
	proxy := newProxy(t, w.bus.Server.URL())
	w.fill(0, 20, 5)
	cfg := w.config()
	cfg.NATS.URL = proxy.url()
	cfg.CheckpointInterval = time.Hour
	cfg.DrainTimeout = 50 * time.Millisecond
	r := w.start(cfg)
	w.awaitStored(eventv1.EventStream, 100)
	proxy.freeze()
	r.wait()
	proxy.cut()
	proxy.thaw()
	require.Equal(t, int64(-1), w.position("$Default", "0"))

	w.fill(100, 20, 5)
	r = w.start(w.config())
	w.awaitStored(eventv1.EventStream, 200)
	eventually(t, "every message read again", func() bool { return r.metric("entraflow_streamer_acknowledged_seconds") == 40 })
	r.wait()
	requireExactly(t, w.events(), 0, 200)
	require.InDelta(t, 100, r.metric("entraflow_bus_duplicate_messages_total"), 0, "the stream drops what it had")
	require.Equal(t, int64(9), w.position("$Default", "0"))
}

// TestStepBack starts as after a power cut that lost the latest messages of the stream, but no checkpoint.
func TestStepBack(t *testing.T) {
	w := newWorld(t, 2)
	w.fill(0, 20, 5)
	r := w.start(w.config())
	w.awaitStored(eventv1.EventStream, 100)
	r.wait()
	s, err := w.conn.JetStream().Stream(t.Context(), eventv1.EventStream)
	require.NoError(t, err)
	require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeSequence(51)))
	require.Equal(t, int64(9), w.position("$Default", "0"))

	r = w.start(w.config(), func(set *streamer.Settings) { set.StepBack = true })
	eventually(t, "everything read again", func() bool { return r.metric("entraflow_streamer_acknowledged_seconds") == 20 })
	r.wait()
	require.Contains(t, r.logs.String(), "stepped back")
}

func TestConsumerGroupsAreApart(t *testing.T) {
	w := newWorld(t, 2)
	w.fill(0, 10, 5)
	cfg := w.config()
	second := w.hubConfig()
	second.ConsumerGroup = "second"
	cfg.Hubs = append(cfg.Hubs, second)
	r := w.start(cfg)
	w.awaitStored(eventv1.EventStream, 50)
	for _, group := range []string{"$Default", "second"} {
		eventually(t, "all acknowledged", func() bool {
			return r.metric("entraflow_streamer_acknowledged_seconds", "group", group) == 10
		})
	}
	r.wait()
	requireExactly(t, w.events(), 0, 50)
	require.Equal(t, int64(4), w.position("$Default", "1"))
	require.Equal(t, int64(4), w.position("second", "1"))
}

// TestNATSAway lets NATS drop every connection while records flow.
func TestNATSAway(t *testing.T) {
	w := newWorld(t, 4)
	proxy := newProxy(t, w.bus.Server.URL())
	cfg := w.config()
	cfg.NATS.URL = proxy.url()
	r := w.start(cfg)
	dice := rand.New(rand.NewPCG(3, 4))
	for round := range 10 {
		w.fill(round*200, 40, 5)
		<-time.After(time.Duration(dice.IntN(30)) * time.Millisecond)
		proxy.cut()
	}
	w.awaitStored(eventv1.EventStream, 2000)
	r.wait()
	requireExactly(t, w.events(), 0, 2000)
}

// TestFrozenReplicaChangesNothing stops one of two streamers in its tracks, as SIGSTOP does, until the other
// has its partitions, and lets it go on.
func TestFrozenReplicaChangesNothing(t *testing.T) {
	w := newWorld(t, 4)
	nats := newProxy(t, w.bus.Server.URL())
	ice := newFreezer()
	cfg := w.config()
	cfg.NATS.URL = nats.url()
	frozen := w.start(cfg, func(set *streamer.Settings) { set.Dial = ice.dial(w.dial) })
	w.fill(0, 40, 5)
	w.awaitStored(eventv1.EventStream, 200)

	cfg = w.config()
	cfg.Instance = "two"
	other := w.start(cfg)
	owned := func(r *run) float64 { return r.metric("entraflow_streamer_owned_partitions") }
	eventually(t, "two partitions each", func() bool { return owned(frozen) == 2 && owned(other) == 2 })

	w.fill(200, 40, 5) // part of it is under way in the streamer that freezes
	ice.freeze()
	nats.freeze()
	w.fill(400, 40, 5)
	eventually(t, "all partitions with the other", func() bool { return owned(other) == 4 })
	w.awaitStored(eventv1.EventStream, 600)
	eventually(t, "checkpoints", func() bool { return w.position("$Default", "0") == 29 && w.position("$Default", "3") == 29 })
	ice.thaw()
	nats.thaw()
	w.fill(600, 40, 5)
	w.awaitStored(eventv1.EventStream, 800)
	eventually(t, "two partitions each again", func() bool { return owned(frozen) == 2 && owned(other) == 2 })
	for p := range 4 {
		require.GreaterOrEqual(t, w.position("$Default", fmt.Sprint(p)), int64(29), "no checkpoint went back")
	}
	frozen.wait()
	w.fill(800, 40, 5)
	w.awaitStored(eventv1.EventStream, 1000)
	other.wait()
	requireExactly(t, w.events(), 0, 1000)
	for p := range 4 {
		require.Equal(t, int64(49), w.position("$Default", fmt.Sprint(p)))
	}
}

// TestGateClosed fills the stream until its required reader is too far behind.
func TestGateClosed(t *testing.T) {
	const limit = 32 << 20
	w := newWorld(t, 2, limitEvents(limit))
	cfg := w.config()
	cfg.Gate.Interval = 20 * time.Millisecond
	r := w.start(cfg)
	w.fill(0, 200, 100) // 25 MB of records, about twice that with what is made of them
	gate := func() float64 { return r.metric("entraflow_bus_gate_closed", "stream", eventv1.EventStream) }
	eventually(t, "the gate closed", func() bool { return gate() == 1 })
	taken := -1.0
	eventually(t, "no more taken", func() bool {
		before := taken
		taken = r.metric("entraflow_streamer_hub_messages_total")
		<-time.After(200 * time.Millisecond)
		return taken == before
	})
	require.Less(t, taken, 200.0)

	seen := w.drainAsSink(t, 20_000)
	r.wait()
	for i := range 20_000 {
		require.Equal(t, 1, seen[fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)], "record %d", i)
	}
}

// TestCheckpointsAway keeps NATS silent for longer than the checkpoint store tries again.
func TestCheckpointsAway(t *testing.T) {
	w := newWorld(t, 2)
	proxy := newProxy(t, w.bus.Server.URL())
	cfg := w.config()
	cfg.NATS.URL = proxy.url()
	cfg.StoreTimeout = 200 * time.Millisecond
	r := w.start(cfg)
	w.fill(0, 10, 5)
	w.awaitStored(eventv1.EventStream, 50)
	for round := range 3 {
		proxy.freeze()
		w.fill(50+50*round, 10, 5)
		<-time.After(time.Second)
		proxy.thaw()
		w.awaitStored(eventv1.EventStream, 100+50*round)
	}
	require.Contains(t, r.logs.String(), "hub connection lost")
	require.Greater(t, r.metric("entraflow_streamer_hub_connections_total"), 1.0)
	r.wait()
	requireExactly(t, w.events(), 0, 200)
}

// TestLagIsShown reads a partition nobody checkpoints.
func TestLagIsShown(t *testing.T) {
	w := newWorld(t, 2)
	w.fill(0, 20, 1)
	cfg := w.config()
	cfg.CheckpointInterval = time.Hour
	r := w.start(cfg)
	w.awaitStored(eventv1.EventStream, 20)
	eventually(t, "lag", func() bool { return r.metric("entraflow_streamer_lag_messages", "partition", "1") == 10 })
	r.wait()
	require.InDelta(t, 0, r.metric("entraflow_streamer_lag_messages"), 0, "a partition that is left shows none")

	r = w.start(w.config())
	w.fill(20, 2, 1)
	w.awaitStored(eventv1.EventStream, 22)
	eventually(t, "no lag", func() bool { return r.metric("entraflow_streamer_lag_messages", "partition", "1") == 0 })
	r.wait()
}
