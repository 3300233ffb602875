package tenant

import (
	"container/heap"
	"iter"
	"slices"
	"strconv"
	"time"
)

// HubRecords returns the records of a log that q chooses as Event Hubs carry them (diagnostic envelope
// with properties), in the order in which they became visible, with that time. The ids are those of
// Page. A record that changed comes a second time when it changed. A risky user yields each state that q
// chooses, also those that a later one replaced. Hide is not heeded but for the licence.
// Whoever streams asks again with From moved on: what is late has a time up to Late.Max before.
func (t *Tenant) HubRecords(log string, q Query) iter.Seq2[time.Time, []byte] {
	return func(yield func(time.Time, []byte) bool) {
		i := logIndex(log)
		if i < 0 {
			return
		}
		s := &t.series[i]
		w := t.window(s, q)
		h := hubStream{t: t, s: s, w: &w, yield: yield}
		h.run()
	}
}

// hubStream puts the records of a log in the order of their deliveries.
type hubStream struct {
	t     *Tenant
	s     *series
	w     *window
	yield func(time.Time, []byte) bool
	// later are deliveries after the records' time.
	later deliveries
}

func (h *hubStream) run() {
	for slot := h.w.low; slot <= h.w.high; slot++ {
		for _, one := range slices.Backward(h.t.sorted(h.s, slot)) {
			if h.w.holds(one.at) && !h.take(slot, one) {
				return
			}
		}
	}
	h.flush(h.w.at)
}

// take delivers a record and what was due before it.
func (h *hubStream) take(slot int64, one head) bool {
	if !h.flush(one.at) {
		return false
	}
	d := delivery{at: one.at + h.t.delay(h.s.log, slot, one), slot: slot, head: one}
	if changes, ok := h.t.changesAt(h.s.log, slot, one); ok {
		heap.Push(&h.later, delivery{at: changes, slot: slot, head: one})
	}
	if d.at > one.at {
		heap.Push(&h.later, d)
		return true
	}
	return h.deliver(d)
}

// flush delivers what is due at a time.
func (h *hubStream) flush(at ticks) bool {
	for len(h.later) > 0 && h.later[0].at <= at {
		d, _ := heap.Pop(&h.later).(delivery)
		if !h.deliver(d) {
			return false
		}
	}
	return true
}

func (h *hubStream) deliver(d delivery) bool {
	return h.yield(d.at.time(), h.t.hubRecord(h.s.log, d))
}

// delivery is a record at the time when it becomes visible or changes.
type delivery struct {
	at   ticks
	slot int64
	head head
}

// deliveries is a heap by time.
type deliveries []delivery

func (d deliveries) Len() int           { return len(d) }
func (d deliveries) Less(i, j int) bool { return d[i].at < d[j].at }
func (d deliveries) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }

// Push implements heap.Interface.
func (d *deliveries) Push(x any) {
	if one, ok := x.(delivery); ok {
		*d = append(*d, one)
	}
}

// Pop implements heap.Interface.
func (d *deliveries) Pop() any {
	last := len(*d) - 1
	one := (*d)[last]
	*d = (*d)[:last]
	return one
}

// hubCategories are the diagnostic categories and operations by log.
var hubCategories = [...]struct{ category, operation string }{
	{"SignInLogs", "Sign-in activity"},
	{"NonInteractiveUserSignInLogs", "Sign-in activity"},
	{"ServicePrincipalSignInLogs", "Sign-in activity"},
	{"ManagedIdentitySignInLogs", "Sign-in activity"},
	{"AuditLogs", ""},
	{"ProvisioningLogs", "Provisioning activity"},
	{"UserRiskEvents", "User Risk Detection"},
	{"RiskyUsers", "Risky user"},
}

// hubRecord returns a record as a hub carries it.
func (t *Tenant) hubRecord(log int, d delivery) []byte {
	w := writer{t: t, b: make([]byte, 0, 3072), f: form{hub: true, at: d.at, hide: t.hidden(Query{})}}
	at := d.at.text()
	w.text(`{"time":"`, string(at[:])+"Z")
	w.text(`,"resourceId":"/tenants/`, w.t.cfg.ID)
	w.b = append(w.b[:len(w.b)-1], `/providers/Microsoft.aadiam"`...)
	operation := hubCategories[log].operation
	if log == logAudit {
		operation = t.auditOf(d.slot, d.head).activity
	}
	w.text(`,"operationName":"`, operation)
	w.text(`,"operationVersion":"1.0","category":"`, hubCategories[log].category)
	w.text(`,"tenantId":"`, t.cfg.ID)
	w.raw(`,"resultSignature":"None","durationMs":0,"Level":4`)
	if log <= logManagedIdentity {
		s := t.signInOf(log, d.slot, d.head)
		w.text(`,"resultType":"`, strconv.Itoa(s.code))
		if s.code != 0 {
			w.text(`,"resultDescription":"`, reasonOf(s.code))
		}
		if s.address.IsValid() {
			w.text(`,"callerIpAddress":"`, s.address.String())
		}
		w.guid(`,"correlationId":"`, s.correlation)
		if s.isUser {
			w.userName(`,"identity":"`, &s.who)
		}
		if s.place != nil {
			w.text(`,"location":"`, s.place.country)
		}
	}
	w.raw(`,"properties":`)
	w.b = t.appendRecord(w.b, w.f, log, d.slot, d.head)
	return append(w.b, '}')
}
