package eventhubs

import (
	"errors"
	"fmt"
	"strings"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
	"github.com/entraflow/entraflow/services/simulator/internal/hublog"
)

const (
	addressCBS        = "$cbs"
	addressManagement = "$management"
)

// refusal is why an attach is turned away, and how.
type refusal struct {
	cause amqp.Error
	form  RefusalForm
}

func (r *refusal) Error() string { return r.cause.Condition + ": " + r.cause.Description }

func refuse(condition, format string, args ...any) *refusal {
	return &refusal{amqp.Error{Condition: condition, Description: fmt.Sprintf(format, args...)}, Refuse}
}

// attach handles the client's attach: it makes the link or turns it away.
func (s *session) attach(a *amqp.Attach) error {
	if s.links[a.Handle] != nil || a.Handle >= maxHandles {
		return fmt.Errorf("attach on handle %d: %w", a.Handle, amqp.ErrMalformed)
	}
	l := &link{session: s, handle: a.Handle, name: a.Name, sends: a.Receiver}
	s.links[a.Handle] = l
	err := s.bind(l, a)
	if err == nil {
		return nil
	}
	s.conn.server.counters.linksRefused.Add(1)
	var r *refusal
	if !errors.As(err, &r) {
		r = refuse("amqp:internal-error", "%v", err)
	}
	if r.form == AttachThenDetach {
		l.attached(a)
		l.kill(r.cause)
		return nil
	}
	l.refused(a, r.cause)
	return nil
}

func (s *session) bind(l *link, a *amqp.Attach) error {
	address := a.Target.Address
	if l.sends {
		address = a.Source.Address
	}
	switch {
	case strings.EqualFold(address, addressCBS), strings.EqualFold(address, addressManagement):
		return s.bindRPC(l, a, strings.ToLower(address))
	case l.sends:
		return s.bindConsumer(l, a, address)
	default:
		return s.bindProducer(l, a, address)
	}
}

// entity is a parsed link address.
type entity struct {
	hub       *Hub
	group     string
	partition *partition
}

// resolve finds what an address means: <hub>[/ConsumerGroups/<group>][/Partitions/<id>].
func (s *session) resolve(address string) (entity, error) {
	parts := strings.Split(strings.Trim(address, "/"), "/")
	e := entity{hub: s.conn.ns.hub(parts[0])}
	if e.hub == nil {
		return e, refuse(conditionNotFound, "The messaging entity '%s' could not be found.", address)
	}
	for rest := parts[1:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) == 1 {
			return e, refuse(conditionNotFound, "The messaging entity '%s' could not be found.", address)
		}
		switch value := rest[1]; strings.ToLower(rest[0]) {
		case "consumergroups":
			if e.group = value; !e.hub.hasGroup(value) {
				return e, refuse(conditionNotFound, "The messaging entity '%s' could not be found.", address)
			}
		case "partitions":
			p, err := e.hub.partition(value)
			if err != nil {
				return e, refuse(conditionOutOfRange,
					"The specified partition is invalid for an EventHub partition sender or receiver. It should be between 0 and %d.",
					e.hub.Partitions()-1)
			}
			e.partition = p
		default:
			return e, refuse(conditionNotFound, "The messaging entity '%s' could not be found.", address)
		}
	}
	if !e.hub.Enabled() {
		return e, refuse(conditionDisabled, disabledTextFormat, e.hub.Name())
	}
	return e, nil
}

// admit checks claims and faults, and fills in what the link is for.
func (s *session) admit(l *link, address string, e entity, needs right) error {
	l.path, l.needs = strings.ToLower(strings.Trim(address, "/")), needs
	l.where = target{namespace: e.hub.Namespace(), hub: e.hub.Name(), group: e.group, role: RoleProducer}
	if l.sends {
		l.where.role = RoleConsumer
	}
	if e.partition != nil {
		l.where.partition = e.partition.id
	}
	if !s.conn.allowed(l.path, needs) {
		return refuse(conditionUnauthorized, unauthorizedTextFormat, needs, address)
	}
	if f, hit := s.conn.server.faults.take(FaultRefuse, l.where); hit {
		r := refuse(f.Condition, "%s", f.Description)
		r.form = f.Form
		return r
	}
	return nil
}

// allowed tells whether a claim of the connection gives the right on the path.
func (c *conn) allowed(path string, r right) bool {
	now := c.server.set.TokenNow()
	for _, claim := range c.claims {
		if claim.covers(path, r, now) {
			return true
		}
	}
	return false
}

// detachExpired detaches links whose token has expired. Azure does so too; clients renew before.
func (c *conn) detachExpired() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finish {
		return
	}
	for _, s := range c.sessions {
		for _, l := range s.links {
			if l.dead || l.needs == 0 || c.allowed(l.path, l.needs) {
				continue
			}
			l.kill(amqp.Error{Condition: conditionUnauthorized, Description: "ExpiredToken: The token of the link is expired."})
		}
	}
}

const (
	filterSelector   = "apache.org:selector-filter:string"
	propertyEpoch    = "com.microsoft:epoch"
	propertyReceiver = "com.microsoft:receiver-name"
)

// startOf returns the sequence number a consumer starts at.
func startOf(p *partition, filter amqp.Value) (int64, error) {
	expression, _ := filter.Lookup(filterSelector).Text()
	selector, err := hublog.ParseSelector(expression)
	if err != nil {
		return 0, refuse(conditionArgument, "%v", err)
	}
	next, err := p.log.Resolve(selector)
	var beyond *hublog.BeyondEndError
	switch {
	case err == nil:
		return next, nil
	case errors.As(err, &beyond):
		// Reports of clients show this one as a detach of an attached link.
		r := refuse(conditionArgument, "%v", beyond)
		r.form = AttachThenDetach
		return 0, r
	case errors.Is(err, hublog.ErrLegacyOffset):
		return 0, refuse(conditionInvalidOffset, "%v", err)
	}
	return 0, refuse(conditionArgument, "%v", err)
}
