package decode_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// hubLine is what must come of a line of the corpus besides its typed fields.
type hubLine struct {
	dataType string
	// at is when it happened.
	at    string
	notes string
	// noID says that the record has no id: its event id derives from its bytes.
	noID bool
	// complete is false if the source withheld fields.
	incomplete bool
}

const (
	audit          = "audit"
	interactive    = "signin.interactive"
	nonInteractive = "signin.non_interactive"
	principal      = "signin.service_principal"
	fromEnvelope   = "occurred_at_from_envelope"
	fromShape      = "kind_from_shape"
)

var hubLines = map[string][]hubLine{
	"splunk_aad.ndjson": {
		{dataType: audit, at: "2024-02-08T21:49:53.764Z"},
		{dataType: audit, at: "2023-04-28T16:39:51.931Z"},
		{dataType: audit, at: "2023-06-20T15:54:13.242Z"},
		{dataType: audit, at: "2024-02-07T22:31:14.497Z"},
		{dataType: audit, at: "2023-07-26T13:45:54.158Z"},
		{dataType: audit, at: "2023-10-27T16:14:14.974Z"},
		{dataType: audit, at: "2023-07-11T00:01:35.025Z"},
		{dataType: audit, at: "2023-07-24T14:28:15.222Z"},
		{dataType: audit, at: "2023-07-13T00:29:59.51Z"},
		{dataType: audit, at: "2023-07-24T14:28:55.064Z"},
		{dataType: audit, at: "2023-07-26T13:44:59.037Z"},
		{dataType: interactive, at: "2023-10-24T20:01:11.949Z"},
		{dataType: audit, at: "2024-01-29T21:31:03.01Z"},
		{dataType: audit, at: "2023-10-26T19:22:20.281Z"},
		{dataType: audit, at: "2023-07-24T14:28:15.223Z"},
		{dataType: audit, at: "2023-01-30T21:11:30.869Z"},
	},
	"panther_signin_audit.ndjson": {
		{dataType: audit, at: "2025-01-15T14:20:35.456Z", noID: true, notes: fromShape},
		{dataType: interactive, at: "2025-01-15T09:30:45.123Z", noID: true, notes: fromEnvelope},
		{dataType: audit, at: "2025-01-15T09:30:25.123Z", noID: true, notes: fromShape},
		{dataType: audit, at: "2025-01-15T08:45:30.123Z", noID: true},
		{dataType: interactive, at: "2025-01-15T08:15:23.456Z", noID: true, notes: fromEnvelope},
		{dataType: interactive, at: "2025-01-15T10:45:12.345Z", noID: true, notes: fromEnvelope},
		{dataType: principal, at: "2023-07-27T13:59:53.691Z"},
		{dataType: nonInteractive, at: "2026-02-18T07:32:50.552Z", noID: true},
		{dataType: interactive, at: "2025-01-15T14:23:10.123Z", noID: true},
		{dataType: audit, at: "2024-09-23T14:33:09.049Z"},
		{dataType: audit, at: "2024-09-23T14:33:09.049Z"},
		{dataType: principal, at: "2023-07-26T22:58:30.983Z"},
		{dataType: interactive, at: "2023-07-21T05:03:52.16Z"},
		{dataType: audit, at: "2024-11-27T03:31:26.708Z"},
		{dataType: interactive, at: "2025-01-15T09:35:45.789Z", noID: true},
		{dataType: audit, at: "2024-11-27T02:22:58.727Z"},
		{dataType: audit, at: "2024-11-21T16:47:21.642Z"},
		{dataType: principal, at: "2023-07-26T22:58:30.983Z"},
		{dataType: principal, at: "2023-07-26T22:58:30.983Z"},
		{dataType: audit, at: "2024-12-16T16:32:16.087Z"},
		{dataType: audit, at: "2024-12-16T16:32:16.087Z"},
		{dataType: interactive, at: "2025-01-15T15:05:50.678Z", noID: true},
		{dataType: audit, at: "2025-01-15T15:05:25.678Z", noID: true, notes: fromShape},
		{dataType: nonInteractive, at: "2025-01-15T16:20:35.789Z", noID: true},
	},
}

