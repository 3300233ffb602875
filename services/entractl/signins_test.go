package entractl_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

func at(minutes int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 11, 24, 12, minutes, 0, 123_000_000, time.UTC))
}

func signIns() []*eventv1.Event {
	return []*eventv1.Event{
		{Id: "2", Kind: "signin", OccurredAt: at(2), Raw: []byte(`{ "id": "2" }`), Payload: &eventv1.Event_SignIn{SignIn: &eventv1.SignIn{
			Type: eventv1.SignInType_SIGN_IN_TYPE_INTERACTIVE, UserPrincipalName: "ada@example.com", AppDisplayName: "Portal \x1b[31m" + strings.Repeat("x", 50),
			IpAddress: "203.0.113.7", Location: &eventv1.Location{Country: "CH"}, Outcome: "failure", ErrorCode: proto.Int64(50126),
		}}},
		{Id: "1", Kind: "signin", OccurredAt: at(1), Payload: &eventv1.Event_SignIn{SignIn: &eventv1.SignIn{
			Type: eventv1.SignInType_SIGN_IN_TYPE_MANAGED_IDENTITY, ServicePrincipalName: "backup", AppId: "app", Outcome: "success", ErrorCode: proto.Int64(0),
		}}},
	}
}

func answering(events []*eventv1.Event) func(*controlv1.SearchSignInsRequest) (*controlv1.SearchSignInsResponse, error) {
	return func(*controlv1.SearchSignInsRequest) (*controlv1.SearchSignInsResponse, error) {
		return &controlv1.SearchSignInsResponse{SignIns: events}, nil
	}
}

func TestSignInsAsTable(t *testing.T) {
	s := newServer(t)
	s.search = answering(signIns())
	require.Equal(t, result{stdout: `TIME                      TYPE              USER             APP                                       IP           COUNTRY  OUTCOME  ERROR
2026-11-24T12:02:00.123Z  interactive       ada@example.com  Portal ?[31mxxxxxxxxxxxxxxxxxxxxxxxxxxx…  203.0.113.7  CH       failure  50126
2026-11-24T12:01:00.123Z  managed_identity  backup           app                                       -            -        success  -
`}, s.run(t.Context(), "signins"))
}

func TestSignInsAsJSON(t *testing.T) {
	s := newServer(t)
	s.search = answering(signIns())
	array := s.run(t.Context(), "signins", "-o", "json", "--raw")
	lines := s.run(t.Context(), "signins", "-o", "ndjson", "--raw")
	require.Equal(t, []int{0, 0}, []int{array.code, lines.code})
	var got []map[string]any
	require.NoError(t, json.Unmarshal([]byte(array.stdout), &got))
	require.Len(t, got, 2)
	require.Equal(t, map[string]any{"id": "2"}, got[0]["raw"])
	signIn, ok := got[0]["sign_in"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, "ada@example.com", signIn["user_principal_name"])
	require.NotContains(t, got[1], "raw")
	require.True(t, strings.HasPrefix(array.stdout, "[\n  {\n    \"id\": \"2\",\n"), array.stdout)
	require.True(t, strings.HasSuffix(array.stdout, "\n  }\n]\n"), array.stdout)

	var fromLines []map[string]any
	for line := range strings.Lines(lines.stdout) {
		var event map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &event))
		fromLines = append(fromLines, event)
	}
	require.Equal(t, got, fromLines)

	s.search = answering(nil)
	require.Equal(t, result{stdout: "[]\n"}, s.run(t.Context(), "signins", "-o", "json"))
	require.Equal(t, result{}, s.run(t.Context(), "signins", "-o", "ndjson"))
}

func TestEveryFlagReachesTheFilter(t *testing.T) {
	s := newServer(t)
	var got *controlv1.SearchSignInsRequest
	s.search = func(req *controlv1.SearchSignInsRequest) (*controlv1.SearchSignInsResponse, error) {
		got = req
		return &controlv1.SearchSignInsResponse{}, nil
	}
	require.Equal(t, 0, s.run(t.Context(), "signins", "--tenant", "a,b", "--tenant", "c", "--user", "ada@example.com", "--app", "app",
		"--ip", "203.0.113.0/24", "--country", "CH", "--outcome", "Failure", "--error-code", "50126,50053", "--type", "adfs,interactive",
		"--since", "2026-11-24", "--until", "2026-11-24T12:00:00+01:00", "--limit", "7", "--raw", "-o", "ndjson").code)
	require.Empty(t, gocmp.Diff(&controlv1.SearchSignInsRequest{
		Filter: &controlv1.SignInFilter{
			TenantIds: []string{"a", "b", "c"}, User: "ada@example.com", App: "app", Ip: "203.0.113.0/24", Countries: []string{"CH"},
			Outcome: controlv1.SignInOutcome_SIGN_IN_OUTCOME_FAILURE, ErrorCodes: []int64{50126, 50053},
			Types: []eventv1.SignInType{eventv1.SignInType_SIGN_IN_TYPE_ADFS, eventv1.SignInType_SIGN_IN_TYPE_INTERACTIVE},
			Start: timestamppb.New(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)),
			End:   timestamppb.New(time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)),
		},
		PageSize: 7, IncludeRaw: true,
	}, got, protocmp.Transform()))
	require.Equal(t, 0, s.run(t.Context(), "signins", "--since", "1d12h").code)
	require.WithinDuration(t, time.Now().Add(-36*time.Hour), got.GetFilter().GetStart().AsTime(), time.Minute)
}

func TestPagesUpToTheLimit(t *testing.T) {
	const stored = 2500
	cases := map[string]struct {
		limit string
		sizes []int32
		want  int
	}{
		"a few":        {"30", []int32{30}, 30},
		"several":      {"2100", []int32{1000, 1000, 100}, 2100},
		"all":          {"0", []int32{1000, 1000, 1000}, stored},
		"more than is": {"9999", []int32{1000, 1000, 1000}, stored},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			next := 0
			var sizes []int32
			s.search = func(req *controlv1.SearchSignInsRequest) (*controlv1.SearchSignInsResponse, error) {
				if want := map[bool]string{true: "", false: fmt.Sprint(next)}[next == 0]; req.GetPageToken() != want {
					return nil, fmt.Errorf("page token %q, want %q", req.GetPageToken(), want)
				}
				sizes = append(sizes, req.GetPageSize())
				answer := &controlv1.SearchSignInsResponse{}
				for len(answer.GetSignIns()) < int(req.GetPageSize()) && next < stored {
					answer.SignIns = append(answer.SignIns, &eventv1.Event{Id: fmt.Sprint(next)})
					next++
				}
				if next < stored {
					answer.NextPageToken = fmt.Sprint(next)
				}
				return answer, nil
			}
			got := s.run(t.Context(), "signins", "-o", "ndjson", "--limit", tc.limit)
			require.Equal(t, 0, got.code, got.stderr)
			require.Equal(t, tc.sizes, sizes)
			require.Equal(t, tc.want, strings.Count(got.stdout, "\n"))
		})
	}
}
