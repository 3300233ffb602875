package gateway_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/decode"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// happening is what tests vary of an event that is no sign-in.
type happening struct {
	tenant, id, category string
	at                   time.Time
	properties           map[string]any
	clock                time.Time // the version's; zero: at
}

// event decodes the happening as the streamer would.
func (h happening) event(tb testing.TB) *eventv1.Event {
	tb.Helper()
	if h.tenant == "" {
		h.tenant = tenantA
	}
	if h.clock.IsZero() {
		h.clock = h.at
	}
	at := h.at.Format(time.RFC3339Nano)
	properties := map[string]any{
		"id": h.id, "activityDateTime": at, "detectedDateTime": at, "riskLastUpdatedDateTime": at,
	}
	maps.Copy(properties, h.properties)
	raw, err := json.Marshal(map[string]any{"time": at, "category": h.category, "tenantId": h.tenant, "properties": properties})
	require.NoError(tb, err)
	event, err := decode.New(decode.DefaultLimits()).HubRecord(raw, decode.Origin{
		Integration: "contoso", ObservedAt: h.at.Add(time.Minute), Clock: h.clock,
	})
	require.NoError(tb, err)
	require.Equal(tb, h.at, event.GetOccurredAt().AsTime())
	return event
}

// audited are the properties of an audit.
func audited(activity, initiator string, targets ...map[string]any) map[string]any {
	return map[string]any{
		"activityDisplayName": activity, "result": "success", "targetResources": targets,
		"initiatedBy": map[string]any{"user": map[string]any{"id": "Id-Of-" + initiator, "userPrincipalName": initiator}},
	}
}

// keep stores events as the sink does, each batch as a part of its own.
func (w *world) keep(tb testing.TB, events ...*eventv1.Event) {
	tb.Helper()
	stored := tables.NewEvents()
	rows := map[*tables.Table[*eventv1.Event]][]tables.Row[*eventv1.Event]{}
	for _, e := range events {
		for _, table := range stored.For(e) {
			rows[table] = append(rows[table], tables.Row[*eventv1.Event]{Message: e, Sequence: 1, StoredAt: time.Now()})
		}
	}
	for table, some := range rows {
		require.NoError(tb, tables.NewInserter(w.store.Conn(), table).Insert(tb.Context(), some))
	}
}

// searchEvents returns all pages of what req asks for.
func (w *world) searchEvents(t *testing.T, req *controlv1.SearchEventsRequest) []*eventv1.Event {
	t.Helper()
	client := controlv1.NewEventServiceClient(w.conn)
	req.IncludeRaw = true
	var found []*eventv1.Event
	for pages := 0; ; pages++ {
		require.Less(t, pages, 10_000, "paging does not end")
		answer, err := client.SearchEvents(t.Context(), req)
		require.NoError(t, err)
		if req.GetPageSize() > 0 {
			require.LessOrEqual(t, len(answer.GetEvents()), int(req.GetPageSize()))
		}
		found = append(found, answer.GetEvents()...)
		if answer.GetNextPageToken() == "" {
			return found
		}
		require.NotEqual(t, req.GetPageToken(), answer.GetNextPageToken(), "a page must go on")
		req.PageToken = answer.GetNextPageToken()
	}
}
