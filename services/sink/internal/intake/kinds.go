package intake

import (
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Events is how events are stored.
func Events() Kind[*eventv1.Event] {
	set := tables.NewEvents()
	return Kind[*eventv1.Event]{
		New:    func() *eventv1.Event { return &eventv1.Event{} },
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
		Tables: all,
		Route:  func(*eventv1.DeadLetter) []*tables.Table[*eventv1.DeadLetter] { return all },
	}
}
