package entractl_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

func TestEventsAsTables(t *testing.T) {
	for kind, tc := range map[string]struct {
		event *eventv1.Event
		want  string
	}{
		"audit": {
			&eventv1.Event{Payload: &eventv1.Event_Audit{Audit: &eventv1.Audit{
				Activity: "Add member to group", Result: "success",
				Initiator: &eventv1.AuditInitiator{UserPrincipalName: "ada@example.com"},
				Targets:   []*eventv1.AuditTarget{{UserPrincipalName: "eve@example.com"}, {DisplayName: "St\x1b[31maff"}, {Id: "id"}},
			}}},
			"TIME                      ACTIVITY             RESULT   BY               TARGETS\n" +
				"2026-11-24T12:01:00.123Z  Add member to group  success  ada@example.com  eve@example.com, St?[31maff, id\n",
		},
		"risk_detection": {
			&eventv1.Event{Payload: &eventv1.Event_RiskDetection{RiskDetection: &eventv1.RiskDetection{
				RiskEventType: "unfamiliarFeatures", RiskLevel: "high", RiskState: "atRisk", UserId: "u", IpAddress: "203.0.113.7",
			}}},
			"TIME                      TYPE                LEVEL  STATE   USER  IP\n" +
				"2026-11-24T12:01:00.123Z  unfamiliarFeatures  high   atRisk  u     203.0.113.7\n",
		},
		"risky_user": {
			&eventv1.Event{Payload: &eventv1.Event_RiskyUser{RiskyUser: &eventv1.RiskyUser{UserPrincipalName: "ada@example.com", RiskLevel: "low"}}},
			"TIME                      USER             LEVEL  STATE\n" +
				"2026-11-24T12:01:00.123Z  ada@example.com  low    -\n",
		},
		"provisioning": {
			&eventv1.Event{Payload: &eventv1.Event_Provisioning{Provisioning: &eventv1.Provisioning{
				Action: "create", Status: "success", SourceIdentity: &eventv1.ProvisionedIdentity{DisplayName: "Ada"},
			}}},
			"TIME                      ACTION  STATUS   SOURCE  TARGET\n" +
				"2026-11-24T12:01:00.123Z  create  success  Ada     -\n",
		},
		"graph_activity": {
			&eventv1.Event{Category: "MicrosoftGraphActivityLogs", Payload: &eventv1.Event_Other{Other: &eventv1.Other{Operation: "GET", Result: "200"}}},
			"TIME                      CATEGORY                    OPERATION  RESULT\n" +
				"2026-11-24T12:01:00.123Z  MicrosoftGraphActivityLogs  GET        200\n",
		},
	} {
		t.Run(kind, func(t *testing.T) {
			s := newServer(t)
			tc.event.Kind, tc.event.OccurredAt = kind, at(1)
			s.events = func(req *controlv1.SearchEventsRequest) (*controlv1.SearchEventsResponse, error) {
				require.Equal(t, kind, req.GetKind())
				return &controlv1.SearchEventsResponse{Events: []*eventv1.Event{tc.event}}, nil
			}
			require.Equal(t, result{stdout: tc.want}, s.run(t.Context(), "events", "--kind", kind))
		})
	}
}

func TestEveryFlagReachesTheSearchOfEvents(t *testing.T) {
	s := newServer(t)
	var got *controlv1.SearchEventsRequest
	s.events = func(req *controlv1.SearchEventsRequest) (*controlv1.SearchEventsResponse, error) {
		got = req
		return &controlv1.SearchEventsResponse{}, nil
	}
	require.Equal(t, result{stdout: "[]\n"}, s.run(t.Context(), "events", "--kind", "audit", "--tenant", "a,b", "--tenant", "c",
		"--user", "ada@example.com", "--activity", "Update user", "--since", "2026-11-24", "--until", "2026-11-24T12:00:00+01:00",
		"--limit", "7", "--raw", "-o", "json"))
	require.Empty(t, gocmp.Diff(&controlv1.SearchEventsRequest{
		Kind: "audit", TenantIds: []string{"a", "b", "c"}, User: "ada@example.com", Activity: "Update user",
		Start:    timestamppb.New(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)),
		End:      timestamppb.New(time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)),
		PageSize: 7, IncludeRaw: true,
	}, got, protocmp.Transform()))
}

func TestPagesOfEventsUpToTheLimit(t *testing.T) {
	s := newServer(t)
	var asked []string
	s.events = func(req *controlv1.SearchEventsRequest) (*controlv1.SearchEventsResponse, error) {
		asked = append(asked, fmt.Sprintf("%s %d", req.GetPageToken(), req.GetPageSize()))
		return &controlv1.SearchEventsResponse{
			Events: make([]*eventv1.Event, req.GetPageSize()), NextPageToken: fmt.Sprint(len(asked)),
		}, nil
	}
	got := s.run(t.Context(), "events", "--kind", "audit", "-o", "ndjson", "--limit", "1200")
	require.Equal(t, 0, got.code, got.stderr)
	require.Equal(t, 1200, strings.Count(got.stdout, "\n"))
	require.Equal(t, []string{" 1000", "1 200"}, asked)
}
