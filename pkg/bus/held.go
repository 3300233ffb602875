package bus

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Answers to JetStream about a delivery.
var (
	answerAck        = []byte("+ACK")
	answerInProgress = []byte("+WPI")
	answerGiveBack   = []byte("-NAK")
	answerTerm       = []byte("+TERM")
)

// held knows every delivery from its arrival until it is settled, and tells the server that they are
// being worked on, so that none is delivered again while it waits its turn.
type held struct {
	nats    *nats.Conn
	ackWait time.Duration

	mu   sync.Mutex
	list list.List // of *Delivery, the one longest without sign of life first
}

func newHeld(conn *nats.Conn, ackWait time.Duration) *held {
	return &held{nats: conn, ackWait: ackWait}
}

func (h *held) add(d *Delivery) {
	d.seen = time.Now()
	h.mu.Lock()
	d.place = h.list.PushBack(d)
	h.mu.Unlock()
}

// settle sends the answer and forgets the delivery. If the answer is lost the message comes again.
func (h *held) settle(d *Delivery, answer []byte) {
	_ = h.nats.Publish(d.reply, answer)
	h.forget(d)
}

// forget lets the server deliver again once AckWait is over.
func (h *held) forget(d *Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.place != nil {
		h.list.Remove(d.place)
		d.place = nil
	}
}

// giveBack has the message delivered again at once, to whoever is there.
func (h *held) giveBack(d *Delivery) { h.settle(d, answerGiveBack) }

// run sends signs of life until ctx is done.
func (h *held) run(ctx context.Context) {
	ticker := time.NewTicker(h.ackWait / 6)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			h.beat(now)
		}
	}
}

func (h *held) beat(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		front := h.list.Front()
		if front == nil {
			return
		}
		d, ok := front.Value.(*Delivery)
		if !ok || now.Sub(d.seen) < h.ackWait/3 {
			return
		}
		_ = h.nats.Publish(d.reply, answerInProgress) // the next beat tries again
		d.seen = now
		h.list.MoveToBack(front)
	}
}

// room bounds the messages that wait for a handler.
type room struct {
	mu                 sync.Mutex
	messages, bytes    int // free
	mostMessages, most int
	changed            chan struct{}
}

func newRoom(messages, bytes int) *room {
	return &room{messages: messages, bytes: bytes, mostMessages: messages, most: bytes, changed: make(chan struct{}, 1)}
}

func (r *room) take(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages--
	r.bytes -= bytes
}

func (r *room) give(bytes int) {
	r.mu.Lock()
	r.messages++
	r.bytes += bytes
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// wait returns what is free once half of it all is, or when ctx is done. Half: a pull for each
// message that leaves would cost more than the message.
func (r *room) wait(ctx context.Context) (messages, bytes int) {
	for {
		r.mu.Lock()
		messages, bytes = r.messages, r.bytes
		r.mu.Unlock()
		if 2*messages >= r.mostMessages && 2*bytes >= r.most {
			return messages, bytes
		}
		select {
		case <-r.changed:
		case <-ctx.Done():
			return 0, 0
		}
	}
}

// pause waits, but no longer than ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
