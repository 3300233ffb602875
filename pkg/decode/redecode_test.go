package decode_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

func stored(e *eventv1.Event) decode.Stored {
	return decode.Stored{
		ID:          e.GetId(),
		TenantID:    e.GetTenantId(),
		Integration: e.GetIntegration(),
		Source:      e.GetSource(),
		Category:    e.GetCategory(),
		ObservedAt:  e.GetObservedAt().AsTime(),
		Version:     e.GetVersion(),
		Notes:       e.GetNotes(),
	}
}

// checkRedecode shows that an event comes out of its stored part as it was.
func checkRedecode(tb testing.TB, e *eventv1.Event) {
	tb.Helper()
	var d decode.Decoder
	again, err := d.Redecode(e.GetRaw(), stored(e))
	require.NoError(tb, err)
	require.Empty(tb, cmp.Diff(e, again, protocmp.Transform()))
}

func TestRedecodeKeepsWhatIsStored(t *testing.T) {
	var d decode.Decoder
	// No tenant of its own, a category that the decoder found out, and JSON that had to be repaired.
	raw := []byte("{'activityDisplayName':'Add user','loggedByService':'Core Directory','activityDateTime':'2026-01-01T00:00:00Z'} junk")
	e, err := d.HubRecord(raw, graphOrigin())
	require.NoError(t, err)
	require.Equal(t, []string{"json_repaired", "kind_from_shape", "tenant_from_integration", "properties_missing"}, e.GetNotes())
	require.Equal(t, "AuditLogs", e.GetCategory())
	checkRedecode(t, e)
}

func TestRedecodeRefusesAnotherID(t *testing.T) {
	var d decode.Decoder
	raw := []byte(`{"time":"2026-01-01T00:00:00Z","category":"AuditLogs","tenantId":"t","properties":{"id":"a"}}`)
	e, err := d.HubRecord(raw, origin())
	require.NoError(t, err)
	row := stored(e)
	row.ID = "00000000000000000000000000000000"
	_, err = d.Redecode(raw, row)
	require.ErrorIs(t, err, decode.ErrIDChanged)
	_, err = d.Redecode([]byte("{"), stored(e))
	requireReason(t, err, decode.ReasonUnreadableJSON)
}
