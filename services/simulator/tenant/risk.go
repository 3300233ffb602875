package tenant

import (
	"math/bits"
	"net/netip"
	"sort"
)

// detection is a risk detection before it is written.
type detection struct {
	id          string
	event       string
	level       string
	state       string
	detail      string
	timing      string
	request     guid // the sign-in's id; zero: none
	correlation guid
	address     netip.Addr
	place       *place
	who         user
	activity    ticks
	detected    ticks
	updated     ticks
}

// riskDetectionOf returns a risk detection. Ordinary ones name a sign-in only at level low; of a higher
// level they are leaked credentials, which name none.
func (t *Tenant) riskDetectionOf(slot int64, h head, changed bool) detection {
	if h.index < 0 {
		d := *t.series[logRiskDetection].woven[-1-h.index].detection
		d.id, d.detected, d.updated = t.recordID(logRiskDetection, slot, h), h.at, h.at
		return d
	}
	r := rng{hash(t.cfg.Seed, logRiskDetection, uint64(slot), uint64(h.index))}
	d := detection{
		id: t.recordID(logRiskDetection, slot, h), event: "unfamiliarFeatures", level: "low", state: "remediated",
		detail: "userPassedMFADrivenByRiskBasedPolicy", timing: "realtime", detected: h.at, updated: h.at,
		activity: h.at - ticks(r.below(int(10*perMinute))),
	}
	const leaked = 1500
	signIn, ok := t.signInNear(&r, d.activity)
	if r.chance(leaked) || !ok {
		d.event, d.level, d.timing = "leakedCredentials", "high", "offline"
		d.detail = "userPerformedSecuredPasswordReset"
		d.who = t.someUser(&r, h.at)
	} else {
		d.who, d.request, d.correlation, d.activity = signIn.who, signIn.id, signIn.correlation, signIn.at
		d.address, d.place = signIn.address, signIn.place
	}
	if changed {
		d.state, d.detail, d.updated = "dismissed", "adminDismissedAllRiskForUser", d.updated+perHour
	}
	return d
}

// signInNear returns an interactive sign-in of the slot before a time.
func (t *Tenant) signInNear(r *rng, at ticks) (signIn, bool) {
	s := &t.series[logInteractive]
	slot := s.slotOf(at) - 1
	if slot < 0 {
		return signIn{}, false
	}
	n := s.ordinary(slot)
	if n == 0 {
		return signIn{}, false
	}
	i := r.below(n)
	return t.signInOf(logInteractive, slot, head{at: s.timeOf(t.cfg.Seed, slot, i), index: int32(i)}), true
}

// riskDetection writes a riskDetection, or the properties of a hub's record.
func (w *writer) riskDetection(d detection) {
	w.text(`{"id":"`, d.id)
	w.optionalGUID(`,"requestId":"`, d.request)
	w.optionalGUID(`,"correlationId":"`, orGUID(d.correlation, w.t.ids.seal(classCorrelation, 0, hash(0, uint64(d.detected), d.who.h))))
	w.text(`,"riskEventType":"`, d.event)
	w.text(`,"riskState":"`, d.state)
	w.text(`,"riskLevel":"`, d.level)
	w.text(`,"riskDetail":"`, d.detail)
	w.text(`,"detectionTimingType":"`, d.timing)
	w.raw(`,"source":"IdentityProtection","activity":"signin","tokenIssuerType":"AzureAD","ipAddress":"`)
	if d.address.IsValid() {
		w.b = d.address.AppendTo(w.b)
	}
	w.raw(`"`)
	w.place(`,"location":`, d.place)
	w.time(`,"activityDateTime":"`, d.activity)
	w.time(`,"detectedDateTime":"`, d.detected)
	w.time(`,"lastUpdatedDateTime":"`, d.updated)
	w.guid(`,"userId":"`, w.t.userID(d.who.index))
	w.userName(`,"userDisplayName":"`, &d.who)
	w.userPrincipalName(`,"userPrincipalName":"`, &d.who)
	w.raw(`,"additionalInfo":"[{\"Key\":\"userAgent\",\"Value\":\"Mozilla/5.0\"}]"}`)
}

func orGUID(g, other guid) guid {
	if g.isZero() {
		return other
	}
	return g
}

// riskyState is a state of a risky user before it is written.
type riskyState struct {
	at                   ticks
	who                  user
	level, state, detail string
}

// The states of risky users are numbered through. State n is that of user n modulo the round, in an order
// of its own; so the state that replaces it is n + round, and each user has one state at a time.

// riskyRound is how many ordinary users become risky within the history, when it has so many states.
func (t *Tenant) riskyRound(states uint64) uint64 {
	return max(1, min(uint64(t.population.ordinary()), states*3/4))
}

