package entractl_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/entractl"
)

func TestColoursOfEvents(t *testing.T) {
	s := newServer(t)
	s.search = answering(signIns())
	s.subscribe = func(_ *controlv1.SubscribeRequest, stream grpc.ServerStreamingServer[controlv1.SubscribeResponse]) error {
		return stream.Send(&controlv1.SubscribeResponse{Events: signIns(), ResumeToken: "1"})
	}
	const red, green = "\x1b[31mfailure\x1b[0m", "\x1b[32msuccess\x1b[0m"
	cases := map[string]struct {
		terminal bool
		env      [2]string
		color    string
		want     bool
	}{
		"piped":                 {false, [2]string{}, "auto", false},
		"terminal":              {true, [2]string{}, "auto", true},
		"terminal, NO_COLOR":    {true, [2]string{"NO_COLOR", "1"}, "auto", false},
		"terminal that is dumb": {true, [2]string{"TERM", "dumb"}, "auto", false},
		"always":                {false, [2]string{"NO_COLOR", "1"}, "always", true},
		"never":                 {true, [2]string{}, "never", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"ENTRAFLOW_SERVER": s.address, "ENTRAFLOW_TOKEN_FILE": s.tokenFile, tc.env[0]: tc.env[1]}
			for _, args := range [][]string{{"signins"}, {"tail", "--max", "2"}} {
				got := start(t.Context(), env, entractl.Process{Args: append(args, "--color", tc.color), Terminal: entractl.Terminal{Out: tc.terminal}})
				require.Equal(t, 0, got.code, got.stderr)
				if !tc.want {
					require.NotContains(t, got.stdout, "\x1b")
					continue
				}
				require.Contains(t, got.stdout, red)
				require.Contains(t, got.stdout, green)
			}
			got := start(t.Context(), env, entractl.Process{Args: []string{"signins", "-o", "json", "--color", tc.color}, Terminal: entractl.Terminal{Out: tc.terminal}})
			require.NotContains(t, got.stdout, "\x1b")
		})
	}
}

func TestTailWithAFilter(t *testing.T) {
	s := newServer(t)
	const filter = `event.kind == "signin" && event.sign_in.outcome == "failure"`
	s.subscribe = func(req *controlv1.SubscribeRequest, stream grpc.ServerStreamingServer[controlv1.SubscribeResponse]) error {
		if req.GetFilter() != filter {
			return refuse(codes.InvalidArgument, "filter "+req.GetFilter(), "")
		}
		_ = stream.Send(&controlv1.SubscribeResponse{ResumeToken: "1", FilterErrors: 3})
		return stream.Send(&controlv1.SubscribeResponse{Events: numbered(1, 2), ResumeToken: "2", FilterErrors: 1})
	}
	got := s.run(t.Context(), "tail", "--filter", filter, "--max", "2", "-o", "yaml")
	require.Equal(t, result{
		0, "id: \"1\"\n---\nid: \"2\"\n",
		"entractl: the filter failed for some events, which are left out: does it ask for a field that not every event has?\n" +
			"entractl: the filter failed for 4 events\nentractl: 2 events; go on with --resume 2\n",
	}, got)
}

func TestSignInsAsYAML(t *testing.T) {
	s := newServer(t)
	s.search = answering(numbered(1, 2))
	require.Equal(t, result{stdout: "- id: \"1\"\n- id: \"2\"\n"}, s.run(t.Context(), "signins", "-o", "yaml"))
	s.search = answering(nil)
	require.Equal(t, result{stdout: "[]\n"}, s.run(t.Context(), "signins", "-o", "yaml"))
}

func TestErrorsSayRoleAndHelp(t *testing.T) {
	s := newServer(t)
	for want, made := range map[string]struct {
		code     codes.Code
		metadata map[string]string
	}{
		"entractl: no\x3f (ROLE_MISSING)\nWhat helps: ask an administrator\nIt needs the role admin; `entractl whoami` says which you have\n" +
			"See: https://docs.example.com/roles (roles)\n": {
			codes.PermissionDenied, map[string]string{"required_role": "admin", "remedy": "ask an administrator", "request_id": "r1"},
		},
		"entractl: no\x3f (ROLE_MISSING)\n`entractl whoami` says what you may\nSee: https://docs.example.com/roles (roles)\n": {codes.PermissionDenied, nil},
		"entractl: no\x3f (ROLE_MISSING, request r1)\nSee: https://docs.example.com/roles (roles)\n":                          {codes.Internal, map[string]string{"request_id": "r1"}},
	} {
		answer, err := status.New(made.code, "no\x1b").WithDetails(
			&errdetails.ErrorInfo{Domain: "entraflow", Reason: "ROLE_MISSING", Metadata: made.metadata},
			&errdetails.Help{Links: []*errdetails.Help_Link{{Url: "https://docs.example.com/roles", Description: "roles"}}},
		)
		require.NoError(t, err)
		s.search = func(*controlv1.SearchSignInsRequest) (*controlv1.SearchSignInsResponse, error) {
			return nil, answer.Err()
		}
		require.Equal(t, result{1, "", want}, s.run(t.Context(), "signins"))
	}
}

func TestAnOlderGateway(t *testing.T) {
	s := newServer(t)
	s.search = func(*controlv1.SearchSignInsRequest) (*controlv1.SearchSignInsResponse, error) {
		return nil, status.Error(codes.Unimplemented, "unknown service")
	}
	require.Equal(t, result{1, "", "entractl: the gateway at " + s.address + " does not know this call: it may be older than entractl\n"},
		s.run(t.Context(), "signins"))
}
