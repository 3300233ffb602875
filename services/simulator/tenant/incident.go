package tenant

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Incident is a labelled case of the truth: what a check must find, or must not.
type Incident struct {
	// Check is the check's id of checks.md ("signin.password_spray").
	Check string `json:"check"`
	// SubjectKind is the subject's kind: "user", "ip_address", "application", "tenant".
	SubjectKind string `json:"subject_kind"`
	// SubjectID is its object id, or the address.
	SubjectID string `json:"subject_id"`
	// MustFail says whether the check must fail; else it is a near miss that must not.
	MustFail bool `json:"must_fail"`
	// Note says what happened, and for a near miss why it is none.
	Note string `json:"note"`
	// EventIDs are the ids of the records that make the case, as Record.ID. Empty for posture.
	EventIDs []string `json:"event_ids,omitempty"`
	// From and To bound those records' times. Zero for posture.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// Incidents lists the labelled truth, in the order of check, then time. The slice is the caller's.
// Checks without an entry are not told by what is generated.
func (t *Tenant) Incidents() []Incident {
	all := slices.Clone(t.incidents)
	for i := range all {
		all[i].EventIDs = slices.Clone(all[i].EventIDs)
	}
	slices.SortStableFunc(all, func(a, b Incident) int {
		return cmp.Or(cmp.Compare(a.Check, b.Check), a.From.Compare(b.From))
	})
	return all
}

// WriteTruth writes the tenant's id, seed, history, the counts of every log as Truth(q) has them, the
// counts of the directory as they are given, and the incidents as one JSON object. Its error is w's.
func (t *Tenant) WriteTruth(w io.Writer, q Query, directory map[string]uint64) error {
	truth := struct {
		TenantID  string            `json:"tenant_id"`
		Seed      uint64            `json:"seed"`
		Users     int               `json:"users"`
		From      time.Time         `json:"from"`
		To        time.Time         `json:"to"`
		Counts    map[string]uint64 `json:"counts"`
		Directory map[string]uint64 `json:"directory"`
		Incidents []Incident        `json:"incidents"`
	}{t.cfg.ID, t.cfg.Seed, t.cfg.Users, t.Start(), t.cfg.End, t.Truth(q), directory, t.Incidents()}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(truth); err != nil {
		return fmt.Errorf("writing truth: %w", err)
	}
	return nil
}

// woven is a record of an incident, at a fixed time. One of the pointers is set.
type woven struct {
	at        ticks
	signIn    *signIn
	audit     *audit
	detection *detection
	risky     *riskyState
}

// weaver lays the incidents into the last two fifths of the history, so that what looks back finds
// ordinary days before them.
type weaver struct {
	t      *Tenant
	at     ticks
	step   ticks
	victim int
	guests int
	number int // of sessions and attackers
}

// weaveIncidents adds all labelled cases.
func (t *Tenant) weaveIncidents() {
	const cases = 64
	from, to := t.end-(t.end-t.start)*2/5, t.end-8*perHour
	v := weaver{t: t, at: from, step: (to - from) / cases, victim: firstVictim, guests: firstVictimGuest}
	v.attacks()
	v.logins()
	v.risks()
	v.audits()
	t.weavePosture()
	t.weaveCredentials()
}

// labelled is a case in the making.
type labelled struct {
	v        *weaver
	base     ticks
	events   []string
	from, to ticks
}

// begin starts a case at a time of its own.
func (v *weaver) begin() *labelled {
	v.at += v.step
	v.number++
	return &labelled{v: v, base: v.at - v.at%perSecond + 1_234_567}
}

// member returns a user who takes part in no other case.
func (v *weaver) member() user {
	v.victim++
	return v.t.population.user(v.victim - 1)
}

// admin returns the n-th administrator.
func (v *weaver) admin(n int) user { return v.t.population.user(v.t.population.reserved + n) }

// weave adds a record and returns its id.
func (c *labelled) weave(log int, w woven) string {
	t := c.v.t
	s := &t.series[log]
	s.weave(w)
	id := t.recordID(log, s.slotOf(w.at), head{at: w.at, index: int32(-len(s.woven))})
	c.events = append(c.events, id)
	if c.from == 0 || w.at < c.from {
		c.from = w.at
	}
	c.to = max(c.to, w.at)
	return id
}

// label says what the case is to a check.
func (c *labelled) label(check, kind, subject string, fails bool, note string) {
	c.v.t.incidents = append(c.v.t.incidents, Incident{
		Check: check, SubjectKind: kind, SubjectID: subject, MustFail: fails, Note: note,
		EventIDs: slices.Clone(c.events), From: c.from.time(), To: c.to.time(),
	})
}

// user labels a case of a user.
func (c *labelled) user(check string, u user, fails bool, note string) {
	c.label(check, "user", c.v.t.userID(u.index).String(), fails, note)
}

// usual is a sign-in of a user at home, with a password and MFA.
func (c *labelled) usual(u user, after ticks) signIn {
	t := c.v.t
	s := signIn{at: c.base + after, protocol: oauth2, token: "none"}
	t.asUser(&s, u, 0, false)
	t.useFirstParty(&s, officeClient)
	s.multiFactor, s.access, s.steps = true, accessGranted, passwordAndMFA
	s.detail = "MFA completed in Azure AD"
	s.correlation = t.ids.seal(classCorrelation, maxA, uint64(s.at)<<8|uint64(len(c.events)))
	return s
}

// from moves a sign-in to an address of an attacker, with a device that nobody knows.
func (s *signIn) from(attacker int, p *place) {
	s.address, s.place, s.office = attackAddress(attacker), p, false
	s.device, s.deviceID, s.session = attackerPC, guid{}, guid{}
}

// failed gives a sign-in a code and what follows from it.
func (t *Tenant) failed(s *signIn, code int) {
	s.code, s.multiFactor, s.access, s.detail = code, false, accessNotApplied, ""
	t.settle(s, &rng{s.h})
}

// signIn weaves a sign-in.
func (c *labelled) signIn(log int, s signIn) string { return c.weave(log, woven{at: s.at, signIn: &s}) }