// riskyUserOf returns the index of a state's user.
func (t *Tenant) riskyUserOf(slot int64, h head) int {
	s := &t.series[logRiskyUser]
	if h.index < 0 {
		return s.woven[-1-h.index].risky.who.index
	}
	n := s.first(slot) + uint64(h.index)
	m := uint64(t.population.ordinary())
	hi, lo := bits.Mul64(n%t.round, stride(m))
	_, rest := bits.Div64(hi%m, lo, m)
	return t.population.reserved + int(rest)
}

// stride is a number without a common divisor with m, so that its multiples modulo m go through all.
func stride(m uint64) uint64 {
	a := max(1, m*618/1000)
	for gcd(a, m) != 1 {
		a++
	}
	return a
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// superseded reports whether a later state of the same user has replaced a state at a time.
func (t *Tenant) superseded(slot int64, h head, at ticks) bool {
	if h.index < 0 {
		return false
	}
	s := &t.series[logRiskyUser]
	return t.stateReached(s, s.first(slot)+uint64(h.index)+t.round, at)
}

// stateReached reports whether state n lies at or before a time.
func (t *Tenant) stateReached(s *series, n uint64, at ticks) bool {
	slot := s.slotOf(at)
	if slot < 0 {
		return false
	}
	first := s.first(slot)
	if n < first {
		return true
	}
	return n < s.first(slot+1) && s.timeOf(t.cfg.Seed, slot, int(n-first)) <= at
}

// locateRiskyUser finds the newest state of a user.
func (t *Tenant) locateRiskyUser(s *series, id string, at ticks) (slot int64, h head, ok bool) {
	g, isGUID := parseGUID(id)
	i := t.findUser(id)
	if !isGUID || i < 0 || g != t.userID(i) {
		return 0, h, false
	}
	for n, w := range s.woven {
		if w.risky.who.index == i {
			return s.slotOf(w.at), head{at: w.at, index: int32(-1 - n)}, true
		}
	}
	if i < t.population.reserved {
		return 0, h, false
	}
	m := uint64(t.population.ordinary())
	hi, lo := bits.Mul64(uint64(i-t.population.reserved), inverse(stride(m), m))
	_, n := bits.Div64(hi%m, lo, m)
	reached := s.first(s.slotOf(at) + 1)
	if n >= t.round || n >= reached {
		return 0, h, false
	}
	n += (reached - 1 - n) / t.round * t.round
	if !t.stateReached(s, n, at) {
		if n < t.round {
			return 0, h, false
		}
		n -= t.round
	}
	slot = int64(sort.Search(int(s.slotOf(at)), func(i int) bool { return s.first(int64(i)+1) > n }))
	index := int(n - s.first(slot))
	return slot, head{at: s.timeOf(t.cfg.Seed, slot, index), index: int32(index)}, true
}

// inverse returns the number that a times gives 1 modulo m; a has no common divisor with m.
func inverse(a, m uint64) uint64 {
	r0, r1, x0, x1 := int64(m), int64(a%m), int64(0), int64(1)
	for r1 > 0 {
		q := r0 / r1
		r0, r1, x0, x1 = r1, r0-q*r1, x1, x0-q*x1
	}
	if x0 < 0 {
		x0 += int64(m)
	}
	return uint64(x0) % m
}

// riskyUserStateOf returns a state.
func (t *Tenant) riskyUserStateOf(slot int64, h head) riskyState {
	if h.index < 0 {
		u := *t.series[logRiskyUser].woven[-1-h.index].risky
		u.at = h.at
		return u
	}
	r := rng{hash(t.cfg.Seed, logRiskyUser, uint64(slot), uint64(h.index))}
	u := riskyState{at: h.at, who: t.population.user(t.riskyUserOf(slot, h)), level: "none", state: "remediated"}
	u.detail = "userPerformedSecuredPasswordReset"
	const low = 4000
	if r.chance(low) {
		u.level, u.state, u.detail = "low", "atRisk", "none"
	}
	return u
}

// riskyUser writes a riskyUser, or the properties of a hub's record.
func (w *writer) riskyUser(u riskyState) {
	w.guid(`{"id":"`, w.t.userID(u.who.index))
	w.raw(`,"isDeleted":false,"isProcessing":false`)
	w.time(`,"riskLastUpdatedDateTime":"`, u.at)
	w.text(`,"riskLevel":"`, u.level)
	w.text(`,"riskState":"`, u.state)
	w.text(`,"riskDetail":"`, u.detail)
	w.userName(`,"userDisplayName":"`, &u.who)
	w.userPrincipalName(`,"userPrincipalName":"`, &u.who)
	w.raw("}")
}
