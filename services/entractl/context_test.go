package entractl_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContexts(t *testing.T) {
	h := newHome(t)
	dir := t.TempDir()
	require.Equal(t, result{0, "", "entractl: there are no contexts yet; `entractl context set NAME --server HOST:PORT` makes one\n"},
		h.run(t.Context(), "context", "list"))
	t.Chdir(dir)
	require.NoError(t, os.WriteFile("gateway.token", []byte(token), 0o600))
	require.Equal(t, result{0, "", "entractl: context local is saved\n"},
		h.run(t.Context(), "context", "set", "local", "--server", "127.0.0.1:1", "--token-file", "gateway.token"))
	require.Equal(t, result{0, "", "entractl: context prod is saved\nentractl: sign in with `entractl login --context prod`\n"},
		h.run(t.Context(), "context", "set", "prod", "--server", "gateway.example.com:443", "--tls",
			"--issuer", "https://login.example.com", "--client-id", "cli", "--scope", "a,b"))
	require.Equal(t, result{stdout: `CURRENT  NAME   SERVER                   TLS  SIGNS IN BY
*        local  127.0.0.1:1              no   token file
         prod   gateway.example.com:443  yes  not yet
`}, h.run(t.Context(), "context", "list"))
	require.Equal(t, result{stdout: "local\t127.0.0.1:1\nprod\tgateway.example.com:443\n:4\n"}, clearErr(h.run(t.Context(), "__complete", "context", "use", "")))
	require.Equal(t, result{stdout: "local\t127.0.0.1:1\nprod\tgateway.example.com:443\n:4\n"}, clearErr(h.run(t.Context(), "__complete", "signins", "--context", "")))

	require.Equal(t, result{0, "", "entractl: context prod is in use\n"}, h.run(t.Context(), "context", "use", "prod"))
	require.Equal(t, result{stdout: `Name         prod
Server       gateway.example.com:443
TLS          yes
Signs in by  not yet
Issuer       https://login.example.com
Client id    cli
Scopes       a b
`}, h.run(t.Context(), "context", "show"))
	require.Equal(t, result{stdout: `{
  "name": "local",
  "current": false,
  "server": "127.0.0.1:1",
  "tls": false,
  "signs_in": "token file",
  "token_file": "` + filepath.Join(dir, "gateway.token") + `"
}
`}, h.run(t.Context(), "context", "show", "local", "-o", "json"))

	// What no flag says stays; an empty value takes back.
	require.Equal(t, 0, h.run(t.Context(), "context", "set", "prod", "--audience", "gw", "--scope", "").code)
	require.Contains(t, h.run(t.Context(), "context", "show", "prod", "-o", "yaml").stdout, "  client_id: cli\n  audience: gw\n")
	require.Equal(t, 0, h.run(t.Context(), "context", "set", "prod", "--issuer", "").code)
	require.NotContains(t, h.run(t.Context(), "context", "show", "prod", "-o", "yaml").stdout, "oidc")

	require.Equal(t, result{0, "", "entractl: context prod is deleted\n"}, h.run(t.Context(), "context", "delete", "prod"))
	require.Equal(t, result{1, "", "entractl: no context is in use; see `entractl context list`\n"}, h.run(t.Context(), "context", "show"))
	usage := "\nRun 'entractl --help' for usage.\n"
	for want, args := range map[string][]string{
		"there is no context \"prod\"; see `entractl context list`":                                                      {"context", "use", "prod"},
		"there is no context \"x\"; see `entractl context list`":                                                         {"health", "--context", "x"},
		"\"../x\": a context's name has at most 64 letters, digits, '.', '_' and '-', and begins with a letter or digit": {"context", "set", "../x"},
		"--server gateway.example.com:443 is not this machine: without TLS the token could be read on the way; use --tls or --ca-file": {
			"context", "set", "far", "--server", "gateway.example.com:443",
		},
		"--client-certificate-file and --client-key-file need each other": {"context", "set", "half", "--tls", "--client-certificate-file", "x"},
		"--color \"red\" must be auto, always or never":                   {"context", "list", "--color", "red"},
	} {
		require.Equal(t, result{2, "", "entractl: " + want + usage}, h.run(t.Context(), args...))
	}
	h.secrets(t)
}

// clearErr leaves out what completion says about itself.
func clearErr(r result) result {
	r.stderr = ""
	return r
}

func TestWithoutAFolderThereAreNoContexts(t *testing.T) {
	got := run(t.Context(), nil, "context", "set", "x")
	require.Equal(t, result{1, "", "entractl: there is no folder for configuration\n"}, got)
}

func TestADamagedConfig(t *testing.T) {
	h := newHome(t)
	require.NoError(t, os.WriteFile(h.env["ENTRACTL_CONFIG"], []byte("contexts: [{nam: x}]"), 0o600))
	got := h.run(t.Context(), "health")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "entractl: reading contexts: "+h.env["ENTRACTL_CONFIG"]+": damaged: [1:13] unknown field \"nam\"")
}

func TestAFarGatewayIsNotShownTheLocalToken(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll(filepath.Join("data", "credentials"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join("data", "credentials", "gateway.token"), []byte(token), 0o600))
	got := newHome(t).run(t.Context(), "--server", "other.example:443", "--tls", "status")
	require.Equal(t, result{2, "", `entractl: no token is named for the gateway at other.example:443, and data/credentials/gateway.token is only for a gateway on this machine
Name its token with --token-file or ENTRAFLOW_TOKEN_FILE, or make a context with ` + "`entractl context set` and sign in with `entractl login`" + `
Run 'entractl --help' for usage.
`}, got)
}
