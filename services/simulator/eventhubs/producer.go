package eventhubs

import (
	"errors"
	"fmt"
	"time"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
	"github.com/entraflow/entraflow/services/simulator/internal/hublog"
)

// receiver is the state of a link on which the server receives.
type receiver struct {
	// current is the delivery under way, if begun. Only the connection's reader uses it, without a lock.
	current delivery
	begun   bool
	// settled counts all deliveries settled, credited those among them that the last credit counts on. Both are
	// guarded by the connection's mu.
	settled, credited uint32
}

// delivery is a message put together from its transfer frames.
type delivery struct {
	id         uint32
	format     uint32
	presettled bool
	// message aliases the frame's payload if there was one frame, else buf.
	message  []byte
	buf      []byte
	tooLarge bool
}

// producer is a link whose messages go to a hub.
type producer struct {
	receiver
	entity entity
	events []hublog.Event
}

func (s *session) bindProducer(l *link, a *amqp.Attach, address string) error {
	e, err := s.resolve(address)
	if err != nil {
		return err
	}
	if e.group != "" {
		return refuse(conditionNotAllowed, "A consumer group takes no messages: '%s'.", address)
	}
	if err := s.admit(l, address, e, rightSend); err != nil {
		return err
	}
	l.producer = &producer{entity: e}
	l.attached(a)
	l.request(0, uint32(s.conn.server.cfg.LinkCredit))
	return nil
}

// transfer handles one transfer frame. It runs on the connection's reader without mu, so that taking in events does
// not hold up what goes out.
func (c *conn) transfer(channel uint16, t *amqp.Transfer, payload []byte) error {
	l, err := c.incoming(channel, t.Handle)
	if l == nil || err != nil {
		return err
	}
	r := l.receiver()
	complete, err := r.collect(t, payload, c.server.cfg.MaxMessageBytes)
	if err != nil || !complete {
		return err
	}
	d := r.current
	if l.rpc != nil {
		c.serveRPC(l, d)
		return nil
	}
	failure := l.producer.ingest(c, l, d)
	delay := c.server.faults.delay(l.where)
	if delay <= 0 {
		c.settle(l, d, failure)
		return nil
	}
	// As many as the link's credit allows can wait here.
	c.work.Go(func() {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			c.settle(l, d, failure)
		case <-c.done:
		}
	})
	return nil
}

// incoming finds the link of a transfer and counts the frame. A nil link without an error means: ignore the frame.
func (c *conn) incoming(channel uint16, handle uint32) (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finish {
		return nil, nil
	}
	s := c.sessions[channel]
	if s == nil {
		return nil, fmt.Errorf("transfer on channel %d without a session: %w", channel, amqp.ErrMalformed)
	}
	s.took()
	l := s.links[handle]
	if l == nil || l.receiver() == nil && !l.dead {
		return nil, fmt.Errorf("transfer on handle %d, which takes none: %w", handle, amqp.ErrMalformed)
	}
	if l.dead {
		return nil, nil
	}
	return l, nil
}

func (l *link) receiver() *receiver {
	switch {
	case l.producer != nil:
		return &l.producer.receiver
	case l.rpc != nil && !l.sends:
		return &l.rpc.receiver
	}
	return nil
}

// collect puts the frames of a delivery together in current.
func (r *receiver) collect(t *amqp.Transfer, payload []byte, limit int) (complete bool, err error) {
	d := &r.current
	if !r.begun {
		if !t.DeliveryID.Set {
			return false, fmt.Errorf("first transfer without a delivery id: %w", amqp.ErrMalformed)
		}
		*d = delivery{id: t.DeliveryID.Value, format: t.MessageFormat, buf: d.buf[:0]}
		r.begun = true
	}
	if t.Aborted {
		r.begun = false
		return false, nil
	}
	d.presettled = d.presettled || t.Settled
	switch {
	case d.tooLarge || len(d.buf)+len(payload) > limit:
		d.tooLarge, d.buf, d.message = true, d.buf[:0], nil
	case t.More || len(d.buf) > 0:
		d.buf = append(d.buf, payload...)
		d.message = d.buf
	default:
		d.message = payload
	}
	r.begun = t.More
	return !t.More, nil
}

// ingest appends a delivery's events to the hub, all or none, and returns why it is rejected.
func (p *producer) ingest(c *conn, l *link, d delivery) amqp.Error {
	hub := p.entity.hub
	switch {
	case d.tooLarge:
		return amqp.Error{Condition: conditionTooLarge, Description: fmt.Sprintf(
			"The received message (delivery-id:%d) exceeds the limit (%d bytes) currently allowed on the link.",
			d.id, c.server.cfg.MaxMessageBytes)}
	case !hub.Enabled():
		return amqp.Error{Condition: conditionDisabled, Description: disabledText(hub.Name())}
	}
	if f, hit := c.server.faults.take(FaultReject, l.where); hit {
		return amqp.Error{Condition: f.Condition, Description: f.Description}
	}
	key, hasKey, err := p.unpack(d.format, d.message)
	if err != nil {
		return amqp.Error{Condition: conditionDecode, Description: err.Error()}
	}
	part := p.entity.partition
	if part == nil {
		part = hub.pick(key, hasKey)
	}
	part.log.Append(p.events, hub.stamp())
	return amqp.Error{}
}

var errEmptyBatch = errors.New("batch without events")

// unpack cuts a delivery into events. The key is that of the message or, for a batch, of its envelope.
func (p *producer) unpack(format uint32, message []byte) (key string, hasKey bool, err error) {
	clear(p.events)
	p.events = p.events[:0]
	envelope, err := amqp.ParseMessage(message)
	if err != nil {
		return "", false, err
	}
	key, hasKey = envelope.Annotations.Lookup(hublog.KeyPartition).Text()
	if format != amqp.BatchFormat {
		p.events = append(p.events, eventOf(envelope, key, hasKey))
		return key, hasKey, nil
	}
	err = amqp.EachEvent(message, func(encoded []byte) error {
		m, err := amqp.ParseMessage(encoded)
		if err == nil {
			p.events = append(p.events, eventOf(m, key, hasKey))
		}
		return err
	})
	if err == nil && len(p.events) == 0 {
		err = errEmptyBatch
	}
	return key, hasKey, err
}

func eventOf(m amqp.Message, key string, hasKey bool) hublog.Event {
	return hublog.Event{Header: m.Header, Annotations: m.Annotations, Bare: m.Bare, PartitionKey: key, HasKey: hasKey}
}

// settle answers a delivery and renews the link's credit when half of it is used.
func (c *conn) settle(l *link, d delivery, failure amqp.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if failure.Condition != "" {
		c.server.counters.deliveriesRejected.Add(1)
	}
	if l.dead || c.finish || c.sessions[l.session.channel] != l.session {
		return
	}
	if !d.presettled {
		l.session.send(&amqp.Disposition{Receiver: amqp.RoleReceiver, First: d.id, Settled: true, Error: failure})
	}
	r := l.receiver()
	r.settled++
	if credit := uint32(c.server.cfg.LinkCredit); r.settled-r.credited >= (credit+1)/2 {
		r.credited = r.settled
		l.request(r.settled, credit)
	}
	c.flush()
}
