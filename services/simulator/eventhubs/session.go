package eventhubs

import (
	"fmt"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

// maxHandles bounds the links of one session; the SDK uses two at most.
const maxHandles = 256

// maxWindow bounds a client's window so that arithmetic on transfer ids, which wrap, stays unambiguous.
const maxWindow = 1 << 30

// session is one AMQP session. Its fields are guarded by the connection's mu.
type session struct {
	conn    *conn
	channel uint16
	links   map[uint32]*link
	// nextIncoming is the transfer id expected next; incomingLeft is what remains of the window last announced.
	nextIncoming uint32
	incomingLeft int
	// nextOutgoing is the next transfer id sent; remoteWindow is how many transfers the client still takes.
	nextOutgoing uint32
	remoteWindow uint32
	// window is what the client last announced.
	window       uint32
	nextDelivery uint32
}

func (c *conn) begin(channel uint16, begin *amqp.Begin) error {
	if _, exists := c.sessions[channel]; exists || channel > channelMax {
		return fmt.Errorf("begin on channel %d: %w", channel, amqp.ErrMalformed)
	}
	s := &session{
		conn: c, channel: channel, links: make(map[uint32]*link),
		nextIncoming: begin.NextOutgoingID, incomingLeft: c.server.cfg.SessionWindow,
		remoteWindow: min(begin.IncomingWindow, maxWindow), window: min(begin.IncomingWindow, maxWindow),
	}
	c.sessions[channel] = s
	s.send(&amqp.Begin{
		RemoteChannel:  amqp.Some(uint32(channel)),
		IncomingWindow: uint32(c.server.cfg.SessionWindow),
		OutgoingWindow: uint32(c.server.cfg.SessionWindow),
		HandleMax:      maxHandles - 1,
	})
	return nil
}

func (s *session) send(p amqp.Outgoing) {
	s.conn.out = amqp.AppendFrame(s.conn.out, amqp.FrameAMQP, s.channel, p)
}

func (s *session) end() {
	for _, l := range s.links {
		l.release()
	}
	delete(s.conn.sessions, s.channel)
	s.send(&amqp.End{})
}

// flow takes the client's windows and, for a link that sends to the client, its credit.
func (s *session) flow(f *amqp.Flow) error {
	// A flow sent before the client saw our Begin counts from our first transfer id, 0.
	s.window = min(f.IncomingWindow, maxWindow)
	s.remoteWindow = uint32(max(0, int32(f.NextIncomingID.Value+s.window-s.nextOutgoing)))
	for _, l := range s.links {
		l.wakeUp()
	}
	if !f.Handle.Set {
		if f.Echo {
			s.send(s.windows())
		}
		return nil
	}
	l := s.links[f.Handle.Value]
	if l == nil {
		return fmt.Errorf("flow for handle %d without a link: %w", f.Handle.Value, amqp.ErrMalformed)
	}
	if l.dead || !l.sends {
		return nil
	}
	return l.grant(f)
}

// windows is a flow that renews the client's window. Any flow needs next-incoming-id.
func (s *session) windows() *amqp.Flow {
	s.incomingLeft = s.conn.server.cfg.SessionWindow
	return &amqp.Flow{
		NextIncomingID: amqp.Some(s.nextIncoming),
		IncomingWindow: uint32(s.incomingLeft),
		NextOutgoingID: s.nextOutgoing,
		OutgoingWindow: uint32(s.conn.server.cfg.SessionWindow),
	}
}

// took counts one transfer frame from the client and renews the window when half of it is used.
func (s *session) took() {
	s.nextIncoming++
	s.incomingLeft--
	if s.incomingLeft <= s.conn.server.cfg.SessionWindow/2 {
		s.send(s.windows())
		s.conn.flush()
	}
}

// detached answers the client's detach, or takes it as the answer to ours.
func (s *session) detached(d *amqp.Detach) {
	l := s.links[d.Handle]
	if l == nil {
		return
	}
	if !l.dead {
		s.send(&amqp.Detach{Handle: d.Handle, Closed: true})
	}
	l.release()
	delete(s.links, d.Handle)
}

// releaseAll frees everything the connection held, at its end.
func (c *conn) releaseAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sessions {
		for _, l := range s.links {
			l.release()
		}
	}
	clear(c.sessions)
}
