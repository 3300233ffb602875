package search

import (
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// row is a stored event.
type row struct {
	cursor
	event   *eventv1.Event
	matches bool // its newest version passes the filter
	size    int  // of the encoded event
}

// scan reads a row of rowsQuery and decodes its record.
func (s *search) scan(rows driver.Rows) (row, error) {
	var (
		r      row
		stored tables.StoredRow
	)
	if err := stored.Scan(rows, &r.matches); err != nil || !r.matches {
		return r, err
	}
	r.cursor = cursor{at: stored.OccurredAt.UnixMilli(), id: stored.ID}
	r.event = s.decode(&stored)
	if !s.includeRaw {
		r.event.Raw = nil
	}
	r.size = proto.Size(r.event)
	return r, nil
}

// decode returns the stored event: the bare envelope if the decoder does not read its record any more.
func (s *search) decode(stored *tables.StoredRow) *eventv1.Event {
	event, err := stored.Event(&s.decoder)
	if err == nil {
		return event
	}
	s.server.set.Metrics.Undecodable.WithLabelValues().Inc()
	return &eventv1.Event{
		Id: stored.ID, TenantId: stored.TenantID, Integration: stored.Integration, Kind: s.filter.kind,
		Source: stored.Source, Category: stored.Category, Version: stored.Version, Notes: stored.Notes,
		OccurredAt: timestamppb.New(stored.OccurredAt), ObservedAt: timestamppb.New(stored.ObservedAt),
		Raw: []byte(stored.Raw),
	}
}
