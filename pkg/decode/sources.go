package decode

import (
	"errors"
	"fmt"
	"time"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// ErrIDChanged means that a stored record gives another id than it is stored under: the row is damaged,
// or a rule that must never change was changed.
var ErrIDChanged = errors.New("decode: the record gives another event id")

// HubRecord decodes one record of an Event Hub. The error is always an *Error.
func (d *Decoder) HubRecord(raw []byte, o Origin) (*eventv1.Event, error) {
	r := &d.record
	if err := r.load(raw); err != nil {
		return nil, err
	}
	r.origin, r.source = o, eventv1.Source_SOURCE_EVENT_HUB
	r.findPayload()
	r.findKind(r.outer(envCategory))
	if err := r.findTenant(); err != nil {
		return nil, err
	}
	return r.finish()
}

// GraphObject decodes one object of a Graph collection. category is the diagnostic category that the
// same records have in an Event Hub ("SignInLogs", "AuditLogs", "UserRiskEvents", "RiskyUsers",
// "ProvisioningLogs"); a kind's token ("signin") is taken too. A sign-in's own signInEventTypes decide
// over category. The error is always an *Error.
func (d *Decoder) GraphObject(category string, raw []byte, o Origin) (*eventv1.Event, error) {
	r := &d.record
	if err := r.load(raw); err != nil {
		return nil, err
	}
	r.origin, r.source = o, eventv1.Source_SOURCE_GRAPH
	r.wholePayload()
	r.graphKind(category)
	if r.tenant = cleanTenant(o.TenantID); r.tenant == "" {
		return nil, &Error{Reason: ReasonTenantMissing, Detail: "the Graph integration has no tenant id"}
	}
	return r.finish()
}

// graphKind takes the kind from what was asked of Graph, a category or a kind.
func (r *record) graphKind(asked string) {
	name, isKind := kindCategories[asked]
	if !isKind {
		name = asked
	}
	row, ok := lookUp(name)
	if !ok {
		row.kind = snakeCase(name)
		if name == "" {
			name = row.kind
		}
	}
	r.row, r.kind, r.category, r.unnamed = row, row.kind, name, false
}

// finish builds the event and lets go of the record.
func (r *record) finish() (*eventv1.Event, error) {
	e, err := r.build()
	// The decoder must not keep a large record alive until the next one comes.
	r.raw, r.text, r.payloadText, r.s, r.texts = nil, "", "", "", nil
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Stored is what a store keeps of an event besides its raw JSON: the part that redecoding must not change.
type Stored struct {
	// ID is the event's id.
	ID string
	// TenantID is the event's tenant.
	TenantID string
	// Integration is the connection that delivered the record.
	Integration string
	// Source says by which way the record came.
	Source eventv1.Source
	// Category is the event's category.
	Category string
	// ObservedAt is when the record was taken.
	ObservedAt time.Time
	// Version is the event's version.
	Version uint64
	// Notes are the event's notes. Those that its raw JSON no longer shows are kept.
	Notes []string
}

// Redecode rebuilds an event from its stored raw JSON and envelope. Id, tenant, integration, source,
// category, observed_at and version are those of s; everything else is decoded anew. The error is an
// *Error if the raw JSON cannot be decoded, and wraps ErrIDChanged if it gives another id than s.ID.
func (d *Decoder) Redecode(raw []byte, s Stored) (*eventv1.Event, error) {
	r := &d.record
	if err := r.load(raw); err != nil {
		return nil, err
	}
	r.origin = Origin{Integration: s.Integration, TenantID: s.TenantID, ObservedAt: s.ObservedAt}
	r.source = s.Source
	if s.Source == eventv1.Source_SOURCE_GRAPH {
		r.wholePayload()
		r.graphKind(s.Category)
	} else {
		r.findPayload()
		r.findKind(s.Category)
		if err := r.findTenant(); err != nil {
			return nil, err
		}
	}
	r.tenant = s.TenantID
	r.notes.addStored(s.Notes)
	e, err := r.finish()
	if err != nil {
		return nil, err
	}
	if e.GetId() != s.ID {
		return nil, fmt.Errorf("redecoding event %s: %w: %s", s.ID, ErrIDChanged, e.GetId())
	}
	e.Category = s.Category
	e.Version = s.Version
	return e, nil
}
