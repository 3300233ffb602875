package eventhubs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

// FaultKind is what a fault does.
type FaultKind string

const (
	// FaultCut closes matching connections without a word, once.
	FaultCut FaultKind = "cut"
	// FaultClose closes matching connections with an AMQP error (amqp:connection:forced unless set), once.
	FaultClose FaultKind = "close"
	// FaultDetach detaches matching links with a condition (amqp:link:detach-forced unless set), once.
	FaultDetach FaultKind = "detach"
	// FaultSteal detaches matching consumers with amqp:link:stolen, once.
	FaultSteal FaultKind = "steal"
	// FaultRefuse turns away matching attaches (com.microsoft:server-busy unless set).
	FaultRefuse FaultKind = "refuse"
	// FaultReject rejects messages of matching producers (com.microsoft:server-busy unless set).
	FaultReject FaultKind = "reject"
	// FaultDelay holds back answers to matching producers, and each group of events for matching consumers.
	FaultDelay FaultKind = "delay"
)

// Role narrows a fault to links of one kind.
type Role string

const (
	// RoleProducer is a client that sends.
	RoleProducer Role = "producer"
	// RoleConsumer is a client that reads.
	RoleConsumer Role = "consumer"
)

// Fault is a fault to inject. Empty fields of the target match everything.
type Fault struct {
	Kind      FaultKind `json:"kind"`
	Namespace string    `json:"namespace,omitempty"`
	Hub       string    `json:"hub,omitempty"`
	Group     string    `json:"group,omitempty"`
	Partition string    `json:"partition,omitempty"`
	Role      Role      `json:"role,omitempty"`
	// Condition and Description are the AMQP error.
	Condition   string `json:"condition,omitempty"`
	Description string `json:"description,omitempty"`
	// Count is how many attaches or messages a refuse or reject hits; 0 is until it is cleared.
	Count int `json:"count,omitempty"`
	// Delay is that of FaultDelay; DelayMS is the same in milliseconds, for JSON.
	Delay   time.Duration `json:"-"`
	DelayMS int           `json:"delay_ms,omitempty"`
	// Form is how FaultRefuse turns away; "" is Refuse.
	Form RefusalForm `json:"form,omitempty"`
}

// FaultReport tells what Inject did.
type FaultReport struct {
	// ID names a standing fault (refuse, reject, delay) for ClearFault; "" for the others.
	ID string `json:"id,omitempty"`
	// Affected is how many connections or links a fault that acts once has hit.
	Affected int `json:"affected"`
}

// StandingFault is a fault that waits for something to hit.
type StandingFault struct {
	ID string `json:"id"`
	Fault
	// Hits is how often it has hit.
	Hits int `json:"hits"`
}

// ErrBadFault says that a fault's fields make no sense.
var ErrBadFault = errors.New("fault not understood")

// target says which links are meant; empty fields match everything.
type target struct {
	namespace, hub, group, partition string
	role                             Role
}

func (t target) matches(link target) bool {
	same := func(want, have string) bool { return want == "" || strings.EqualFold(want, have) }
	return same(t.namespace, link.namespace) && same(t.hub, link.hub) && same(t.group, link.group) &&
		same(t.partition, link.partition) && same(string(t.role), string(link.role))
}

func (f *Fault) target() target {
	return target{namespace: f.Namespace, hub: f.Hub, group: f.Group, partition: f.Partition, role: f.Role}
}

type faults struct {
	mu       sync.Mutex
	lastID   int
	standing []*StandingFault
}

// take uses up one hit of the first standing fault of a kind that matches a link.
func (f *faults) take(kind FaultKind, where target) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, s := range f.standing {
		if s.Kind != kind || !s.target().matches(where) {
			continue
		}
		s.Hits++
		if s.Count > 0 && s.Hits >= s.Count {
			f.standing = append(f.standing[:i:i], f.standing[i+1:]...)
		}
		return s.Fault, true
	}
	return Fault{}, false
}

// delay returns the longest delay standing for a link.
func (f *faults) delay(where target) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var d time.Duration
	for _, s := range f.standing {
		if s.Kind == FaultDelay && s.target().matches(where) {
			d = max(d, s.Delay)
			s.Hits++
		}
	}
	return d
}