// checkPayload compares every typed field with the record, by the reference's tables.
func checkPayload(tb testing.TB, e *eventv1.Event, record map[string]any) {
	tb.Helper()
	switch {
	case e.GetSignIn() != nil:
		signInRules.check(tb, "sign_in", e.GetSignIn().ProtoReflect(), record)
	case e.GetAudit() != nil:
		auditRules.check(tb, "audit", e.GetAudit().ProtoReflect(), record)
	case e.GetRiskDetection() != nil:
		riskDetectionRules.check(tb, "risk_detection", e.GetRiskDetection().ProtoReflect(), record)
	case e.GetRiskyUser() != nil:
		riskyUserRules.check(tb, "risky_user", e.GetRiskyUser().ProtoReflect(), record)
	default:
		require.Fail(tb, "no model", "%T", e.GetPayload())
	}
}

func TestCorpusOfEventHubRecords(t *testing.T) {
	ids := map[string]int{}
	for file, want := range hubLines {
		lines := hubCorpus(t, file)
		require.Len(t, lines, len(want))
		var d decode.Decoder
		for i, line := range lines {
			t.Run(file+":"+string(rune('a'+i)), func(t *testing.T) {
				e, err := d.HubRecord(line, origin())
				require.NoError(t, err)
				ids[e.GetId()]++
				record := asMap(t, line)
				id := asText(at(record, "properties/id"))
				w := want[i]
				require.Equal(t, w.dataType, decode.DataType(e))
				require.Equal(t, w.at, e.GetOccurredAt().AsTime().Format(time.RFC3339Nano))
				require.Equal(t, w.notes, strings.Join(e.GetNotes(), ","))
				require.Equal(t, w.noID, e.GetSourceId() == "")
				require.Equal(t, id, e.GetSourceId())
				require.Equal(t, strings.ToLower(asText(record["tenantid"])), e.GetTenantId())
				require.Equal(t, record["category"], e.GetCategory())
				require.Equal(t, eventv1.Source_SOURCE_EVENT_HUB, e.GetSource())
				require.Equal(t, bus.EventID(e.GetTenantId(), e.GetKind(), id, line), e.GetId())
				require.Equal(t, !w.incomplete, bus.ParseVersion(e.GetVersion()).Complete)
				require.Equal(t, line, e.GetRaw())
				record["countryonly"] = map[string]any{"countryorregion": record["location"]}
				checkPayload(t, e, record)
				checkRedecode(t, e)
			})
		}
	}
	repeated := 0
	for _, n := range ids {
		repeated += n - 1
	}
	require.Equal(t, 40, len(ids)+repeated)
	require.Equal(t, 4, repeated, "records whose id came before")
}

// TestCorpusAsMessages cuts the corpus as one body of lines, and as one message of records.
func TestCorpusAsMessages(t *testing.T) {
	var d decode.Decoder
	for file, want := range hubLines {
		lines := hubCorpus(t, file)
		for _, body := range [][]byte{
			bytes.Join(lines, []byte("\n")),
			slices.Concat([]byte(`{"records":[`), bytes.Join(lines, []byte(",")), []byte("]}")),
		} {
			parts := d.Split(body)
			require.Len(t, parts, len(want))
			for i, part := range parts {
				require.Nil(t, part.Err)
				require.Equal(t, lines[i], part.Raw)
			}
		}
	}
}

// TestCorpusTenantElsewhere takes the tenant away from real records: it must be found where else it stands.
func TestCorpusTenantElsewhere(t *testing.T) {
	var d decode.Decoder
	for _, line := range hubCorpus(t, "splunk_aad.ndjson") {
		var record map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(line, &record))
		tenant := strings.Trim(string(record["tenantId"]), `"`)
		delete(record, "tenantId")
		raw, err := json.Marshal(record)
		require.NoError(t, err)
		e, err := d.HubRecord(raw, origin())
		require.NoError(t, err)
		require.Equal(t, tenant, e.GetTenantId())
		require.Equal(t, []string{"tenant_from_resource_id"}, e.GetNotes())
	}
}

