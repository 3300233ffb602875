package entractl_test

import (
	"context"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/entractl"
)

const (
	running   = controlv1.RunState_RUN_STATE_RUNNING
	pending   = controlv1.RunState_RUN_STATE_PENDING
	failed    = controlv1.RunState_RUN_STATE_FAILED
	cancelled = controlv1.RunState_RUN_STATE_CANCELLED
)

// timed is the time before a line of progress.
var timed = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  `)

func TestCollectFollowsTheRun(t *testing.T) {
	s := newServer(t)
	s.watch = sending(nil, runAt(running, 2), runAt(running, 3), succeeded())
	got := s.run(t.Context(), "integration", "collect", "contoso", "--type", "audit,risky_user", "--since", "2026-11-26")
	require.Equal(t, 0, got.code, got.stderr)
	// The second line would come within five seconds of the first.
	require.Equal(t, "running  4/20 windows  2,002 rows  1,500 rows/s  throttled 12s  about 2m00s left\n"+
		"Run r1 succeeded: 10,010 rows of 2 data types in 2m00s, throttled 12s\n", timed.ReplaceAllString(got.stdout, ""))
	require.NotEqual(t, got.stdout, timed.ReplaceAllString(got.stdout, ""))
	requireRequests(t, s, &controlv1.CollectNowRequest{
		Name: "integrations/contoso", DataTypes: []string{"audit", "risky_user"},
		Since: timestamppb.New(time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)),
	})
}

func TestCollectWithoutWaiting(t *testing.T) {
	s := newServer(t)
	require.Equal(t, result{
		stdout: "Run r1 was asked for; follow it with `entractl integration watch contoso r1`.\n",
		stderr: "entractl: the directory is read, too, by a run of its own; see `entractl integration runs contoso`\n",
	}, s.run(t.Context(), "integration", "collect", "integrations/contoso", "--no-wait"))
}

func TestWatchSaysHowItEnded(t *testing.T) {
	broken := runAt(failed, 0)
	broken.DataTypes, broken.Problem = nil, refused().GetProblem()
	cases := map[string]struct {
		run  *controlv1.Run
		want result
	}{
		"succeeded": {succeeded(), result{0, "Run r1 succeeded: 10,010 rows of 2 data types in 2m00s, throttled 12s\n", ""}},
		"partly": {partlySucceeded(), result{
			1, "Run r1 partly succeeded: 10,010 rows of 2 data types in 2m00s, throttled 12s\n" +
				"  signin.interactive: 2 records could not be read and became dead letters\n" +
				"  audit failed after 10 rows: permission missing (Authorization_RequestDenied)\n" +
				"\nWhat helps:\n  audit: Give consent.\n", "entractl: run r1 partly succeeded\n",
		}},
		"failed": {broken, result{
			1, "Run r1 failed: 0 rows of 0 data types\nThe client secret has expired (AADSTS7000222), request id trace-1\n\nWhat helps:\n  the run: Add a new secret.\n",
			"entractl: run r1 failed\n",
		}},
		"cancelled": {runAt(cancelled, 1), result{1, "Run r1 cancelled: 1,001 rows of 2 data types, throttled 12s\n", "entractl: run r1 cancelled\n"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.watch = sending(nil, tc.run)
			require.Equal(t, tc.want, s.run(t.Context(), "integration", "watch", "contoso", "r1"))
		})
	}
}

func TestWatchGoesOnAfterABreak(t *testing.T) {
	s := newServer(t)
	calls := 0
	s.watch = func(stream grpc.ServerStreamingServer[controlv1.WatchRunResponse]) error {
		calls++
		if calls == 1 {
			return sending(refuse(codes.Unavailable, "the gateway stops", ""), runAt(pending, 0))(stream)
		}
		return sending(nil, succeeded())(stream)
	}
	got := s.run(t.Context(), "integration", "watch", "contoso", "r1")
	require.Equal(t, 0, got.code)
	require.Equal(t, "entractl: connection lost (the gateway stops); trying again in 500ms\n", got.stderr)
}

func TestWatchOfNoRun(t *testing.T) {
	s := newServer(t)
	s.watch = sending(refuse(codes.NotFound, "there is no such run", "list the integration's runs"))
	require.Equal(t, result{1, "", "entractl: there is no such run (TEST)\nWhat helps: list the integration's runs\n"},
		s.run(t.Context(), "integration", "watch", "contoso", "r1"))
}

func TestCtrlCLeavesTheRunGoing(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.watch = func(stream grpc.ServerStreamingServer[controlv1.WatchRunResponse]) error {
		if err := sending(nil, runAt(running, 2))(stream); err != nil {
			return err
		}
		cancel()
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	got := s.run(ctx, "integration", "watch", "contoso", "r1")
	require.Equal(t, 0, got.code)
	require.Equal(t, "entractl: the run goes on; follow it with `entractl integration watch contoso r1`\n", got.stderr)
	require.NotContains(t, got.stdout, "Run r1")
}

func TestCtrlCAtAQuestionSavesNothing(t *testing.T) {
	s := newServer(t)
	s.report = connected()
	in, out := io.Pipe()
	t.Cleanup(func() { out.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	var stdout buffer
	stderr := &onWrite{needle: "Save it?", do: cancel}
	env := map[string]string{"ENTRAFLOW_SERVER": s.address, "ENTRAFLOW_TOKEN_FILE": s.tokenFile}
	code := entractl.Main(ctx, entractl.Process{
		Args: append(addContoso, "--secret-file", file(t, secret)), Getenv: func(name string) string { return env[name] },
		Stdin: in, Stdout: &stdout, Stderr: stderr, Terminal: entractl.Terminal{In: true},
	})
	require.Equal(t, 1, code)
	require.True(t, strings.HasSuffix(stderr.String(), "\nentractl: nothing was changed\n"), stderr.String())
	require.Len(t, s.kept(), 1)
}

// onWrite does something once a text was written.
type onWrite struct {
	buffer

	needle string
	do     func()
}

func (w *onWrite) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.needle) {
		w.do()
	}
	return w.buffer.Write(p)
}

func TestBarsOnATerminal(t *testing.T) {
	s := newServer(t)
	done := partlySucceeded()
	s.watch = sending(nil, runAt(running, 2), done)
	env := map[string]string{"ENTRAFLOW_SERVER": s.address, "ENTRAFLOW_TOKEN_FILE": s.tokenFile}
	got := start(t.Context(), env, entractl.Process{
		Args: []string{"integration", "watch", "contoso", "r1"}, Terminal: entractl.Terminal{Out: true},
	})
	require.Equal(t, 1, got.code)
	require.Regexp(t, `(?m)^signin\.interactive +\[=+\] +10/10 +10,000 rows +throttled 12s +succeeded$`, got.stdout)
	require.Regexp(t, `(?m)^audit +\[.*\] +10/10 +10 rows +failed$`, got.stdout)
	require.Regexp(t, `(?m)^all +\[=+>\] +20/20 +10,010 rows +1,500/s +throttled 12s *$`, got.stdout)
	require.Contains(t, got.stdout, "Run r1 \x1b[33mpartly succeeded\x1b[0m: ")
	env["TERM"] = "dumb"
	got = start(t.Context(), env, entractl.Process{
		Args: []string{"integration", "watch", "contoso", "r1"}, Terminal: entractl.Terminal{Out: true},
	})
	require.NotContains(t, got.stdout, "\x1b")
}

func TestARunForPrograms(t *testing.T) {
	s := newServer(t)
	s.watch = sending(nil, runAt(running, 2), succeeded())
	for _, args := range [][]string{{"watch", "contoso", "r1"}, {"collect", "contoso", "--type", "audit"}} {
		got := s.run(t.Context(), append(append([]string{"integration"}, args...), "-o", "json")...)
		require.Equal(t, 0, got.code, got.stderr)
		var run controlv1.Run
		require.NoError(t, protojson.Unmarshal([]byte(got.stdout), &run))
		require.Equal(t, controlv1.RunState_RUN_STATE_SUCCEEDED, run.GetState())
		require.Contains(t, got.stderr, "  running  4/20 windows  ")
	}
	require.Contains(t, s.run(t.Context(), "integration", "collect", "contoso", "--type", "audit", "--no-wait", "-o", "yaml").stdout,
		"name: integrations/contoso/runs/r1\n")
}
