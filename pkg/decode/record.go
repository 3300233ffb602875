package decode

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// record is one record on its way to an event.
type record struct {
	reader

	origin Origin
	source eventv1.Source
	// raw is the record's own copy of its bytes, text the same as valid UTF-8. Typed strings are parts
	// of text where no escape sequence had to be resolved.
	raw  []byte
	text string
	env  envelope

	// payloadText holds the payload from payloadAt on: the properties, or the whole record where it has
	// none (flat) or comes from Graph.
	payloadText string
	payloadAt   int
	flat        bool

	category string
	// row is the category's row in the table, with an empty name if it is in none.
	row categoryRow
	// unnamed says that the record tells no category.
	unnamed bool
	kind    string
	tenant  string

	// What the payload tells beside its typed fields.
	id          string
	created     instant
	activity    instant
	detected    instant
	riskUpdated instant
	withheld    bool

	// conditionTexts are sets of conditions written before; they outlive the record.
	conditionTexts map[uint64]string
}

// load takes a copy of the bytes and checks that they are one JSON object, repairing them if not.
func (r *record) load(raw []byte) *Error {
	r.raw = bytes.Clone(raw)
	first := r.scan()
	if first.fault == noFault {
		return nil
	}
	if repaired, ok := repair(raw); ok {
		r.raw = repaired
		if r.scan().fault == noFault {
			r.notes.add(noteRepaired)
			return nil
		}
	}
	return &Error{
		Reason: ReasonUnreadableJSON,
		Detail: "not a JSON object, at byte " + strconv.Itoa(first.at) + ": " + first.fault.String(),
	}
}

// placedFault is a fault and the byte where it is.
type placedFault struct {
	fault fault
	at    int
}

// scan looks at the record's bytes as text. Text and bytes share their memory, and so do the event's
// strings and its raw bytes: a second copy of every record would cost a third of the decoder's time.
func (r *record) scan() placedFault {
	r.notes = 0
	text := unsafe.String(unsafe.SliceData(r.raw), len(r.raw))
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
		r.notes.add(noteTextReplaced)
	}
	env, at, f := scanEnvelope(text)
	r.text, r.env = text, env
	return placedFault{fault: f, at: at}
}

// wholePayload makes the whole record the payload, as it is with Graph.
func (r *record) wholePayload() {
	r.payloadText, r.payloadAt, r.flat = r.text, skipSpace(r.text, 0), false
}

// findPayload finds the properties of a hub's record.
func (r *record) findPayload() {
	r.wholePayload()
	if !r.at(envProperties) {
		r.flat = true
		return
	}
	if r.peek() == '{' {
		r.payloadAt = r.i
		return
	}
	text := strings.TrimSpace(r.str())
	if !isValue(text) {
		repaired, _ := repair([]byte(text))
		if text = strings.ToValidUTF8(string(repaired), "\uFFFD"); !isValue(text) {
			r.flat = true
			r.notes.add(noteEmbeddedUnreadable)
			return
		}
		r.notes.add(notePropertiesRepaired)
	}
	if text[0] != '{' {
		r.flat = true
		return
	}
	r.payloadText, r.payloadAt = text, 0
}

// toPayload puts the reader at the payload.
func (r *record) toPayload() { r.s, r.i = r.payloadText, r.payloadAt }

// findKind decides the kind by the category, and for categories that are not in the table by what the
// record looks like: pipelines overwrite the category of audits with the audit's own.
func (r *record) findKind(category string) {
	r.category, r.unnamed = category, category == ""
	if row, ok := lookUp(category); ok {
		r.row, r.kind = row, row.kind
		return
	}
	r.row = categoryRow{}
	if kind := r.shape(category == ""); kind != "" {
		r.kind = kind
		r.notes.add(noteKindFromShape)
	} else {
		r.kind = snakeCase(category)
	}
	if r.unnamed {
		r.category = kindCategories[r.kind]
	}
	if r.category == "" {
		r.category = r.kind
	}
}

// findTenant takes the tenant from where the record names it.
func (r *record) findTenant() *Error {
	tenant := cleanTenant(r.outer(envTenantID))
	if tenant == "" {
		if tenant = tenantOfResource(r.outer(envResourceID)); tenant != "" {
			r.notes.add(noteTenantFromResource)
		}
	}
	if tenant == "" && !r.flat {
		if tenant = r.payloadTenant(); tenant != "" {
			r.notes.add(noteTenantFromProperties)
		}
	}
	if tenant == "" {
		if tenant = cleanTenant(r.origin.TenantID); tenant != "" {
			r.notes.add(noteTenantFromIntegration)
		}
	}
	if tenant == "" {
		return &Error{
			Reason: ReasonTenantMissing,
			Detail: "the record names no tenant (tenantId, resourceId, properties.tenantId) and the integration has not exactly one",
		}
	}
	r.tenant = tenant
	return nil
}

