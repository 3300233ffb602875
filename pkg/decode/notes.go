package decode

import "slices"

// noteSet is the set of remarks found while decoding one record.
type noteSet uint16

const (
	noteRepaired noteSet = 1 << iota
	noteTextReplaced
	noteOccurredFromEnvelope
	noteKindFromShape
	noteTenantFromResource
	noteTenantFromProperties
	noteTenantFromIntegration
	noteAddressUnreadable
	noteEmbeddedUnreadable
	notePropertiesMissing
	noteTimeUnreadable
	notePropertiesRepaired
)

// noteNames are the notes as they stand in Event.notes, in this order.
var noteNames = [...]string{
	// The JSON was damaged; Event.raw is the repaired text.
	"json_repaired",
	// Bytes that are no UTF-8, or half a surrogate pair, became U+FFFD in the typed fields.
	"text_replaced",
	"occurred_at_from_envelope",
	// The category is unknown; what the record looks like decided.
	"kind_from_shape",
	"tenant_from_resource_id",
	"tenant_from_properties",
	"tenant_from_integration",
	// An address field held something that is no address.
	"address_unreadable",
	// A string field looked like JSON and was none; what it should hold is absent.
	"embedded_json_unreadable",
	// The record has no properties; its fields were looked for beside the envelope's.
	"properties_missing",
	// A field for a date and time held something else.
	"time_unreadable",
	// The properties are JSON inside a string, and that had to be repaired; Event.raw is as it came.
	"properties_repaired",
}

func (n *noteSet) add(note noteSet) { *n |= note }

// addStored adds those of an event's stored notes that its raw JSON and envelope no longer show.
func (n *noteSet) addStored(notes []string) {
	for i, name := range noteNames {
		if note := noteSet(1) << i; note&(noteRepaired|noteKindFromShape) != 0 && slices.Contains(notes, name) {
			n.add(note)
		}
	}
}

// names returns the notes, nil if there are none.
func (n *noteSet) names() []string {
	if *n == 0 {
		return nil
	}
	var names []string
	for i, name := range noteNames {
		if *n&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}
