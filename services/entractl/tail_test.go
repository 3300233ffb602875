package entractl_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

func numbered(from, to int) []*eventv1.Event {
	var events []*eventv1.Event
	for n := from; n <= to; n++ {
		events = append(events, &eventv1.Event{Id: fmt.Sprint(n)})
	}
	return events
}

func TestTailGoesOnAfterABreak(t *testing.T) {
	s := newServer(t)
	var begins []string
	s.subscribe = func(req *controlv1.SubscribeRequest, stream grpc.ServerStreamingServer[controlv1.SubscribeResponse]) error {
		begins = append(begins, req.GetResumeToken())
		switch len(begins) {
		case 1:
			_ = stream.Send(&controlv1.SubscribeResponse{ResumeToken: "0"})
			_ = stream.Send(&controlv1.SubscribeResponse{Events: numbered(1, 2), ResumeToken: "2"})
			return refuse(codes.ResourceExhausted, "the client left responses unread", "")
		case 2:
			return refuse(codes.Unavailable, "the server is stopping", "")
		case 3:
			return nil // a proxy ended it
		default:
			return stream.Send(&controlv1.SubscribeResponse{Events: numbered(3, 5), ResumeToken: "5"})
		}
	}
	got := s.run(t.Context(), "tail", "-o", "json", "--max", "4")
	require.Equal(t, 0, got.code, got.stderr)
	require.Equal(t, []string{"", "2", "2", "2"}, begins)
	want := ""
	for n := range 4 {
		want += fmt.Sprintf("{\"id\":\"%d\"}\n", n+1)
	}
	require.Equal(t, want, got.stdout)
	require.Equal(t, strings.Join([]string{
		"entractl: connection lost (the client left responses unread); trying again in 500ms",
		"entractl: connection lost (the server is stopping); trying again in 1s",
		"entractl: connection lost (the gateway ended the stream); trying again in 2s",
		// The last response was not printed whole: its events come again.
		"entractl: 4 events; go on with --resume 2", "",
	}, "\n"), got.stderr)
}

func TestTailEndsWithTheWayOn(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.subscribe = func(req *controlv1.SubscribeRequest, stream grpc.ServerStreamingServer[controlv1.SubscribeResponse]) error {
		if req.GetResumeToken() != "5" {
			return fmt.Errorf("resume token %q", req.GetResumeToken())
		}
		_ = stream.Send(&controlv1.SubscribeResponse{ResumeToken: "6"})
		cancel()
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	got := s.run(ctx, "tail", "--resume", "5")
	require.Equal(t, 0, got.code, got.stderr)
	require.Empty(t, got.stdout)
	// Whether the client read the response before it was stopped is a matter of luck.
	if got.stderr != "" {
		require.Equal(t, "entractl: 0 events; go on with --resume 6\n", got.stderr)
	}
}

func TestTailStopsWhereTryingAgainDoesNotHelp(t *testing.T) {
	s := newServer(t)
	calls := 0
	s.subscribe = func(_ *controlv1.SubscribeRequest, stream grpc.ServerStreamingServer[controlv1.SubscribeResponse]) error {
		calls++
		_ = stream.Send(&controlv1.SubscribeResponse{ResumeToken: "1"})
		return refuse(codes.OutOfRange, "the stream no longer holds it", "use start_time")
	}
	got := s.run(t.Context(), "tail")
	require.Equal(t, 1, got.code)
	require.Equal(t, 1, calls)
	require.Equal(t, "entractl: 0 events; go on with --resume 1\nentractl: the stream no longer holds it (TEST)\nWhat helps: use start_time\n", got.stderr)
}

func TestTailAsksForWhatItsFlagsSay(t *testing.T) {
	s := newServer(t)
	var got *controlv1.SubscribeRequest
	s.subscribe = func(req *controlv1.SubscribeRequest, stream grpc.ServerStreamingServer[controlv1.SubscribeResponse]) error {
		got = req
		return stream.Send(&controlv1.SubscribeResponse{Events: numbered(1, 1), ResumeToken: "1"})
	}
	require.Equal(t, 0, s.run(t.Context(), "tail", "--kinds", "signin,audit", "--tenants", "a", "--since", "2h", "--raw", "-o", "json", "--max", "1").code)
	require.Equal(t, []string{"signin", "audit"}, got.GetKinds())
	require.Equal(t, []string{"a"}, got.GetTenantIds())
	require.True(t, got.GetIncludeRaw())
	require.WithinDuration(t, time.Now().Add(-2*time.Hour), got.GetStartTime().AsTime(), time.Minute)
}

func TestTailAsLines(t *testing.T) {
	s := newServer(t)
	events := append(signIns(),
		&eventv1.Event{Kind: "audit", TenantId: "t\x07", OccurredAt: at(3), Payload: &eventv1.Event_Audit{Audit: &eventv1.Audit{
			Activity: "Add member to role", Result: "success", Initiator: &eventv1.AuditInitiator{UserPrincipalName: "ada@example.com"},
			Targets: []*eventv1.AuditTarget{{DisplayName: "Global Administrator"}, {Id: "7"}},
		}}},
		&eventv1.Event{Kind: "risky_user", TenantId: "t", OccurredAt: at(4), Payload: &eventv1.Event_RiskyUser{RiskyUser: &eventv1.RiskyUser{
			UserPrincipalName: "bob@example.com", RiskLevel: "high", RiskState: "atRisk",
		}}},
		&eventv1.Event{Kind: "graph_activity", TenantId: "t", OccurredAt: at(5), Category: "MicrosoftGraphActivityLogs", Payload: &eventv1.Event_Other{
			Other: &eventv1.Other{Operation: "GET", Result: "200"},
		}},
		&eventv1.Event{Kind: "odd", TenantId: "t", OccurredAt: &timestamppb.Timestamp{}},
	)
	s.subscribe = func(_ *controlv1.SubscribeRequest, stream grpc.ServerStreamingServer[controlv1.SubscribeResponse]) error {
		return stream.Send(&controlv1.SubscribeResponse{Events: events, ResumeToken: "1"})
	}
	got := s.run(t.Context(), "tail", "--max", fmt.Sprint(len(events)))
	require.Equal(t, 0, got.code, got.stderr)
	require.Equal(t, strings.Join([]string{
		"2026-11-24T12:02:00.123Z  signin            interactive  ada@example.com  Portal ?[31m" + strings.Repeat("x", 50) + "  203.0.113.7  CH  failure  50126",
		"2026-11-24T12:01:00.123Z  signin            managed_identity  backup  app  success",
		"2026-11-24T12:03:00.123Z  audit           t?  Add member to role  success  ada@example.com  Global Administrator  7",
		"2026-11-24T12:04:00.123Z  risky_user      t  bob@example.com  high  atRisk",
		"2026-11-24T12:05:00.123Z  graph_activity  t  MicrosoftGraphActivityLogs  GET  200",
		"1970-01-01T00:00:00.000Z  odd             t  ",
		"",
	}, "\n"), got.stdout)
}
