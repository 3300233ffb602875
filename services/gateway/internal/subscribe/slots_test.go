package subscribe

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func TestSlots(t *testing.T) {
	for _, tc := range []struct{ limit, share int }{{1, 1}, {2, 1}, {9, 1}, {10, 2}, {100, 20}} {
		s := newSlots(tc.limit)
		for range tc.share {
			require.NoError(t, s.take("a"))
		}
		require.Equal(t, errOwnFull, s.take("a"), "of %d", tc.limit)
		for n := tc.share; n < tc.limit; n++ {
			require.NoError(t, s.take(fmt.Sprint(n)))
		}
		require.Equal(t, errFull, s.take("b"), "of %d", tc.limit)
		s.release("a")
		require.NoError(t, s.take("b"))
		s.release("b")
		for range tc.share - 1 {
			s.release("a")
		}
		for n := tc.share; n < tc.limit; n++ {
			s.release(fmt.Sprint(n))
		}
		require.Zero(t, s.taken)
		require.Empty(t, s.byCaller, "who holds none is forgotten")
	}
}

// behind returns a world in which whoever begins at the beginning is behind the ring until it has read.
func behind(t *testing.T, catchUp int, timeout time.Duration) *world {
	t.Helper()
	w := newWorld(t, func(c *Config) {
		c.CatchUp, c.OutageTimeout, c.RingEvents, c.BatchEvents = catchUp, timeout, 1, 1
	})
	w.publish(t, 1, 3)
	return w
}

// refused requires that a call ends with TOO_MANY_BEHIND, and of which bound.
func refused(t *testing.T, c *client, bound string) {
	t.Helper()
	var err *grpcserver.Error
	require.ErrorAs(t, c.end(t), &err)
	require.Equal(t, codes.ResourceExhausted, err.GRPCCode())
	require.Equal(t, "TOO_MANY_BEHIND", err.Reason())
	require.Equal(t, map[string]string{"bound": bound}, err.Metadata())
}

// Who reads what is past slowly, over however many calls, keeps nobody else from it.
func TestOneCallerHasAShareOfTheSlots(t *testing.T) {
	w := behind(t, 10, 300*time.Millisecond)
	var hog []*client
	for range 2 {
		c := w.call(t, "hog", past(), nothing)
		c.receive(t)
		hog = append(hog, c)
	}
	refused(t, w.call(t, "hog", past(), nothing), "caller")
	other := w.call(t, "other", past(), nothing)
	require.Equal(t, []string{"1", "2", "3"}, other.ids(t, 3))
	for _, c := range hog {
		require.Equal(t, []string{"1", "2", "3"}, c.ids(t, 3), "they lose nothing")
	}
	require.InDelta(t, 1, testutil.ToFloat64(w.set.Metrics.Behind.WithLabelValues("caller")), 0)
	live := w.call(t, "hog", &controlv1.SubscribeRequest{}, nothing)
	live.receive(t)
}

func TestWhoCatchesUpWaitsForItsTurn(t *testing.T) {
	w := behind(t, 1, patience)
	first := w.call(t, "a", past(), nothing)
	first.receive(t)
	second := w.call(t, "b", past(), nothing)
	select {
	case <-second.responses:
		require.Fail(t, "there is one slot")
	case <-time.After(4 * settle):
	}
	require.Equal(t, []string{"1", "2", "3"}, first.ids(t, 3))
	require.Equal(t, []string{"1", "2", "3"}, second.ids(t, 3), "the first has caught up")
}

func TestWhoWaitsInVainIsTold(t *testing.T) {
	const timeout = 300 * time.Millisecond
	w := behind(t, 1, timeout)
	w.call(t, "a", past(), nothing).receive(t)
	began := time.Now()
	refused(t, w.call(t, "b", past(), nothing), "all")
	require.GreaterOrEqual(t, time.Since(began), timeout)
	require.InDelta(t, 1, testutil.ToFloat64(w.set.Metrics.Behind.WithLabelValues("all")), 0)
}

// The same holds for one that was at the stream's end and fell behind.
func TestWhoFallsBehindWaitsForItsTurnToo(t *testing.T) {
	w := behind(t, 1, 300*time.Millisecond)
	w.call(t, "a", past(), nothing).receive(t)
	slow := w.call(t, "b", &controlv1.SubscribeRequest{}, nothing)
	slow.receive(t)
	w.publish(t, 4, 9)
	for ring := w.hub.ring; ; {
		changed := ring.change()
		if floor, _ := ring.holds(0); floor == 8 {
			break
		}
		<-changed
	}
	for {
		select {
		case <-slow.responses:
			continue
		case err := <-slow.ended:
			require.ErrorIs(t, err, errBusy)
		case <-time.After(patience):
			require.FailNow(t, "it was not told")
		}
		return
	}
}
