package hub

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/services/streamer/internal/checkpoint"
)

func at(sequence int64) checkpoint.Position { return checkpoint.Position{Sequence: sequence} }

// mark is a watermark under test with what it reported.
type mark struct {
	*watermark
	t      *testing.T
	acked  []time.Duration
	failed []int64
}

func newMark(t *testing.T, limit int) *mark {
	t.Helper()
	m := &mark{t: t}
	m.watermark = newWatermark(limit,
		func(took time.Duration) { m.acked = append(m.acked, took) },
		func(msg *message, _ error) { m.failed = append(m.failed, msg.position.Sequence) })
	return m
}

// send begins a message with so many records, all sent.
func (m *mark) send(sequence int64, records int) *message {
	m.t.Helper()
	msg, err := m.begin(m.t.Context(), at(sequence), time.Now())
	require.NoError(m.t, err)
	for range records {
		msg.add()
	}
	msg.sent()
	return msg
}

func (m *mark) requireAt(sequence int64) {
	m.t.Helper()
	p, ok := m.latest()
	if sequence < 0 {
		require.False(m.t, ok)
		return
	}
	require.True(m.t, ok)
	require.Equal(m.t, at(sequence), p)
}

func ack(msg *message, times int) {
	for range times {
		msg.stored(bus.Ack{}, nil)
	}
}

func TestWatermarkWaitsForTheFirst(t *testing.T) {
	m := newMark(t, 10)
	first, second, third := m.send(1, 2), m.send(2, 1), m.send(3, 0)
	m.requireAt(-1)
	ack(second, 1)
	ack(first, 1)
	m.requireAt(-1)
	ack(first, 1)
	m.requireAt(3)
	_ = third
	require.Len(t, m.acked, 3)
	m.wait(t.Context())
}

func TestWatermarkStopsBeforeWhatIsLost(t *testing.T) {
	m := newMark(t, 10)
	first, lost, third := m.send(1, 1), m.send(2, 3), m.send(3, 1)
	ack(third, 1)
	lost.stored(bus.Ack{}, bus.ErrRefused)
	lost.stored(bus.Ack{}, bus.ErrRefused)
	require.Equal(t, []int64{2}, m.failed, "told once")
	ack(first, 1)
	ack(lost, 1)
	m.requireAt(1)
	m.wait(t.Context())
	require.Len(t, m.acked, 2)

	abandoned, err := m.begin(t.Context(), at(4), time.Now())
	require.NoError(t, err)
	abandoned.add()
	abandoned.retract()
	abandoned.abandon()
	m.requireAt(1)
	m.wait(t.Context())
}

func TestWatermarkIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMark(t, 2)
		first := m.send(1, 1)
		m.send(2, 1)
		begun := false
		go func() {
			m.send(3, 1)
			begun = true
		}()
		synctest.Wait()
		require.False(t, begun)
		ack(first, 1)
		synctest.Wait()
		require.True(t, begun)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.begin(ctx, at(4), time.Now())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		m.wait(ctx) // ends with its context
	})
}

// TestWatermarkNeverPassesAnOpenMessage acknowledges from many goroutines in any order.
func TestWatermarkNeverPassesAnOpenMessage(t *testing.T) {
	const messages, workers = 2000, 8
	w := newWatermark(64, func(time.Duration) {}, func(*message, error) {})
	var mu sync.Mutex
	open := map[int64]bool{}
	queue := make(chan *message, messages)
	errs := make(chan error, workers)
	var workersDone sync.WaitGroup
	for i := range workers {
		dice := rand.New(rand.NewPCG(uint64(i), 1))
		workersDone.Go(func() {
			for msg := range queue {
				if dice.IntN(4) == 0 {
					<-time.After(time.Duration(dice.IntN(200)) * time.Microsecond)
				}
				mu.Lock()
				p, ok := w.latest()
				if ok && open[p.Sequence] {
					errs <- errors.New("passed an open message")
				}
				delete(open, msg.position.Sequence)
				mu.Unlock()
				msg.stored(bus.Ack{}, nil)
			}
		})
	}
	for i := range int64(messages) {
		msg, err := w.begin(t.Context(), at(i), time.Now())
		require.NoError(t, err)
		mu.Lock()
		open[i] = true
		mu.Unlock()
		msg.add()
		msg.sent()
		queue <- msg
	}
	close(queue)
	workersDone.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	p, ok := w.latest()
	require.True(t, ok)
	require.Equal(t, at(messages-1), p)
}
