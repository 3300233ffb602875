// Package tables says how the messages of the streams become rows: which table a message belongs to,
// which columns it has, how their values are taken from it, and how an event is built again from a
// row. A column is added here in one line and in a migration in another; a test compares the two.
//
// It writes the rows it is given, with Inserter, and reads nothing by itself. It never changes a
// message.
package tables

import (
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Names of tables.
const (
	SignIns           = "sign_ins"
	Audits            = "audits"
	RiskDetections    = "risk_detections"
	RiskyUsers        = "risky_users"
	RiskyUsersCurrent = "risky_users_current"
	Provisioning      = "provisioning"
	OtherEvents       = "other_events"
	DeadLetters       = "dead_letters"
	AuditLog          = "audit_log"
)

// Row is a message with what the store keeps beside it.
type Row[M any] struct {
	Message M
	// Sequence is the message's sequence in its stream.
	Sequence uint64
	// Raw is the message's raw bytes if they stand in a blob; nil takes those of the message itself.
	Raw []byte
	// StoredAt is when the message was taken to be stored; retention counts from here.
	StoredAt time.Time
}

// Table says how messages M become rows of one table. It does not change and may be shared.
type Table[M any] struct {
	name    string
	sources []source[M]
	// compare orders rows as the table's key does.
	compare func(a, b Row[M]) int
}

// Name is the table's name.
func (t *Table[M]) Name() string { return t.name }

// Columns are the columns that an Appender fills, in its order, with the types the values are sent
// as; give them to clickhouse.WithColumnNamesAndTypes.
func (t *Table[M]) Columns() []clickhouse.ColumnNameAndType {
	columns := make([]clickhouse.ColumnNameAndType, 0, len(t.sources))
	for _, s := range t.sources {
		columns = append(columns, clickhouse.ColumnNameAndType{Name: s.name, Type: s.sent})
	}
	return columns
}

// Insert is the statement that takes what an Appender filled.
func (t *Table[M]) Insert() string {
	names := make([]string, 0, len(t.sources))
	for _, s := range t.sources {
		names = append(names, "`"+s.name+"`")
	}
	return "INSERT INTO " + t.name + " (" + strings.Join(names, ", ") + ")"
}

// Appender returns a new Appender of the table.
func (t *Table[M]) Appender() *Appender[M] {
	fillers := make([]filler[M], 0, len(t.sources))
	for _, s := range t.sources {
		fillers = append(fillers, s.make())
	}
	return &Appender[M]{fillers: fillers}
}

// chunkRows is how many rows are appended to all columns before the next: few enough to stay in the
// processor's cache while a hundred columns are taken from them.
const chunkRows = 32

// Appender appends rows to the columns of an INSERT. It keeps buffers and has one user at a time.
type Appender[M any] struct{ fillers []filler[M] }

// Append appends rows to into, which are the columns of a batch of Table.Insert. After an error the
// columns have different lengths and must be thrown away.
func (a *Appender[M]) Append(into []column.Interface, rows []Row[M]) error {
	for len(rows) > 0 {
		chunk := rows[:min(chunkRows, len(rows))]
		for i, f := range a.fillers {
			if err := f.fill(into[i], chunk); err != nil {
				return err
			}
		}
		rows = rows[len(chunk):]
	}
	return nil
}

// Events are the tables of events.
type Events struct {
	signIns, audits, riskDetections, riskyUsers, riskyUsersCurrent, provisioning, other *Table[*eventv1.Event]
}

// NewEvents returns the tables of events.
func NewEvents() Events {
	event := func(name string, payload []source[*eventv1.Event]) *Table[*eventv1.Event] {
		return &Table[*eventv1.Event]{name: name, sources: append(envelopeColumns(), payload...), compare: compareEvents}
	}
	return Events{
		signIns:           event(SignIns, signInColumns()),
		audits:            event(Audits, auditColumns()),
		riskDetections:    event(RiskDetections, riskDetectionColumns()),
		riskyUsers:        event(RiskyUsers, riskyUserColumns()),
		riskyUsersCurrent: event(RiskyUsersCurrent, riskyUserColumns()),
		provisioning:      event(Provisioning, provisioningColumns()),
		other:             event(OtherEvents, otherColumns()),
	}
}

// For returns the tables that keep e, by its payload: its events' table first, then tables of state.
func (t Events) For(e *eventv1.Event) []*Table[*eventv1.Event] {
	switch e.GetPayload().(type) {
	case *eventv1.Event_SignIn:
		return []*Table[*eventv1.Event]{t.signIns}
	case *eventv1.Event_Audit:
		return []*Table[*eventv1.Event]{t.audits}
	case *eventv1.Event_RiskDetection:
		return []*Table[*eventv1.Event]{t.riskDetections}
	case *eventv1.Event_RiskyUser:
		return []*Table[*eventv1.Event]{t.riskyUsers, t.riskyUsersCurrent}
	case *eventv1.Event_Provisioning:
		return []*Table[*eventv1.Event]{t.provisioning}
	default:
		return []*Table[*eventv1.Event]{t.other}
	}
}

// All returns every table of events.
func (t Events) All() []*Table[*eventv1.Event] {
	return []*Table[*eventv1.Event]{
		t.signIns, t.audits, t.riskDetections, t.riskyUsers, t.riskyUsersCurrent, t.provisioning, t.other,
	}
}
