package gateway_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway"
)

// consumers returns how many consumers of EVENTS there are beside those of the services.
func (w *world) consumers(t *testing.T) int {
	t.Helper()
	stream, err := w.bus.Connect(t, bus.UserOperator).JetStream().Stream(t.Context(), eventv1.EventStream)
	require.NoError(t, err)
	count := 0
	infos := stream.ListConsumers(t.Context())
	for info := range infos.Info() {
		if info.Config.Durable == "" {
			count++
		}
	}
	require.NoError(t, infos.Err())
	return count
}

func (w *world) settled(t *testing.T, consumers int) {
	t.Helper()
	require.Eventually(t, func() bool { return w.consumers(t) == consumers }, patience, 50*time.Millisecond)
}

func TestAThousandSubscribersAreOneConsumer(t *testing.T) {
	const subscribers, perConnection = 1000, 50
	w := newWorld(t, func(c *gateway.Config) {
		c.GRPC.PerCaller.MaxStreams, c.GRPC.PerCaller.Burst = subscribers, subscribers
	})
	require.Zero(t, w.consumers(t))
	all := make([]*subscriber, subscribers)
	for n := range all {
		if n%perConnection == 0 {
			w.conn = w.dial(t, w.token(t))
		}
		all[n] = w.subscribe(t, &controlv1.SubscribeRequest{Kinds: []string{"signin"}, Filter: fmt.Sprintf(`event.source_id != "%d"`, n%20)})
	}
	require.Equal(t, 1, w.consumers(t))
	p := w.publisher(t)
	var names []string
	for n := range 30 {
		names = append(names, fmt.Sprint(n))
		publish(t, p, signIn(fmt.Sprint(n), tenantA))
	}
	for n, s := range all {
		want := slices.Delete(slices.Clone(names), n%20, n%20+1)
		require.Equal(t, want, s.names(t, len(want)))
	}
	require.Equal(t, 1, w.consumers(t))
	for _, s := range all {
		s.cancel()
	}
	w.settled(t, 0)
}

func TestSubscribersFilter(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Subscribe.KeepAlive = 200 * time.Millisecond })
	p := w.publisher(t)
	beginning := &controlv1.SubscribeRequest_StartTime{StartTime: timestamppb.New(time.Now().Add(-time.Minute))}
	publish(t, p, signIn("0", tenantA), signIn("1", tenantB))
	kinds := w.subscribe(t, &controlv1.SubscribeRequest{Kinds: []string{"signin"}, Filter: `event.source_id != "2"`, Begin: beginning})
	tenant := w.subscribe(t, &controlv1.SubscribeRequest{TenantIds: []string{tenantA}, Filter: `event.sign_in.user_id == "u" || event.audit.activity != ""`})
	failing := w.subscribe(t, &controlv1.SubscribeRequest{Filter: `10 / (int(event.source_id) - 4) > 0`, Begin: beginning})
	onlyFailing := w.subscribe(t, &controlv1.SubscribeRequest{Filter: `1 / 0 == 1`, Begin: beginning})
	publish(t, p, signIn("2", tenantA), signIn("3", tenantB), signIn("4", tenantA), audit("5", tenantA))

	require.Equal(t, []string{"0", "1", "3", "4"}, kinds.names(t, 4))
	require.Equal(t, []string{"2", "4", "5"}, tenant.names(t, 3))
	require.Equal(t, []string{"5"}, failing.names(t, 1))
	require.Equal(t, uint64(1), failing.failures)
	for onlyFailing.failures < 6 {
		_, err := onlyFailing.receive(t)
		require.NoError(t, err)
	}
	require.Equal(t, uint64(6), onlyFailing.failures)
	require.Empty(t, onlyFailing.got)

	for filter, want := range map[string]string{
		`event.knd == "x"`: "filter: is no CEL expression over event (cel.dev): line 1, column 6: undefined field 'knd'",
		`event.kind`:       "filter: must be true or false for an event, and is a string: compare it with something",
	} {
		err := w.refused(t, &controlv1.SubscribeRequest{Filter: filter})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.Equal(t, want, status.Convert(err).Message())
	}
}

