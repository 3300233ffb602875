package eventhubs

import (
	"fmt"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

// Error conditions that the service uses.
const (
	conditionStolen         = "amqp:link:stolen"
	conditionForced         = "amqp:connection:forced"
	conditionUnauthorized   = "amqp:unauthorized-access"
	conditionNotAllowed     = "amqp:not-allowed"
	conditionNotFound       = "amqp:not-found"
	conditionLimit          = "amqp:resource-limit-exceeded"
	conditionTooLarge       = "amqp:link:message-size-exceeded"
	conditionDecode         = "amqp:decode-error"
	conditionDetachForced   = "amqp:link:detach-forced"
	conditionServerBusy     = "com.microsoft:server-busy"
	conditionDisabled       = "com.microsoft:entity-disabled"
	conditionOutOfRange     = "com.microsoft:argument-out-of-range"
	conditionArgument       = "com.microsoft:argument-error"
	conditionInvalidOffset  = "com.microsoft:georeplication:invalid-offset"
	disabledTextFormat      = "Messaging entity '%s' is currently disabled."
	unauthorizedTextFormat  = "Unauthorized access. '%s' claim(s) are required to perform this operation. Resource: '%s'."
	serverBusyText          = "The request was terminated because the entity is being throttled. Please wait and try again."
	linkStolenByCommandText = "The link was stolen on demand."
)

func disabledText(hub string) string { return fmt.Sprintf(disabledTextFormat, hub) }

// link is one end of a link. Its fields are guarded by the connection's mu unless said otherwise.
type link struct {
	session *session
	handle  uint32
	name    string
	// sends tells that the server is the sending end.
	sends bool
	// dead tells that the server has detached the link and waits for the client's detach.
	dead bool
	// path is the entity path, in lower case, whose claims the link needs; needs is which right.
	path  string
	needs right
	where target

	// What a sending link may send: deliveryCount so far, credit left.
	deliveryCount, credit uint32

	producer *producer
	consumer *consumer
	rpc      *rpc
}

// wakeUp lets the link's pump look again, if it has one.
func (l *link) wakeUp() {
	if l.consumer == nil {
		return
	}
	select {
	case l.consumer.wake <- struct{}{}:
	default:
	}
}

// attached answers the client's attach. The echo of name, role and modes is what go-amqp checks.
func (l *link) attached(a *amqp.Attach) {
	reply := &amqp.Attach{
		Name: a.Name, Handle: a.Handle, Receiver: !a.Receiver,
		SenderSettleMode: a.SenderSettleMode, ReceiverSettleMode: a.ReceiverSettleMode,
		Source: a.Source, Target: a.Target,
	}
	reply.Source.Present, reply.Target.Present = true, true
	if l.sends {
		reply.InitialDeliveryCount = amqp.Some[uint32](0)
	} else {
		reply.MaxMessageBytes = uint64(l.session.conn.server.cfg.MaxMessageBytes)
	}
	l.session.send(reply)
}

// refused turns an attach away: an attach without source and target, then a detach.
func (l *link) refused(a *amqp.Attach, e amqp.Error) {
	reply := &amqp.Attach{
		Name: a.Name, Handle: a.Handle, Receiver: !a.Receiver,
		SenderSettleMode: a.SenderSettleMode, ReceiverSettleMode: a.ReceiverSettleMode,
	}
	if l.sends {
		reply.InitialDeliveryCount = amqp.Some[uint32](0)
	}
	l.session.send(reply)
	l.kill(e)
}

// kill detaches the link with an error. The handle stays taken until the client has answered.
func (l *link) kill(e amqp.Error) {
	if l.dead {
		return
	}
	l.release()
	l.dead = true
	l.session.send(&amqp.Detach{Handle: l.handle, Closed: true, Error: e})
	l.session.conn.flush()
}

// detach is kill for callers that do not hold the connection's mu.
func (l *link) detach(condition, description string) {
	c := l.session.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finish || c.sessions[l.session.channel] != l.session {
		return
	}
	l.kill(amqp.Error{Condition: condition, Description: description})
}

// release gives back what the link holds outside its session: its place among the readers, or the $cbs node.
func (l *link) release() {
	c := l.session.conn
	if c.cbs == l {
		c.cbs = nil
	}
	if l.consumer != nil {
		l.consumer.leave(l)
	}
}

// grant takes a flow of the client for a link on which the server sends.
func (l *link) grant(f *amqp.Flow) error {
	if f.LinkCredit.Set {
		l.credit = f.DeliveryCount.Value + f.LinkCredit.Value - l.deliveryCount
		if l.credit > maxWindow {
			return fmt.Errorf("link credit %d: %w", f.LinkCredit.Value, amqp.ErrMalformed)
		}
	}
	if l.rpc != nil {
		l.rpc.sendReplies(l)
	}
	if f.Drain {
		l.deliveryCount += l.credit
		l.credit = 0
	}
	if f.Drain || f.Echo {
		reply := l.session.windows()
		reply.Handle, reply.Drain = amqp.Some(l.handle), f.Drain
		reply.DeliveryCount, reply.LinkCredit = amqp.Some(l.deliveryCount), amqp.Some(l.credit)
		l.session.send(reply)
	}
	l.wakeUp()
	return nil
}

// request gives the client credit on a link on which the server receives.
func (l *link) request(deliveryCount, credit uint32) {
	f := l.session.windows()
	f.Handle = amqp.Some(l.handle)
	f.DeliveryCount, f.LinkCredit = amqp.Some(deliveryCount), amqp.Some(credit)
	l.session.send(f)
}