// cleanTenant writes a tenant id in lower case.
func cleanTenant(id string) string { return strings.ToLower(strings.TrimSpace(id)) }

func (r *record) payloadTenant() (tenant string) {
	r.toPayload()
	r.object(func(key []byte) {
		if string(key) == "tenantid" {
			tenant = cleanTenant(r.str())
			return
		}
		r.skip()
	})
	return tenant
}

// build decodes the payload and puts the event together.
func (r *record) build() (*eventv1.Event, *Error) {
	r.id, r.withheld, r.texts = "", false, nil
	r.created, r.activity, r.detected, r.riskUpdated = instant{}, instant{}, instant{}, instant{}

	// One allocation instead of three.
	block := &struct {
		event              eventv1.Event
		occurred, observed timestamppb.Timestamp
	}{}
	e := &block.event
	r.toPayload()
	r.decodePayload(e)
	occurred := r.occurred()
	if !occurred.known {
		return nil, &Error{Reason: ReasonTimeMissing, Detail: "no field of the record tells when it happened"}
	}
	block.occurred.Seconds = occurred.seconds
	block.occurred.Nanos = occurred.nanos - occurred.nanos%1_000_000
	block.observed.Seconds = r.origin.ObservedAt.Unix()
	block.observed.Nanos = int32(r.origin.ObservedAt.Nanosecond())
	e.SourceId = r.sourceID(occurred)
	e.Id = bus.EventID(r.tenant, r.kind, e.GetSourceId(), r.raw)
	e.TenantId = r.tenant
	e.Integration = r.origin.Integration
	e.Kind = r.kind
	e.Source = r.source
	e.Category = r.category
	e.OccurredAt = &block.occurred
	e.ObservedAt = &block.observed
	e.Raw = r.raw
	o := &r.origin
	e.Version = bus.Version(!r.withheld, o.Clock, o.Partition, o.Sequence, o.Index)
	if r.flat && e.GetOther() == nil && r.source == eventv1.Source_SOURCE_EVENT_HUB {
		r.notes.add(notePropertiesMissing)
	}
	e.Notes = r.notes.names()
	return e, nil
}

// decodePayload decodes the payload by the record's kind.
func (r *record) decodePayload(e *eventv1.Event) {
	switch r.kind {
	case KindSignIn:
		r.signIn(e)
	case KindAudit, KindCustomSecurityAttributeAudit:
		r.audit(e)
	case KindRiskDetection, KindServicePrincipalRiskDetection:
		r.riskDetection(e)
	case KindRiskyUser:
		r.riskyUser(e)
	case KindProvisioning:
		r.provisioning(e)
	default:
		r.other(e)
	}
}

// occurred returns when the fact happened. Which field counts for a kind is fixed for ever: the event's
// place in the store hangs on it.
func (r *record) occurred() instant {
	candidates := [4]instant{r.created, r.activity, r.detected, r.riskUpdated}
	modelled := true
	switch r.kind {
	case KindSignIn:
		candidates = [4]instant{r.created}
	case KindRiskDetection, KindServicePrincipalRiskDetection:
		candidates = [4]instant{r.detected, r.activity}
	case KindRiskyUser, KindRiskyServicePrincipal:
		candidates = [4]instant{r.riskUpdated}
	case KindAudit, KindCustomSecurityAttributeAudit, KindProvisioning:
		candidates = [4]instant{r.activity}
	default:
		modelled = false
	}
	for _, t := range candidates {
		if t.known {
			return t
		}
	}
	if r.source != eventv1.Source_SOURCE_EVENT_HUB || !r.at(envTime) {
		return instant{}
	}
	t := r.instant()
	if modelled {
		r.notes.add(noteOccurredFromEnvelope)
	}
	return t
}

// sourceID returns what the event id derives from. A risky user's id names the user, not the fact: each
// state is a fact of its own, named by id and time. Of categories without a model nobody knows what
// their id names; empty leaves it to the record's bytes, so that no two records can be taken for one.
func (r *record) sourceID(occurred instant) string {
	switch r.kind {
	case KindSignIn, KindAudit, KindCustomSecurityAttributeAudit, KindProvisioning,
		KindRiskDetection, KindServicePrincipalRiskDetection:
		return r.id
	case KindRiskyUser, KindRiskyServicePrincipal:
		if r.id != "" {
			return r.id + "@" + strconv.FormatInt(occurred.milliseconds(), 10)
		}
	}
	return ""
}
