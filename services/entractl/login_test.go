package entractl_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/entractl"
)

// home is a user's configuration and environment.
type home struct {
	dir string
	env map[string]string
}

func newHome(t *testing.T) *home {
	t.Helper()
	dir := t.TempDir()
	return &home{dir: dir, env: map[string]string{"ENTRACTL_CONFIG": filepath.Join(dir, "config.yaml")}}
}

func (h *home) run(ctx context.Context, args ...string) result { return run(ctx, h.env, args...) }

// input runs the program with something on the standard input, and nobody at a terminal.
func (h *home) input(ctx context.Context, text string, args ...string) result {
	return start(ctx, h.env, entractl.Process{Args: args, Stdin: strings.NewReader(text)})
}

// secrets is the text of all files and fails the test if one can be read by others.
func (h *home) secrets(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(h.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || path == h.dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		require.Zero(t, info.Mode().Perm()&0o077, path)
		if entry.IsDir() {
			return nil
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	}))
	return all.String()
}

// signedIn is a home in which somebody signed in to the server as context prod, by an issuer whose newest token the server
// accepts.
func signedIn(t *testing.T) (*server, *fakeIssuer, *home) {
	t.Helper()
	s, i, h := newServer(t), newIssuer(t), newHome(t)
	s.accepts = func(given string) bool { return given == i.last() }
	s.caller = &controlv1.GetCallerResponse{Subject: "ada"}
	got := h.run(t.Context(), "login", "--context", "prod", "--server", s.address, "--issuer", i.url, "--client-id", "cli", "--scope", "api", "--audience", "gateway")
	require.Equal(t, 0, got.code, got.stderr)
	return s, i, h
}

func TestLoginByCode(t *testing.T) {
	t.Parallel()
	s, i, h := newServer(t), newIssuer(t), newHome(t)
	s.accepts = func(given string) bool { return given == "access-1" }
	s.caller = &controlv1.GetCallerResponse{Subject: "ada"}
	i.pending = 1
	got := h.run(t.Context(), "login", "--server", s.address, "--issuer", i.url, "--client-id", "cli", "--scope", "api", "--audience", "gateway")
	require.Equal(t, 0, got.code, got.stderr)
	require.Empty(t, got.stdout)
	require.Contains(t, got.stderr, "\nOpen  "+i.url+"/confirm\nCode  ABCD-EFGH\n")
	require.Contains(t, got.stderr, "entractl: signed in to "+s.address+" as context default; `entractl whoami` says as whom\n")
	require.NotContains(t, got.stderr, "access-1")
	require.Equal(t, []string{"cli openid offline_access api gateway"}, i.asked)
	require.Contains(t, h.secrets(t), "access-1")

	// From now on the context is in use.
	who := h.run(t.Context(), "whoami")
	require.Equal(t, 0, who.code, who.stderr)
	require.Contains(t, who.stdout, "Context    default\n")
	for _, args := range [][]string{{"context", "show"}, {"context", "show", "-o", "yaml"}, {"context", "list", "-o", "json"}} {
		shown := h.run(t.Context(), args...)
		require.Equal(t, 0, shown.code, shown.stderr)
		require.Contains(t, shown.stdout, "OIDC")
		require.NotContains(t, shown.stdout, "access-")
		require.NotContains(t, shown.stdout, "refresh-")
	}

	require.Equal(t, result{0, "", "entractl: signed out of context default\n"}, h.run(t.Context(), "logout"))
	require.NotContains(t, h.secrets(t), "access-1")
	require.Equal(t, result{
		1, "", "entractl: nobody has signed in to the gateway at " + s.address + " yet\nSign in with `entractl login --context default`\n",
	}, h.run(t.Context(), "whoami"))
	require.Equal(t, result{0, "", "entractl: nobody was signed in to context default\n"}, h.run(t.Context(), "logout"))
}

func TestLoginIsRefused(t *testing.T) {
	t.Parallel()
	i, h := newIssuer(t), newHome(t)
	for refusal, want := range map[string]string{
		"access_denied": "the login was declined\n", "expired_token": "the code was not confirmed in time\n",
		"unauthorized_client": "waiting for the code to be confirmed: the issuer answered 400 Bad Request: unauthorized_client: no?[31m\n",
	} {
		i.set(func() { i.refusal = refusal })
		got := h.run(t.Context(), "login", "--issuer", i.url, "--client-id", "cli")
		require.Equal(t, 1, got.code)
		require.True(t, strings.HasSuffix(got.stderr, "entractl: "+want), got.stderr)
	}
	cases := map[string][]string{
		"context default has no issuer: say --issuer and --client-id, or --with-token for an API token": {"login", "--issuer", ""},
		"--issuer needs --client-id": {"login", "--issuer", i.url, "--client-id", ""},
		"--issuer \"http://203.0.113.1\" must be an https URL, or http on this machine, without query and fragment": {"login", "--issuer", "http://203.0.113.1", "--client-id", "x"},
		"--with-token and --token-file exclude each other":                                                          {"login", "--with-token", "--token-file", "x"},
		"the standard input holds no token":                                                                         {"login", "--with-token"},
	}
	for want, args := range cases {
		require.Equal(t, result{2, "", "entractl: " + want + "\nRun 'entractl --help' for usage.\n"}, h.run(t.Context(), args...))
	}
}

