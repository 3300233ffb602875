// Package tenant generates simulated Microsoft Entra tenants: their sign-ins, audits, provisioning,
// risk, users, applications and service principals, as Graph beta and Event Hubs write them.
//
// It is a function from a Config to values: the same Config gives the same bytes. Nothing is stored;
// every object derives from (seed, log, slot of time, index), so a tenant of a million users and ten
// million sign-ins takes no more memory than a small one. It has no clock, opens nothing, and knows
// nothing of HTTP, licences' errors, throttling or faults.
package tenant

import (
	"fmt"
	"iter"
	"time"
)

// Tenant is a simulated tenant. All methods are safe for concurrent use.
type Tenant struct {
	cfg Config
}

// New returns the tenant of cfg. Its error is cfg.Validate's.
func New(cfg Config) (*Tenant, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking tenant config: %w", err)
	}
	return &Tenant{cfg: cfg}, nil
}

// ID returns the directory id.
func (t *Tenant) ID() string { return t.cfg.ID }

// Config returns the tenant's Config with ID set.
func (t *Tenant) Config() Config { return t.cfg }

// Start returns when the history begins: End - Days.
func (t *Tenant) Start() time.Time { return t.cfg.End.AddDate(0, 0, -t.cfg.Days) }

// Page returns up to limit records of a log that q chooses, newest first, behind position after,
// and the position to go on from. done says that nothing is left. It takes time and memory for
// limit records and one slot, wherever after is. Without such a log nothing is left. A page that is
// not done may be empty only if limit is 0.
func (t *Tenant) Page(log string, q Query, after Position, limit int) (records []Record, next Position, done bool) {
	return nil, after, true
}

// Lookup returns the record of a log with this id as it is visible at q.At, whatever its time.
// It takes the time of one slot. For risky users the id is the user's.
func (t *Tenant) Lookup(log, id string, q Query) (Record, bool) { return Record{}, false }

// Truth counts the distinct ids of each log that q chooses, without making JSON: every log of Logs
// has an entry.
func (t *Tenant) Truth(q Query) map[string]uint64 { return nil }

// IDs returns the ids that q chooses of a log, newest record first.
func (t *Tenant) IDs(log string, q Query) iter.Seq[string] { return func(func(string) bool) {} }

// HubRecords returns the records of a log that q chooses, oldest first, as Event Hubs carry them
// (diagnostic envelope with properties), with the time each became visible. The ids are those of
// Page. A risky user yields each state that q chooses, also states that a later one replaced.
func (t *Tenant) HubRecords(log string, q Query) iter.Seq2[time.Time, []byte] {
	return func(func(time.Time, []byte) bool) {}
}
