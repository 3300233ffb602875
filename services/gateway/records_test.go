package gateway_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Tenants of these tests.
const (
	tenantA = "aaaaaaaa-0000-4000-8000-000000000001"
	tenantB = "bbbbbbbb-0000-4000-8000-000000000002"
)

// present is the time that the tests' records are around.
func present() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

// record is what tests vary of a sign-in.
type record struct {
	tenant, id, category  string
	at                    time.Time
	userID, user          string
	app, servicePrincipal string
	ip, country           string
	code                  int
	enqueued              time.Time // the version's clock; zero: at
}

// event decodes the record as the streamer would.
func (r record) event(tb testing.TB) *eventv1.Event {
	tb.Helper()
	if r.tenant == "" {
		r.tenant = tenantA
	}
	if r.category == "" {
		r.category = "SignInLogs"
	}
	if r.enqueued.IsZero() {
		r.enqueued = r.at
	}
	raw, err := json.Marshal(map[string]any{
		"time": r.at.Format(time.RFC3339Nano), "category": r.category, "tenantId": r.tenant,
		"operationName": "Sign-in activity",
		"properties": map[string]any{
			"id": r.id, "createdDateTime": r.at.Format(time.RFC3339Nano),
			"userId": r.userID, "userPrincipalName": r.user, "appId": r.app, "servicePrincipalId": r.servicePrincipal,
			"ipAddress": r.ip, "location": map[string]any{"countryOrRegion": r.country},
			"status": map[string]any{"errorCode": r.code},
		},
	})
	require.NoError(tb, err)
	event, err := decode.New(decode.DefaultLimits()).HubRecord(raw, decode.Origin{
		Integration: "contoso", ObservedAt: r.at.Add(time.Minute), Clock: r.enqueued,
	})
	require.NoError(tb, err)
	return event
}

// recordID makes the nth source id.
func recordID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }
