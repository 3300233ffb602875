package eventhubs

import (
	"errors"
	"fmt"
	"time"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

// readFrames handles frames until the client closes or the connection ends. After a close of ours it only waits for
// the client's answer.
func (c *conn) readFrames() error {
	var fault error
	var deadline time.Time
	for {
		if now := time.Now(); now.After(deadline) {
			deadline = now.Add(c.server.cfg.IdleTimeout / 4)
			c.extendDeadline(now.Add(c.server.cfg.IdleTimeout))
		}
		frame, err := c.frames.ReadFrame()
		if err != nil {
			return errors.Join(fault, err)
		}
		if len(frame.Body) == 0 {
			continue
		}
		closed, err := c.handle(frame)
		if closed {
			return fault
		}
		if err != nil && fault == nil {
			fault = err
			c.fail(err)
		}
	}
}

func (c *conn) extendDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.finish {
		_ = c.nc.SetReadDeadline(t) // fails only if the connection is gone, and then the read says so
	}
}

func (c *conn) fail(err error) {
	condition := "amqp:internal-error"
	if errors.Is(err, amqp.ErrMalformed) {
		condition = "amqp:decode-error"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close(amqp.Error{Condition: condition, Description: err.Error()})
}

// handle handles one frame. closed tells that the client has closed the connection.
func (c *conn) handle(frame amqp.Frame) (closed bool, err error) {
	if frame.Type != amqp.FrameAMQP {
		return false, fmt.Errorf("frame type %d after open: %w", frame.Type, amqp.ErrMalformed)
	}
	p, payload, err := amqp.Decode(frame.Body)
	if err != nil {
		return false, err
	}
	if t, ok := p.(*amqp.Transfer); ok {
		return false, c.transfer(frame.Channel, t, payload)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := p.(*amqp.Close); ok {
		c.close(amqp.Error{})
		return true, nil
	}
	if c.finish {
		return false, nil
	}
	defer c.flush()
	if begin, ok := p.(*amqp.Begin); ok {
		return false, c.begin(frame.Channel, begin)
	}
	s := c.sessions[frame.Channel]
	if s == nil {
		return false, fmt.Errorf("frame on channel %d without a session: %w", frame.Channel, amqp.ErrMalformed)
	}
	return false, s.handle(p)
}

// handle handles a performative of a session, with the connection's mu held.
func (s *session) handle(p amqp.Performative) error {
	switch p := p.(type) {
	case *amqp.Attach:
		return s.attach(p)
	case *amqp.Flow:
		return s.flow(p)
	case *amqp.Detach:
		s.detached(p)
	case *amqp.Disposition:
		// All deliveries to clients are sent settled, so there is nothing to settle.
	case *amqp.End:
		s.end()
	default:
		return fmt.Errorf("performative %T inside a session: %w", p, amqp.ErrMalformed)
	}
	return nil
}
