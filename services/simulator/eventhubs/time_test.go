package eventhubs_test

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

// idle sends an event, sleeps, sends another, reads both and returns how many connections were made.
func idle(t *testing.T, cfg eventhubs.Config, sleep time.Duration) int64 {
	t.Helper()
	var dials atomic.Int64
	s := newPipeServer(t, cfg, eventhubs.Settings{})
	s.wrap = func(c net.Conn) net.Conn {
		dials.Add(1)
		return c
	}
	s, ctx := s.retrying(), t.Context()
	producer := s.producer(connectionAll)
	reader := s.reader(s.consumer(connectionAll), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest})
	batch := azeventhubs.EventDataBatchOptions{PartitionID: new("0")}
	require.NoError(t, send(ctx, t, producer, batch, "before"))
	require.Equal(t, []string{"before"}, bodies(receive(ctx, t, reader, 1)))
	for range 3 {
		synctest.Wait()
		<-time.After(sleep)
		require.NoError(t, send(ctx, t, producer, batch, "after"))
		require.Equal(t, []string{"after"}, bodies(receive(ctx, t, reader, 1)))
	}
	return dials.Load()
}

// TestIdleForHours keeps links idle for nine hours: heartbeats go both ways and tokens are renewed in time, so the two
// connections stay.
func TestIdleForHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, int64(2), idle(t, testConfig(1), 3*time.Hour))
	})
}

// TestSilentServerIsLeft shows that the test above can fail: without heartbeats the client reconnects.
func TestSilentServerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(1)
		cfg.HeartbeatInterval = -1
		require.Greater(t, idle(t, cfg, 10*time.Minute), int64(2))
	})
}

// TestSilentClientIsDropped opens a connection that says nothing more after its Open.
func TestSilentClientIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
		c := dialRaw(t, s)
		start := time.Now()
		c.drain()
		require.InDelta(t, 4*time.Minute, time.Since(start), float64(time.Minute))
	})
}

// TestExpiredTokenDetaches lets a token run out that the client does not renew: an embedded signature.
func TestExpiredTokenDetaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
		producer := s.producer(signedConnection(t, "sim.test", "all", "c2VjcmV0", time.Now().Add(time.Hour)))
		batch := azeventhubs.EventDataBatchOptions{PartitionID: new("0")}
		require.NoError(t, send(t.Context(), t, producer, batch, "in time"))
		<-time.After(2 * time.Hour)
		err := send(t.Context(), t, producer, batch, "too late")
		requireCode(t, err, azeventhubs.ErrorCodeUnauthorizedAccess)
		require.ErrorContains(t, err, "ExpiredToken: The token")
	})
}

// TestHubClock stamps events with the injected clock and judges tokens by the real one.
func TestHubClock(t *testing.T) {
	now := time.Date(2031, 5, 6, 7, 8, 9, 123_456_789, time.UTC)
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{Now: func() time.Time { return now }})
	ctx := timeout(t)
	require.NoError(t, send(ctx, t, s.producer(connectionAll), azeventhubs.EventDataBatchOptions{}, "a"))
	reader := s.reader(s.consumer(connectionAll), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest})
	events := receive(ctx, t, reader, 1)
	require.Equal(t, now.Truncate(time.Millisecond), events[0].EnqueuedTime.UTC())
}
