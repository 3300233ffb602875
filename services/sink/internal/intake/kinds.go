package intake

import (
	"strconv"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Events is how events are stored.
func Events() Kind[*eventv1.Event] {
	set := tables.NewEvents()
	return Kind[*eventv1.Event]{
		New:    func() *eventv1.Event { return &eventv1.Event{} },
		Key:    (*eventv1.Event).GetId,
		Blob:   (*eventv1.Event).GetRawBlob,
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
		Blob:   (*eventv1.DeadLetter).GetRawBlob,
		Tables: all,
		Route:  func(*eventv1.DeadLetter) []*tables.Table[*eventv1.DeadLetter] { return all },
	}
}
