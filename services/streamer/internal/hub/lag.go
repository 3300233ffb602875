package hub

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// lag is how many messages of a partition are in the hub and not checkpointed. It is safe for concurrent use.
type lag struct {
	gauge prometheus.Gauge

	mu    sync.Mutex
	last  int64 // sequence number of the last message in the hub, as far as known
	saved int64 // of the last one checkpointed
	known bool  // whether saved is known
	seen  bool  // whether last is known
}

// saw takes in what the hub says of itself.
func (l *lag) saw(begin, last int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.seen = max(l.last, last), true
	if !l.known || l.saved < begin-1 {
		l.saved, l.known = begin-1, true // what is before begin is no longer there to be read
	}
	l.show()
}

// received takes in the sequence number of a message.
func (l *lag) received(sequence int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.seen = max(l.last, sequence), true
}

// checkpointed takes in a position that was saved.
func (l *lag) checkpointed(sequence int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saved, l.known = sequence, true
	l.show()
}

func (l *lag) show() {
	if l.known && l.seen {
		l.gauge.Set(float64(max(l.last-l.saved, 0)))
	}
}
