package subscribe

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// empty requires that nothing is left of any subscription.
func (w *world) empty(t *testing.T) {
	t.Helper()
	w.Wait()
	require.Nil(t, w.hub)
	require.Empty(t, w.groups.byKey)
}

func TestAPanicEndsOneSubscription(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	sent := 0
	broken := w.call(t, "a", &controlv1.SubscribeRequest{}, func() {
		if sent++; sent > 1 {
			panic("injected")
		}
	})
	other := w.call(t, "b", &controlv1.SubscribeRequest{}, nothing)
	broken.receive(t)
	other.receive(t)
	w.publish(t, 1, 3)
	err := broken.end(t)
	require.ErrorContains(t, err, "panic: injected\n")
	require.ErrorContains(t, err, "recovery_test.go", "where it was")
	require.Equal(t, []string{"1", "2", "3"}, other.ids(t, 3))
	require.InDelta(t, 1, testutil.ToFloat64(w.set.Metrics.Panics.WithLabelValues("subscription")), 0)
	other.cancel()
	w.empty(t)
	require.NotContains(t, w.logs.String(), "injected", "the frame logs what it is returned")
}

// Nobody is there to return it to.
func TestAPanicAfterTheCallIsLogged(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	var c *client
	ready := make(chan struct{})
	sent := 0
	c = w.call(t, "a", &controlv1.SubscribeRequest{}, func() {
		if sent++; sent > 1 {
			<-ready
			c.cancel()
			panic("injected")
		}
	})
	c.receive(t)
	close(ready)
	require.Error(t, c.end(t))
	w.empty(t)
	require.Contains(t, w.logs.String(), "injected")
}

// The frame recovers while a subscription begins; what it took must be given back.
func TestAPanicAtTheBeginningLeavesNothing(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	seen := func(ctx context.Context) {
		if _, called := grpcserver.Caller(ctx); called {
			panic("injected")
		}
	}
	w.lookups.seen.Store(&seen)
	ctx := grpcserver.WithCaller(t.Context(), grpcserver.Identity{Subject: "a", AllTenants: true})
	require.PanicsWithValue(t, "injected", func() { _ = w.Subscribe(past(), &client{ctx: ctx}) })
	w.empty(t)
	require.Zero(t, w.slots.taken)
}

// Its members catch up by themselves, and come back to it.
func TestThePanicOfTheHubEndsNoSubscription(t *testing.T) {
	w := newWorld(t, func(*Config) {})
	c := w.call(t, "a", &controlv1.SubscribeRequest{}, nothing)
	c.receive(t)
	var once atomic.Bool
	broken := make(chan struct{})
	seen := func(ctx context.Context) {
		if _, called := grpcserver.Caller(ctx); !called && once.CompareAndSwap(false, true) {
			close(broken)
			panic("injected")
		}
	}
	w.lookups.seen.Store(&seen) // the hub looks after a silence
	<-broken
	w.publish(t, 1, 3)
	require.Equal(t, []string{"1", "2", "3"}, c.ids(t, 3))
	opened := func() bool {
		w.hub.mu.Lock()
		defer w.hub.mu.Unlock()
		return w.hub.ring != nil
	}
	for !opened() {
		c.receive(t)
	}
	w.publish(t, 4, 5)
	require.Equal(t, []string{"4", "5"}, c.ids(t, 2))
	require.InDelta(t, 1, testutil.ToFloat64(w.set.Metrics.Panics.WithLabelValues("shared")), 0)
	require.InDelta(t, 1, testutil.ToFloat64(w.set.Metrics.Reopened.WithLabelValues("panic")), 0)
	c.cancel()
	w.empty(t)
	require.Contains(t, w.logs.String(), "injected")
}
