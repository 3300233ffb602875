package eventhubs

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

const (
	// pumpEvents and pumpBytes bound what a pump copies under one lock.
	pumpEvents = 256
	pumpBytes  = 256 * KiB
)

// consumer is a link that reads a partition. next and the link's credit are guarded by the connection's mu.
type consumer struct {
	partition *partition
	group     string
	receiver  string
	epoch     int64
	hasEpoch  bool
	next      int64
	wake      chan struct{}
	gone      chan struct{}
	// lost is set when another reader has taken the place, before that reader is told so.
	lost    atomic.Bool
	views   [][]byte
	unwatch func()
}

func (s *session) bindConsumer(l *link, a *amqp.Attach, address string) error {
	e, err := s.resolve(address)
	if err != nil {
		return err
	}
	if e.group == "" || e.partition == nil {
		return refuse(conditionNotAllowed, "A receiver needs a consumer group and a partition: '%s'.", address)
	}
	if err := s.admit(l, address, e, rightListen); err != nil {
		return err
	}
	next, err := startOf(e.partition, a.Source.Filter)
	if err != nil {
		return err
	}
	k := &consumer{partition: e.partition, group: strings.ToLower(e.group), next: next}
	k.epoch, k.hasEpoch = a.Properties.Lookup(propertyEpoch).Int()
	if k.receiver, _ = a.Properties.Lookup(propertyReceiver).Text(); k.receiver == "" {
		k.receiver = a.Target.Address
	}
	k.wake, k.gone = make(chan struct{}, 1), make(chan struct{})
	l.consumer = k
	victims, err := k.join(l, s.conn.server.cfg)
	if err != nil {
		l.consumer = nil
		return err
	}
	s.conn.steal(k, victims)
	l.attached(a)
	k.unwatch = k.partition.log.Wake(k.wake)
	s.conn.work.Go(func() { s.conn.pump(l) })
	return nil
}

// join takes a place among the partition's readers and returns those that lose theirs.
func (k *consumer) join(l *link, cfg Config) (victims []*link, err error) {
	p := k.partition
	p.mu.Lock()
	defer p.mu.Unlock()
	plain := 0
	for _, other := range p.readers {
		o := other.consumer
		if o.group != k.group {
			continue
		}
		if !o.hasEpoch {
			plain++
		}
		if o.hasEpoch && !k.hasEpoch || o.hasEpoch && o.epoch > k.epoch {
			r := refuse(conditionStolen, "%s", k.lowEpochText(o))
			r.form = cfg.LowEpoch
			return nil, r
		}
		if k.hasEpoch {
			victims = append(victims, other)
		}
	}
	if !k.hasEpoch && plain >= cfg.MaxReaders {
		return nil, refuse(conditionLimit, "Exceeded the maximum number of allowed receivers per partition in a "+
			"consumer group which is %d. List of connected receivers - %s.", cfg.MaxReaders, p.readerNames(k.group))
	}
	for _, v := range victims {
		v.consumer.lost.Store(true)
	}
	p.readers = slices.DeleteFunc(p.readers, func(r *link) bool { return slices.Contains(victims, r) })
	p.readers = append(p.readers, l)
	return victims, nil
}

func (k *consumer) lowEpochText(o *consumer) string {
	if !k.hasEpoch {
		return fmt.Sprintf("At least one receiver for the endpoint is created with epoch of '%d', and so non-epoch receiver is not allowed. "+
			"Either reconnect with a higher epoch, or make sure all epoch receivers are closed or disconnected.", o.epoch)
	}
	return fmt.Sprintf("Receiver '%s' with a higher epoch '%d' already exists. Receiver '%s' with epoch %d cannot be created. "+
		"Make sure you are creating receiver with increasing epoch value to ensure connectivity, or ensure all old epoch receivers "+
		"are closed or disconnected.", o.receiver, o.epoch, k.receiver, k.epoch)
}

func (p *partition) readerNames(group string) string {
	var names []string
	for _, r := range p.readers {
		if r.consumer.group == group {
			names = append(names, r.consumer.receiver)
		}
	}
	return strings.Join(names, ", ")
}

// steal detaches the readers that lost their place. Other connections' locks are taken from a goroutine of its own,
// since this one holds the thief's.
func (c *conn) steal(k *consumer, victims []*link) {
	if len(victims) == 0 {
		return
	}
	c.work.Go(func() {
		for _, v := range victims {
			v.detach(conditionStolen, fmt.Sprintf("New receiver '%s' with higher epoch of '%d' is created hence current "+
				"receiver '%s' with epoch '%d' is getting disconnected. If you are recreating the receiver, make sure a "+
				"higher epoch is used.", k.receiver, k.epoch, v.consumer.receiver, v.consumer.epoch))
		}
	})
}

// leave gives the place up and ends the pump. It may be called again.
func (k *consumer) leave(l *link) {
	p := k.partition
	p.mu.Lock()
	p.readers = slices.DeleteFunc(p.readers, func(r *link) bool { return r == l })
	p.mu.Unlock()
	select {
	case <-k.gone:
		return
	default:
		close(k.gone)
	}
	if k.unwatch != nil {
		k.unwatch()
	}
}

// pump sends events to one consumer link while there are events, credit and window.
func (c *conn) pump(l *link) {
	k := l.consumer
	for {
		for more := true; more; more = c.pumpOnce(l) {
			if d := c.server.faults.delay(l.where); d > 0 && c.mayPump(l) && !k.pause(d, c.done) {
				return
			}
		}
		select {
		case <-k.wake:
		case <-k.gone:
			return
		case <-c.done:
			return
		}
	}
}

// mayPump tells whether the link has credit and events waiting.
func (c *conn) mayPump(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !l.dead && l.credit > 0 && l.consumer.partition.log.Next() > l.consumer.next
}

// pause waits; it returns false if the link or the connection ended meanwhile.
func (k *consumer) pause(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-k.gone:
	case <-done:
	}
	return false
}

// pumpOnce sends at most pumpEvents events and tells whether it sent any.
func (c *conn) pumpOnce(l *link) bool {
	k := l.consumer
	c.mu.Lock()
	defer c.mu.Unlock()
	s := l.session
	if l.dead || c.finish || l.credit == 0 || s.remoteWindow == 0 {
		return false
	}
	if len(c.out) > maxPending {
		c.stalled = append(c.stalled, l)
		return false
	}
	count := min(pumpEvents, int(l.credit))
	k.views, k.next = k.partition.log.Read(k.views[:0], k.next, count, pumpBytes)
	// Looked at after reading: a reader that has lost its place must not get what came later.
	if len(k.views) == 0 || k.lost.Load() {
		return false
	}
	sent, bytes := 0, 0
	for _, message := range k.views {
		d := amqp.Delivery{Channel: s.channel, Handle: l.handle, ID: s.nextDelivery, Message: message}
		frames := uint32(d.Frames(c.maxFrame))
		// A message with more frames than the client's whole window goes out all the same, or it never would.
		if frames > s.remoteWindow && frames <= s.window {
			break
		}
		c.out = amqp.AppendDelivery(c.out, d, c.maxFrame)
		s.nextDelivery++
		s.nextOutgoing += frames
		s.remoteWindow -= min(frames, s.remoteWindow)
		l.deliveryCount++
		l.credit--
		sent++
		bytes += len(message)
		if s.remoteWindow == 0 {
			break
		}
	}
	// What the window had no room for is read again.
	k.next -= int64(len(k.views) - sent)
	clear(k.views)
	k.partition.log.Delivered(sent, bytes)
	c.flush()
	return sent > 0
}