func TestALoginIsRefreshed(t *testing.T) {
	t.Parallel()
	s, i, h := signedIn(t)
	i.set(func() { i.life = 10 }) // less than what is left to spare: each use refreshes
	require.Equal(t, 0, h.run(t.Context(), "login", "--context", "prod").code)
	require.Equal(t, "access-2", i.last())
	for _, want := range []string{"access-3", "access-4"} {
		got := h.run(t.Context(), "whoami")
		require.Equal(t, 0, got.code, got.stderr)
		require.Equal(t, want, i.last())
		require.Contains(t, h.secrets(t), want)
	}
	require.Equal(t, []string{"refresh-2", "refresh-3"}, i.refreshs)

	i.set(func() { i.refusal = "invalid_grant" })
	got := h.run(t.Context(), "whoami")
	require.Equal(t, result{
		1, "", "entractl: the login has ended: the issuer answered 400 Bad Request: invalid_grant: no?[31m\n" +
			"Sign in again with `entractl login --context prod`\n",
	}, got)

	// What the gateway does not take says how one signed in.
	i.set(func() { i.refusal, i.life = "", 3600 })
	require.Equal(t, 0, h.run(t.Context(), "login", "--context", "prod").code)
	s.accepts = func(string) bool { return false }
	got = h.run(t.Context(), "whoami")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "entractl: the gateway at "+s.address+" rejected the login of context prod at "+i.url+" (TEST)\n"+
		"Sign in again with `entractl login --context prod`.")
}

func TestALongTailRefreshesItsLogin(t *testing.T) {
	t.Parallel()
	s, i, h := signedIn(t)
	i.set(func() { i.life = 10 })
	require.Equal(t, 0, h.run(t.Context(), "login", "--context", "prod").code)
	calls := 0
	s.subscribe = func(_ *controlv1.SubscribeRequest, stream grpc.ServerStreamingServer[controlv1.SubscribeResponse]) error {
		calls++
		_ = stream.Send(&controlv1.SubscribeResponse{Events: numbered(calls, calls), ResumeToken: "x"})
		return refuse(codes.Unauthenticated, "the token has ended", "")
	}
	got := h.run(t.Context(), "tail", "--max", "2", "-o", "ndjson")
	require.Equal(t, 0, got.code, got.stderr)
	require.Equal(t, 2, strings.Count(got.stdout, "\n"))
	require.Equal(t, "access-4", i.last(), "two logins, and a refresh for each connection")
}

func TestLoginWithAToken(t *testing.T) {
	t.Parallel()
	s, h := newServer(t), newHome(t)
	s.caller = &controlv1.GetCallerResponse{Subject: "program"}
	for name, login := range map[string]func() result{
		"stdin": func() result {
			return h.input(t.Context(), token+"\n", "login", "--context", "stdin", "--server", s.address, "--with-token")
		},
		"file": func() result {
			return h.run(t.Context(), "login", "--context", "file", "--server", s.address, "--token-file", s.tokenFile)
		},
	} {
		got := login()
		require.Equal(t, result{0, "", "entractl: signed in to " + s.address + " as context " + name + "; `entractl whoami` says as whom\n"}, got)
		require.Equal(t, 0, h.run(t.Context(), "whoami", "--context", name).code)
		require.Contains(t, h.run(t.Context(), "context", "show", name).stdout, "Signs in by  API token\n")
	}
	require.Contains(t, h.secrets(t), token)
	s.accepts = func(string) bool { return false }
	got := h.run(t.Context(), "whoami", "--context", "file")
	require.Contains(t, got.stderr, "rejected the API token of context file: it has ended, was revoked, or is another gateway's (TEST)\n"+
		"Store another with `entractl login --context file --with-token`\n")
}

func TestALoginGoesToItsGatewayAlone(t *testing.T) {
	t.Parallel()
	s, h := newServer(t), newHome(t)
	other := newServer(t)
	other.accepts = func(string) bool {
		t.Error("the token went to another gateway")
		return false
	}
	require.Equal(t, 0, h.input(t.Context(), token, "login", "--context", "prod", "--server", s.address, "--with-token").code)
	got := h.run(t.Context(), "whoami", "--context", "prod", "--server", other.address)
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "the login of context prod is for the gateway at "+s.address+", not for "+other.address)
	// A server alone is none of the context's: there the token file of the folder is meant.
	got = h.run(t.Context(), "whoami", "--server", other.address)
	require.Contains(t, got.stderr, "there is no token file data/credentials/gateway.token")
	h.env["ENTRAFLOW_SERVER"] = other.address
	got = h.run(t.Context(), "whoami")
	require.Contains(t, got.stderr, "there is no token file data/credentials/gateway.token")
	// Nor does it once the context itself was moved.
	delete(h.env, "ENTRAFLOW_SERVER")
	require.Equal(t, 0, h.run(t.Context(), "context", "set", "prod", "--server", other.address).code)
	require.Contains(t, h.run(t.Context(), "whoami").stderr, "the login of context prod is for the gateway at "+s.address)
}
