package tenant

import (
	"io"
	"time"
)

// Incident is a labelled case of the truth: what a check must find, or must not.
type Incident struct {
	// Check is the check's id of checks.md ("signin.password_spray").
	Check string `json:"check"`
	// SubjectKind is the subject's kind ("user", "ip_address", "application", …).
	SubjectKind string `json:"subject_kind"`
	// SubjectID is its object id, or the address.
	SubjectID string `json:"subject_id"`
	// MustFail says whether the check must fail; else it is a near miss that must not.
	MustFail bool `json:"must_fail"`
	// Note says what happened, and for a near miss why it is none.
	Note string `json:"note"`
	// EventIDs are the ids of the records that make the case. Empty for posture.
	EventIDs []string `json:"event_ids"`
	// From and To bound those records' times. Zero for posture.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Incidents lists the labelled truth, in the order of check, then time. The slice is the caller's.
func (t *Tenant) Incidents() []Incident { return nil }

// WriteTruth writes the tenant's id, seed, history, the counts of every log as Truth(q) has them,
// and the incidents as one JSON object.
func (t *Tenant) WriteTruth(w io.Writer, q Query) error { return nil }
