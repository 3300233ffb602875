package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/services/streamer/internal/checkpoint"
)

// watermark knows how far a partition is done: up to the last message before which no record waits for
// its PubAck. It is safe for concurrent use.
type watermark struct {
	limit int
	acked func(time.Duration)
	// failed is told of the first message that cannot be published, once.
	failed func(*message, error)

	mu       sync.Mutex
	queue    []*message // in the order of the partition; the first is not done
	inFlight int        // messages with a record whose fate is open
	position checkpoint.Position
	moved    bool          // whether there is a position
	change   chan struct{} // closed at the next change of queue or inFlight
}

// message is one message of the hub on its way.
type message struct {
	mark     *watermark
	position checkpoint.Position
	received time.Time
	open     atomic.Int32 // records without PubAck, and one until all are sent
	lost     atomic.Bool  // a record was not stored
	done     bool         // guarded by the watermark's mutex
}

func newWatermark(limit int, acked func(time.Duration), failed func(*message, error)) *watermark {
	return &watermark{limit: limit, acked: acked, failed: failed, change: make(chan struct{})}
}

// begin takes in the next message of the partition, waiting for room. The caller calls sent in the end.
func (w *watermark) begin(ctx context.Context, p checkpoint.Position, received time.Time) (*message, error) {
	m := &message{mark: w, position: p, received: received}
	m.open.Store(1)
	for {
		w.mu.Lock()
		if len(w.queue) < w.limit {
			w.queue = append(w.queue, m)
			w.inFlight++
			w.mu.Unlock()
			return m, nil
		}
		change := w.change
		w.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// add announces a record that is about to be published with stored as its callback.
func (m *message) add() { m.open.Add(1) }

// retract takes back what add announced.
func (m *message) retract() { m.open.Add(-1) }

// stored is the callback of a record's publication.
func (m *message) stored(_ bus.Ack, err error) {
	if err != nil && !m.lost.Swap(true) {
		m.mark.failed(m, err)
	}
	m.sent()
}

// sent says that one of what add and begin announced is over.
func (m *message) sent() {
	if m.open.Add(-1) > 0 {
		return
	}
	if !m.lost.Load() {
		m.mark.acked(time.Since(m.received))
	}
	m.mark.finish(m)
}

// abandon says that a record was not sent: the message must never count as done.
func (m *message) abandon() {
	m.lost.Store(true)
	m.sent()
}

func (w *watermark) finish(m *message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.done = !m.lost.Load()
	w.inFlight--
	n := 0
	for n < len(w.queue) && w.queue[n].done {
		w.position, w.moved = w.queue[n].position, true
		w.queue[n] = nil
		n++
	}
	w.queue = w.queue[n:]
	if w.inFlight == 0 || n > 0 && len(w.queue)+n == w.limit {
		close(w.change)
		w.change = make(chan struct{})
	}
}

// latest returns the position up to which everything is stored; false if there is none yet.
func (w *watermark) latest() (checkpoint.Position, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.position, w.moved
}

// wait returns when the fate of every record is known, or ctx is done.
func (w *watermark) wait(ctx context.Context) {
	for {
		w.mu.Lock()
		inFlight, change := w.inFlight, w.change
		w.mu.Unlock()
		if inFlight == 0 {
			return
		}
		select {
		case <-change:
		case <-ctx.Done():
			return
		}
	}
}
