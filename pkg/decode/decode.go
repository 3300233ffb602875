// Package decode turns the JSON of Event Hub messages and of Microsoft Graph objects into events.
//
// It reads nothing but the bytes it is given and writes nothing: every function is pure, so the same
// bytes and the same [Origin] give the same event on every machine. It is lenient where real records
// vary (case of keys, forms of dates, numbers and JSON inside strings) and strict about JSON itself.
// It never drops a byte: what it cannot read comes back with an [Error] that says why, and that error
// never quotes the record.
package decode

import "time"

// MiB is a mebibyte.
const MiB = 1 << 20

// Limits bound what one message may cost. A zero field means its default.
type Limits struct {
	// MaxRecords is the most records taken out of one message. The bytes of the rest come back as one
	// Record with an Error. Default 10,000.
	MaxRecords int
	// MaxInflated is the size in bytes up to which a gzip body is unpacked. Default 64 MiB.
	MaxInflated int64
}

// DefaultLimits returns the bounds that a zero Limits stands for.
func DefaultLimits() Limits {
	return Limits{MaxRecords: 10_000, MaxInflated: 64 * MiB}
}

// Origin says where a record came from: what the record itself does not tell.
type Origin struct {
	// Integration names the configured connection.
	Integration string
	// TenantID is the tenant of a Graph integration, and of its records. For a hub it is the fallback
	// for records that name no tenant; leave it empty unless the hub carries exactly one tenant.
	TenantID string
	// ObservedAt is when Entraflow took the record.
	ObservedAt time.Time
	// Clock is the source's clock: the hub's enqueued time, or the Date of Graph's answer.
	Clock time.Time
	// Partition is the hub's partition; 0 for Graph.
	Partition int
	// Sequence is the message's sequence number in its partition; 0 for Graph.
	Sequence int64
	// Index is the record's place in its message or page.
	Index int
}

// Record is a part of a message: either one record, or with Err a part that cannot be read.
type Record struct {
	// Raw is the part's exact bytes. It shares memory with the body given to Split (with the unpacked
	// body if that was gzip) and is valid as long as that is not written to.
	Raw []byte
	// Index is the part's place in the message, from 0.
	Index int
	// Err says why the part cannot be read. Nil: Raw is a record to give to HubRecord.
	Err *Error
}

// Reasons why something cannot be decoded, as they stand in DeadLetter.reason.
const (
	// ReasonUnreadableJSON means that the bytes are no JSON, even after repair.
	ReasonUnreadableJSON = "unreadable_json"
	// ReasonTenantMissing means that neither record nor integration names a tenant.
	ReasonTenantMissing = "tenant_missing"
	// ReasonTimeMissing means that the record tells no readable time.
	ReasonTimeMissing = "time_missing"
	// ReasonPayloadInvalid means that the JSON is sound but is no record.
	ReasonPayloadInvalid = "payload_invalid"
	// ReasonTooManyRecords means that a message holds more records than Limits.MaxRecords.
	ReasonTooManyRecords = "too_many_records"
	// ReasonChangeNotification means that the part is a Graph change notification, not a log record.
	ReasonChangeNotification = "change_notification"
)

// Error is a permanent fault of a record: the same bytes will fail again.
type Error struct {
	// Reason is one of the Reason constants.
	Reason string
	// Detail says the same to a person. It holds no part of the record.
	Detail string
}

// Error implements error.
func (e *Error) Error() string { return e.Reason + ": " + e.Detail }

// Decoder decodes records. It keeps buffers between calls: it may be used again and again, but by one
// goroutine at a time. The zero value works with DefaultLimits.
//
// An event shares no memory with the bytes it was decoded from. Its raw bytes and its strings share one
// copy of the record among them: raw must not be written to, and whoever keeps a single string of an
// event for long should clone it.
type Decoder struct {
	limits Limits
	record record
}

// New returns a Decoder with the given bounds.
func New(limits Limits) *Decoder { return &Decoder{limits: limits} }
