package intake

import (
	"strconv"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Events is how events are stored.
func Events() Kind[*eventv1.Event] {
	set := tables.NewEvents()
	return Kind[*eventv1.Event]{
		New:    func() *eventv1.Event { return &eventv1.Event{} },
		Key:    (*eventv1.Event).GetId,
		Blob:   outside[*eventv1.Event],
		Tables: set.All(),
		Route:  set.For,
	}
}

// Objects is how objects of the directory are stored. The key names a state: an object comes again and again.
func Objects() Kind[*directoryv1.Object] {
	set := tables.NewDirectory()
	return Kind[*directoryv1.Object]{
		New: func() *directoryv1.Object { return &directoryv1.Object{} },
		Key: func(o *directoryv1.Object) string {
			return o.BusSubject() + "." + strconv.FormatUint(o.GetVersion(), 16)
		},
		Tables: set.All(),
		Route:  set.For,
	}
}

// DeadLetters is how dead letters are stored.
func DeadLetters() Kind[*eventv1.DeadLetter] {
	table := tables.NewDeadLetters()
	all := []*tables.Table[*eventv1.DeadLetter]{table}
	return Kind[*eventv1.DeadLetter]{
		New:    func() *eventv1.DeadLetter { return &eventv1.DeadLetter{} },
		Key:    (*eventv1.DeadLetter).GetId,
		Blob:   outside[*eventv1.DeadLetter],
		Tables: all,
		Route:  func(*eventv1.DeadLetter) []*tables.Table[*eventv1.DeadLetter] { return all },
	}
}

// AuditEntries is how entries of the audit log are stored.
func AuditEntries() Kind[*controlv1.AuditEntry] {
	table := tables.NewAuditLog()
	all := []*tables.Table[*controlv1.AuditEntry]{table}
	return Kind[*controlv1.AuditEntry]{
		New:    func() *controlv1.AuditEntry { return &controlv1.AuditEntry{} },
		Key:    (*controlv1.AuditEntry).GetId,
		Tables: all,
		Route:  func(*controlv1.AuditEntry) []*tables.Table[*controlv1.AuditEntry] { return all },
	}
}

// outside is where the raw bytes of a message are, unless it has them itself.
func outside[M interface {
	GetRaw() []byte
	GetRawBlob() *eventv1.BlobReference
}](message M) *eventv1.BlobReference {
	if len(message.GetRaw()) > 0 {
		return nil
	}
	return message.GetRawBlob()
}
