package tables

import (
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// StoredColumns is the SELECT list that StoredRow.Scan reads, of any table of events.
const StoredColumns = "id, tenant_id, integration, source, category, toUnixTimestamp64Milli(observed_at), version, notes," +
	" toUnixTimestamp64Milli(occurred_at), toUnixTimestamp64Milli(stored_at), stream_sequence, raw"

// StoredRow is what an event is built again from: its envelope and its record.
type StoredRow struct {
	decode.Stored
	// OccurredAt is part of the row's key and never changes.
	OccurredAt time.Time
	StoredAt   time.Time
	Sequence   uint64
	Raw        string
}

// Scan reads the columns of StoredColumns, and after them those that the caller selected into more.
func (r *StoredRow) Scan(rows driver.Rows, more ...any) error {
	var source string
	var observed, occurred, stored int64
	into := []any{
		&r.ID, &r.TenantID, &r.Integration, &source, &r.Category, &observed, &r.Version, &r.Notes,
		&occurred, &stored, &r.Sequence, &r.Raw,
	}
	if err := rows.Scan(append(into, more...)...); err != nil {
		return fmt.Errorf("reading stored event: %w", err)
	}
	r.Source = sourceOf(source)
	r.ObservedAt, r.OccurredAt, r.StoredAt = time.UnixMilli(observed), time.UnixMilli(occurred), time.UnixMilli(stored)
	return nil
}

// Event decodes the record anew. Id, version, occurred_at and what else is not in the record are
// those of the row. For its errors see decode.Decoder.Redecode.
func (r *StoredRow) Event(d *decode.Decoder) (*eventv1.Event, error) {
	event, err := d.Redecode([]byte(r.Raw), r.Stored)
	if err != nil {
		return nil, err
	}
	event.OccurredAt = timestamppb.New(r.OccurredAt)
	return event, nil
}

// Row is the row of an event that was decoded anew: stored when the old one was.
func (r *StoredRow) Row(event *eventv1.Event) Row[*eventv1.Event] {
	return Row[*eventv1.Event]{Message: event, Sequence: r.Sequence, StoredAt: r.StoredAt}
}

func sourceOf(name string) eventv1.Source {
	switch name {
	case sourceGraph:
		return eventv1.Source_SOURCE_GRAPH
	case sourceEventHub:
		return eventv1.Source_SOURCE_EVENT_HUB
	default:
		return eventv1.Source_SOURCE_UNSPECIFIED
	}
}