// Inject makes a fault happen: at once, or, for refuse, reject and delay, from now on. It returns ErrBadFault.
func (s *Server) Inject(f Fault) (FaultReport, error) {
	f.complete()
	switch f.Kind {
	case FaultCut:
		return FaultReport{Affected: s.eachConn(f.target(), func(c *conn) { c.cut() })}, nil
	case FaultClose:
		e := amqp.Error{Condition: f.Condition, Description: f.Description}
		return FaultReport{Affected: s.eachConn(f.target(), func(c *conn) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.close(e)
		})}, nil
	case FaultDetach, FaultSteal:
		n := s.eachLink(f.target(), func(l *link) { l.detach(f.Condition, f.Description) })
		return FaultReport{Affected: n}, nil
	case FaultRefuse, FaultReject, FaultDelay:
		if f.Kind == FaultDelay && f.Delay <= 0 {
			return FaultReport{}, fmt.Errorf("delay of %s: %w", f.Delay, ErrBadFault)
		}
		return FaultReport{ID: s.faults.add(f)}, nil
	}
	return FaultReport{}, fmt.Errorf("kind %q: %w", f.Kind, ErrBadFault)
}

// complete fills in what a fault leaves open.
func (f *Fault) complete() {
	if f.Delay == 0 {
		f.Delay = time.Duration(f.DelayMS) * time.Millisecond
	}
	f.DelayMS = int(f.Delay.Milliseconds())
	condition, text := "", "Injected by the simulator."
	switch f.Kind {
	case FaultClose:
		condition = conditionForced
	case FaultDetach:
		condition = conditionDetachForced
	case FaultSteal:
		condition, f.Role = conditionStolen, RoleConsumer
	case FaultRefuse, FaultReject:
		condition, text = conditionServerBusy, serverBusyText
	}
	if f.Condition == "" {
		f.Condition = condition
	}
	if f.Description == "" {
		f.Description = text
	}
	if f.Form == "" {
		f.Form = Refuse
	}
}

func (f *faults) add(fault Fault) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lastID++
	s := &StandingFault{ID: strconv.Itoa(f.lastID), Fault: fault}
	f.standing = append(f.standing, s)
	return s.ID
}

// Faults returns the standing faults.
func (s *Server) Faults() []StandingFault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	all := make([]StandingFault, 0, len(s.faults.standing))
	for _, f := range s.faults.standing {
		all = append(all, *f)
	}
	return all
}

// ClearFault ends a standing fault, or all of them if id is "". It returns ErrNotFound for an unknown id.
func (s *Server) ClearFault(id string) error {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if id == "" {
		s.faults.standing = nil
		return nil
	}
	for i, f := range s.faults.standing {
		if f.ID == id {
			s.faults.standing = append(s.faults.standing[:i:i], s.faults.standing[i+1:]...)
			return nil
		}
	}
	return fmt.Errorf("fault %q: %w", id, ErrNotFound)
}

// eachLink calls do for each live producer or consumer link that matches, holding no lock, and counts them.
func (s *Server) eachLink(t target, do func(*link)) int {
	n := 0
	for _, c := range s.connections() {
		for _, l := range c.matching(t) {
			do(l)
			n++
		}
	}
	return n
}

// eachConn calls do for each connection with a link that matches; a target that is empty but for the namespace
// matches connections without links too.
func (s *Server) eachConn(t target, do func(*conn)) int {
	n := 0
	for _, c := range s.connections() {
		if len(c.matching(t)) > 0 || (t == target{namespace: t.namespace} && c.in(t.namespace)) {
			do(c)
			n++
		}
	}
	return n
}

func (c *conn) in(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return namespace == "" || c.ns != nil && strings.EqualFold(c.ns.cfg.Name, namespace)
}

func (c *conn) matching(t target) []*link {
	c.mu.Lock()
	defer c.mu.Unlock()
	var links []*link
	for _, s := range c.sessions {
		for _, l := range s.links {
			if !l.dead && (l.producer != nil || l.consumer != nil) && t.matches(l.where) {
				links = append(links, l)
			}
		}
	}
	return links
}