// Wherever subscribers begin while events come, and however often they fall behind, they get each event once and in order.
func TestJoiningLeavesNoGapAndRepeatsNothing(t *testing.T) {
	const events, subscribers = 3000, 40
	w := newWorld(t, func(c *gateway.Config) {
		c.Subscribe.RingEvents, c.Subscribe.BatchEvents, c.Subscribe.Linger = 60, 16, 2*time.Millisecond
	})
	first := w.subscribe(t, &controlv1.SubscribeRequest{})
	p := w.publisher(t)
	var publishing, reading sync.WaitGroup
	defer reading.Wait()
	defer publishing.Wait()
	publishing.Go(func() {
		for n := range events {
			done := func(_ bus.Ack, err error) { _ = err }
			if p.PublishAsync(t.Context(), signIn(fmt.Sprint(n), tenantA), bus.PublishOptions{}, done) != nil {
				return
			}
			if n%100 == 0 {
				_ = p.Wait(t.Context())
			}
		}
	})
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
	for n := range subscribers {
		// From a place where another is, or from the beginning, in the middle of what comes.
		req := &controlv1.SubscribeRequest{Filter: fmt.Sprintf(`int(event.source_id) %% %d == 0`, 1+n%3)}
		after := -1
		switch random.IntN(3) {
		case 0:
			req.Begin = &controlv1.SubscribeRequest_StartTime{StartTime: &timestamppb.Timestamp{}}
		default:
			for range 1 + random.IntN(10) {
				_, err := first.receive(t)
				require.NoError(t, err)
			}
			after = len(first.got) - 1
			req.Begin = &controlv1.SubscribeRequest_ResumeToken{ResumeToken: first.token}
		}
		s := w.subscribe(t, req)
		reading.Go(func() {
			var want []string
			for i := after + 1; i < events; i++ {
				if i%(1+n%3) == 0 {
					want = append(want, strconv.Itoa(i))
				}
			}
			if got := s.names(t, len(want)); !slices.Equal(want, got) {
				t.Errorf("subscriber %d, after %d: got %v", n, after, got)
			}
		})
	}
	publishing.Wait()
	reading.Wait()
	require.Len(t, first.names(t, events), events)
	w.settled(t, 1)
}

// A subscriber that reads too slowly for the ring reads on over a consumer of its own, and comes back.
func TestASlowSubscriberComesBack(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Subscribe.RingEvents = 10 })
	slow := w.subscribe(t, &controlv1.SubscribeRequest{IncludeRaw: true})
	quick := w.subscribe(t, &controlv1.SubscribeRequest{})
	p := w.publisher(t)
	const events = 400
	var want []string
	for n := range events {
		want = append(want, fmt.Sprint(n))
		e := signIn(fmt.Sprint(n), tenantA)
		e.Raw = make([]byte, 16<<10)
		publish(t, p, e)
	}
	require.Equal(t, want, quick.names(t, events))
	require.Equal(t, want, slow.names(t, events))
	require.NotZero(t, w.metric(t, "subscription_reopened_total"), "it fell out of the ring")
	w.settled(t, 1)
	publish(t, p, signIn("last", tenantA))
	require.Equal(t, "last", slow.names(t, events+1)[events])
}

// subscribeAgain subscribes as soon as NATS is there.
func (w *world) subscribeAgain(t *testing.T, req *controlv1.SubscribeRequest) *subscriber {
	t.Helper()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := controlv1.NewEventServiceClient(w.conn).Subscribe(ctx, &controlv1.SubscribeRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err == nil
	}, patience, 50*time.Millisecond)
	return w.subscribe(t, req)
}

// Subscribers that share a consumer, and one that catches up, live through a restart of NATS under load.
func TestTheSharedConsumerOutlivesNATS(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Subscribe.RingEvents, c.Subscribe.KeepAlive = 20, 300*time.Millisecond })
	all := []*subscriber{w.subscribe(t, &controlv1.SubscribeRequest{}), w.subscribe(t, &controlv1.SubscribeRequest{Kinds: []string{"signin"}})}
	var want []string
	for round := range 3 {
		p := w.publisher(t)
		for n := range 100 {
			name := fmt.Sprintf("%d.%d", round, n)
			want = append(want, name)
			publish(t, p, signIn(name, tenantA))
		}
		url := w.bus.Server.URL()
		w.bus.Server.Shutdown()
		w.bus = bustest.Open(t, w.bus.Directory, listenOn(url))
	}
	all = append(all, w.subscribeAgain(t, &controlv1.SubscribeRequest{Begin: &controlv1.SubscribeRequest_StartTime{StartTime: &timestamppb.Timestamp{}}}))
	publish(t, w.publisher(t), signIn("last", tenantA))
	want = append(want, "last")
	for _, s := range all {
		require.Equal(t, want, s.names(t, len(want)))
	}
	w.settled(t, 1)
}