// graphFile is a documented answer of Graph and what its objects are.
type graphFile struct {
	path     string
	category string
	dataType string
	ats      []string
	// incomplete says that fields were withheld.
	incomplete bool
	// notes of all objects of the file.
	notes string
}

var graphFiles = []graphFile{
	{path: "beta/signin-list.2.json", category: "SignInLogs", dataType: interactive, ats: []string{"2020-03-13T19:15:41.619Z"}},
	{path: "beta/signin-get.2.json", category: "SignInLogs", dataType: interactive, ats: []string{"2020-03-13T19:15:41.619Z"}},
	{path: "beta/signin-list.4.json", category: "SignInLogs", dataType: interactive, ats: []string{"2018-11-06T18:48:33.852Z"}},
	{path: "beta/list_signins_page_with_nextlink.response.json", category: "SignInLogs", dataType: interactive, ats: []string{"2021-06-30T16:34:32Z"}},
	{path: "v1.0/signin-list.2.json", category: "SignInLogs", dataType: interactive, ats: []string{"2020-03-13T19:15:41.619Z"}},
	{path: "v1.0/signin-list.4.json", category: "SignInLogs", dataType: interactive, ats: []string{"2020-03-13T19:15:41.619Z"}},
	{path: "v1.0/signin-get.2.json", category: "SignInLogs", dataType: interactive, ats: []string{"2020-03-13T19:15:41.619Z"}},
	{path: "beta/directoryaudit-list.2.json", category: "AuditLogs", dataType: audit, ats: []string{"2018-01-09T21:20:02.721Z"}},
	{path: "beta/directoryaudit-get.2.json", category: "AuditLogs", dataType: audit, ats: []string{"2018-01-09T21:20:02.721Z"}},
	{path: "v1.0/directoryaudit-list.2.json", category: "AuditLogs", dataType: audit, ats: []string{"2018-01-09T21:20:02.721Z"}},
	{path: "v1.0/directoryaudit-get.2.json", category: "AuditLogs", dataType: audit, ats: []string{"2018-01-09T21:20:02.721Z"}},
	{path: "beta/riskdetection-get.2.json", category: "UserRiskEvents", dataType: "risk_detection", ats: []string{"2018-09-05T00:11:27.773Z"}, notes: "address_unreadable"},
	{path: "beta/riskdetection-get.4.json", category: "UserRiskEvents", dataType: "risk_detection", ats: []string{"2018-09-05T00:11:27.773Z"}, notes: "address_unreadable"},
	{path: "beta/riskdetection-list.2.json", category: "UserRiskEvents", dataType: "risk_detection", ats: []string{"2018-09-05T00:11:27.773Z"}, notes: "address_unreadable"},
	{path: "beta/riskdetection-list.4.json", category: "UserRiskEvents", dataType: "risk_detection", ats: []string{"2018-09-05T00:11:27.773Z"}, notes: "address_unreadable"},
	{path: "beta/riskdetection-list.6.json", category: "UserRiskEvents", dataType: "risk_detection", ats: []string{"2018-09-05T00:11:27.773Z"}, notes: "address_unreadable"},
	{path: "v1.0/riskdetection-get.2.json", category: "UserRiskEvents", dataType: "risk_detection", ats: []string{"2018-09-05T00:11:27.773Z"}, notes: "address_unreadable"},
	{path: "v1.0/riskdetection-list.2.json", category: "UserRiskEvents", dataType: "risk_detection", ats: []string{"2018-09-05T00:11:27.773Z"}, notes: "address_unreadable"},
	{path: "v1.0/list_riskdetections.response.json", category: "UserRiskEvents", dataType: "risk_detection", ats: []string{"2018-09-05T00:11:27.773Z"}, notes: "address_unreadable"},
	{path: "beta/riskyusers-get.2.json", category: "RiskyUsers", dataType: "risky_user", ats: []string{"2016-01-29T20:03:57.787Z"}},
	{path: "beta/riskyusers-get.4.json", category: "RiskyUsers", dataType: "risky_user", ats: []string{"2016-01-29T20:03:57.787Z"}},
	{path: "beta/riskyusers-list.2.json", category: "RiskyUsers", dataType: "risky_user", ats: []string{"2016-01-29T20:03:57.787Z"}},
	{path: "beta/riskyusers-list.4.json", category: "RiskyUsers", dataType: "risky_user", ats: []string{"2018-09-22T00:04:49.119Z"}},
	{path: "beta/riskyuser-list-history.2.json", category: "RiskyUsers", dataType: "risky_user", ats: []string{
		"2019-05-03T03:50:34.956Z", "2019-04-05T22:31:27Z", "2019-04-05T23:00:14.097Z",
	}},
	{path: "beta/riskyuser-list-history.4.json", category: "RiskyUsers", dataType: "risky_user", ats: []string{
		"2019-05-03T03:50:34.956Z", "2019-04-05T22:31:27Z", "2019-04-05T23:00:14.097Z",
	}},
	{path: "beta/riskyuserhistoryitem-get.2.json", category: "RiskyUsers", dataType: "risky_user", ats: []string{"2019-05-03T03:50:34.956Z"}},
	{
		path: "v1.0/list_serviceprincipalriskdetections.response.json", category: "ServicePrincipalRiskEvents",
		dataType: "service_principal_risk_detection", ats: []string{"2021-10-26T00:00:00Z"}, notes: "time_unreadable",
	},
	{path: "v1.0/riskyuser-get-riskyuserhistoryitem.2.json", category: "RiskyUsers", dataType: "risky_user", ats: []string{"2019-05-03T03:50:34.956Z"}},
}

