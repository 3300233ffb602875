package signins

import (
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// rowColumns are what an event is built again from.
const rowColumns = "id, tenant_id, integration, source, source_id, category, toUnixTimestamp64Milli(occurred_at)," +
	" toUnixTimestamp64Milli(observed_at), version, notes, raw"

// row is a stored sign-in.
type row struct {
	cursor
	event   *eventv1.Event
	matches bool // its newest version passes the filter
	size    int  // of the encoded event
}

// scan reads a row of rowsQuery and decodes its record. One that the decoder does not read any more
// comes back as its envelope.
func (s *Server) scan(rows driver.Rows, includeRaw bool) (row, error) {
	e := &eventv1.Event{Kind: kindSignIn}
	var (
		r        row
		observed int64
		source   string
		raw      string
	)
	err := rows.Scan(&e.Id, &e.TenantId, &e.Integration, &source, &e.SourceId, &e.Category,
		&r.at, &observed, &e.Version, &e.Notes, &raw, &r.matches)
	if err != nil {
		return row{}, fmt.Errorf("reading row: %w", err)
	}
	if !r.matches {
		return r, nil
	}
	r.id = e.GetId()
	e.Source = sourceOf(source)
	e.OccurredAt, e.ObservedAt = timestamppb.New(time.UnixMilli(r.at)), timestamppb.New(time.UnixMilli(observed))
	e.Raw = []byte(raw)
	r.event = s.decode(e)
	if !includeRaw {
		r.event.Raw = nil
	}
	r.size = proto.Size(r.event)
	return r, nil
}

// decode gives the envelope e its payload.
func (s *Server) decode(e *eventv1.Event) *eventv1.Event {
	decoded, err := decode.New(decode.DefaultLimits()).Redecode(e.GetRaw(), decode.Stored{
		ID: e.GetId(), TenantID: e.GetTenantId(), Integration: e.GetIntegration(), Source: e.GetSource(),
		Category: e.GetCategory(), ObservedAt: e.GetObservedAt().AsTime(), Version: e.GetVersion(), Notes: e.GetNotes(),
	})
	if err != nil {
		s.set.Metrics.Undecodable.WithLabelValues().Inc()
		return e
	}
	return decoded
}

func sourceOf(name string) eventv1.Source {
	switch name {
	case "graph":
		return eventv1.Source_SOURCE_GRAPH
	case "event_hub":
		return eventv1.Source_SOURCE_EVENT_HUB
	default:
		return eventv1.Source_SOURCE_UNSPECIFIED
	}
}
