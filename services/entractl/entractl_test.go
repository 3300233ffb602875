package entractl_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func TestHealth(t *testing.T) {
	s := newServer(t)
	s.health.SetServingStatus(controlv1.SignInService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	s.health.SetServingStatus(controlv1.EventService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	s.health.SetServingStatus(controlv1.DirectoryService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	require.Equal(t, result{stdout: "gateway            serving\nsign-ins (store)   serving\ndirectory (store)  serving\nevents (bus)       serving\n"},
		s.run(t.Context(), "health"))
	s.health.SetServingStatus(controlv1.SignInService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_NOT_SERVING)
	require.Equal(t, result{
		1, "gateway            serving\nsign-ins (store)   not serving\ndirectory (store)  serving\nevents (bus)       serving\n",
		"entractl: not everything is serving: see the gateway's log\n",
	}, s.run(t.Context(), "health"))
}

func TestErrorsSayWhatToDo(t *testing.T) {
	s := newServer(t)
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	violation, err := status.New(codes.InvalidArgument, "the request is not valid").WithDetails(
		&errdetails.ErrorInfo{Metadata: map[string]string{"remedy": "correct the fields"}},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "filter.ip", Description: "must be an address"}}},
	)
	require.NoError(t, err)
	s.search = func(*controlv1.SearchSignInsRequest) (*controlv1.SearchSignInsResponse, error) {
		return nil, violation.Err()
	}
	missing, wrong := filepath.Join(folder, "none"), file("wrong", "wrong")
	cases := map[string]struct {
		args []string
		code int
		want string
	}{
		"missing token": {
			[]string{"health", "--token-file", missing},
			1,
			"there is no token file " + missing + "\nThe gateway makes it at its first start: run entractl in the folder where `entraflow up` runs,\n" +
				"or name the file with --token-file or ENTRAFLOW_TOKEN_FILE. To another gateway sign in with `entractl login`\n",
		},
		"empty token": {[]string{"health", "--token-file", file("empty", "\n")}, 1, "the file " + filepath.Join(folder, "empty") + " holds no token\n"},
		"wrong token": {
			[]string{"health", "--token-file", wrong},
			1,
			"the gateway at " + s.address + " rejected the token in " + wrong + " (TEST)\n" +
				"Is it this gateway's? `entraflow up` keeps its own in its data folder, under credentials/gateway.token;\nto another gateway sign in with `entractl login`\n",
		},
		"field":  {[]string{"signins"}, 1, "filter.ip: must be an address\nthe request is not valid\nWhat helps: correct the fields\n"},
		"remote": {[]string{"health", "--server", "203.0.113.1:7300"}, 2, "--server 203.0.113.1:7300 is not this machine: without TLS the token could be read on the way; use --tls or --ca-file\n"},
		"ca file": {
			[]string{"health", "--ca-file", wrong}, 2, "--ca-file: " + wrong + " holds no certificate\n",
		},
		"command":  {[]string{"nope"}, 2, "unknown command \"nope\" for \"entractl\"\n"},
		"argument": {[]string{"health", "x"}, 2, "unknown command \"x\" for \"entractl health\"\n"},
		"flag":     {[]string{"signins", "--nope"}, 2, "unknown flag: --nope\n"},
		"since":    {[]string{"signins", "--since", "yesterday"}, 2, "--since \"yesterday\" must be a time span before now (30m, 24h, 7d), a date (2026-11-24) or a time (2026-11-24T12:00:00Z)\n"},
		"outcome":  {[]string{"signins", "--outcome", "x"}, 2, "--outcome \"x\" must be one of failure, interrupted, success\n"},
		"type":     {[]string{"signins", "--type", "x"}, 2, "--type \"x\" must be one of adfs, interactive, managed_identity, non_interactive, service_principal\n"},
		"output":   {[]string{"signins", "-o", "xml"}, 2, "-o \"xml\" must be table, json, yaml or ndjson\n"},
		"limit":    {[]string{"signins", "--limit", "-1"}, 2, "--limit -1 must not be negative\n"},
		"kind":     {[]string{"events", "--user", "ada"}, 2, "--kind is missing: the kind of event, such as audit\n"},
		"limit of": {[]string{"events", "--kind", "audit", "--limit", "-1"}, 2, "--limit -1 must not be negative\n"},
		"both":     {[]string{"tail", "--since", "1h", "--resume", "x"}, 2, "--since and --resume exclude each other\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := s.run(t.Context(), tc.args...)
			want := "entractl: " + tc.want
			if tc.code == 2 {
				want += "Run 'entractl --help' for usage.\n"
			}
			require.Equal(t, result{tc.code, "", want}, got)
		})
	}
}

func TestAnUnreachableGateway(t *testing.T) {
	s := newServer(t)
	for _, command := range []string{"signins", "tail", "health"} {
		got := s.run(t.Context(), command, "--server", "127.0.0.1:1")
		require.Equal(t, 1, got.code)
		require.Regexp(t, "^entractl: cannot reach the gateway at 127.0.0.1:1: .*connection refused.*\n"+
			"Is it running\\? `entraflow up` prints where it listens; tell entractl with --server or ENTRAFLOW_SERVER\n$", got.stderr)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		got := run(t.Context(), nil, "completion", shell)
		require.Equal(t, 0, got.code)
		require.Contains(t, got.stdout, "entractl")
	}
	for flag, want := range map[string]string{
		"signins --outcome": "failure\ninterrupted\nsuccess\n:4\n", "signins -o": "table\njson\nyaml\nndjson\n:4\n",
		"signins --type":   "adfs\ninteractive\nmanaged_identity\nnon_interactive\nservice_principal\n:4\n",
		"user list --type": "guest\nmember\n:4\n", "user show -o": "table\njson\nyaml\n:4\n",
		"user list --class": "admin\ndisabled\nemergency_access\nguest\nmember\nnon_human\nresource\nshared_mailbox\nsynced\n:4\n",
		"tail -o":           "table\njson\nyaml\nndjson\n:4\n", "tail --kinds": "signin\naudit\nrisk_detection\nrisky_user\nprovisioning\n:4\n",
	} {
		got := run(t.Context(), nil, append([]string{"__complete"}, append(strings.Fields(flag), "")...)...)
		require.Equal(t, want, got.stdout, flag)
	}
}

func TestHelpNamesTheDefaults(t *testing.T) {
	got := run(t.Context(), nil, "--help")
	require.Equal(t, 0, got.code)
	require.Contains(t, got.stdout, "data/credentials/gateway.token")
	require.Contains(t, got.stdout, "127.0.0.1:7300")
	require.Equal(t, 0, run(t.Context(), nil, "--version").code)
}