func TestCorpusOfGraphObjects(t *testing.T) {
	corpusFolder(t)
	for _, file := range graphFiles {
		t.Run(file.path, func(t *testing.T) {
			var d decode.Decoder
			objects := graphCorpus(t, file.path)
			require.Len(t, objects, len(file.ats))
			for i, object := range objects {
				e, err := d.GraphObject(file.category, object, graphOrigin())
				require.NoError(t, err)
				require.Equal(t, file.dataType, decode.DataType(e))
				require.Equal(t, file.category, e.GetCategory())
				require.Equal(t, fallbackTenant, e.GetTenantId())
				require.Equal(t, eventv1.Source_SOURCE_GRAPH, e.GetSource())
				require.Equal(t, file.ats[i], e.GetOccurredAt().AsTime().Format(time.RFC3339Nano))
				require.Equal(t, file.notes, strings.Join(e.GetNotes(), ","))
				require.Equal(t, !file.incomplete, bus.ParseVersion(e.GetVersion()).Complete)
				require.Equal(t, []byte(object), e.GetRaw())
				checkPayload(t, e, map[string]any{"properties": asMap(t, object), "category": file.category})
				checkRedecode(t, e)
			}
		})
	}
}

// TestCorpusOfGraphWithoutTime shows that objects whose times are placeholders are refused with a reason.
func TestCorpusOfGraphWithoutTime(t *testing.T) {
	var d decode.Decoder
	for _, path := range []string{"v1.0/riskyuser-get.2.json", "v1.0/riskyuser-list.2.json", "v1.0/riskyuser-list-history.2.json"} {
		for _, object := range graphCorpus(t, path) {
			_, err := d.GraphObject("RiskyUsers", object, graphOrigin())
			requireReason(t, err, decode.ReasonTimeMissing)
		}
	}
}

func requireReason(tb testing.TB, err error, reason string) {
	tb.Helper()
	var fault *decode.Error
	require.ErrorAs(tb, err, &fault)
	require.Equal(tb, reason, fault.Reason)
	require.NotEmpty(tb, fault.Detail)
}
