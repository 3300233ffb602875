package entractl

import (
	"os"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/credentials"

	"github.com/entraflow/entraflow/services/entractl/internal/contexts"
)

func TestWhichGateway(t *testing.T) {
	prod := contexts.Context{Name: "prod", Server: "prod:1", TLS: true, TokenFile: "prod.token"}
	test := contexts.Context{Name: "test", Server: "test:1", CAFile: "test.pem", OIDC: &contexts.OIDC{Issuer: "https://x", ClientID: "c"}}
	cases := map[string]struct {
		current string
		args    []string
		env     map[string]string
		want    contexts.Context
	}{
		"nothing is said":         {want: contexts.Context{Server: defaultServer}},
		"environment":             {env: map[string]string{envServer: "e:1", envTokenFile: "e"}, want: contexts.Context{Server: "e:1", TokenFile: "e"}},
		"flags":                   {args: []string{"--server", "f:1", "--token-file", "f", "--tls"}, env: map[string]string{envServer: "e:1", envTokenFile: "e"}, want: contexts.Context{Server: "f:1", TokenFile: "f", TLS: true}},
		"current context":         {current: "prod", want: prod},
		"context of environment":  {current: "prod", env: map[string]string{envContext: "test"}, want: test},
		"context of flag":         {current: "test", args: []string{"--context", "prod"}, env: map[string]string{envContext: "test"}, want: prod},
		"server beats context":    {current: "prod", args: []string{"--server", "f:1"}, want: contexts.Context{Server: "f:1"}},
		"environment beats file":  {current: "prod", env: map[string]string{envServer: "e:1"}, want: contexts.Context{Server: "e:1"}},
		"flag beats environment":  {env: map[string]string{envContext: "prod"}, args: []string{"--server", "f:1"}, want: contexts.Context{Server: "f:1"}},
		"context beats server":    {args: []string{"--context", "prod"}, env: map[string]string{envServer: "e:1"}, want: prod},
		"both are said":           {args: []string{"--context", "prod", "--server", "f:1"}, want: contexts.Context{Name: "prod", Server: "f:1", TLS: true, TokenFile: "prod.token"}},
		"token file over context": {current: "test", args: []string{"--token-file", "f"}, want: contexts.Context{Name: "test", Server: "test:1", CAFile: "test.pem", TokenFile: "f", OIDC: test.OIDC}},
		"weaker token file":       {args: []string{"--context", "test"}, env: map[string]string{envTokenFile: "e"}, want: test},
		"parts of a context":      {current: "prod", args: []string{"--tls=false", "--ca-file", "f.pem"}, want: contexts.Context{Name: "prod", Server: "prod:1", CAFile: "f.pem", TokenFile: "prod.token"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			target := newTarget(Process{Getenv: func(name string) string { return tc.env[name] }})
			cmd := &cobra.Command{Use: "x", Run: func(*cobra.Command, []string) {}}
			target.addFlags(cmd)
			cmd.SetArgs(append([]string{}, tc.args...)) // nil would be those of the test
			require.NoError(t, cmd.Execute())
			at, err := target.choose(contexts.File{Current: tc.current, Contexts: []contexts.Context{prod, test}})
			require.NoError(t, err)
			require.Empty(t, gocmp.Diff(tc.want, at.Context))
		})
	}
}

// The token that `entraflow up` leaves in its folder opens everything: it is shown to no gateway elsewhere.
func TestTheTokenFileOfThisMachineIsForThisMachine(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll(filepath.Dir(defaultTokenFile), 0o700))
	require.NoError(t, os.WriteFile(defaultTokenFile, []byte("local"), 0o600))
	require.NoError(t, os.WriteFile("other.token", []byte("other"), 0o600))
	certificate := []string{"--client-certificate-file", "c", "--client-key-file", "k"}
	cases := map[string]struct {
		server string
		args   []string
		env    map[string]string
		want   credentials.PerRPCCredentials // nil: an error, or with a certificate none
	}{
		"default":                {server: "", want: bearer("local")},
		"localhost":              {server: "localhost:1", want: bearer("local")},
		"loopback":               {server: "127.0.0.2:1", want: bearer("local")},
		"loopback 6":             {server: "[::1]:1", want: bearer("local")},
		"elsewhere":              {server: "other.example:443"},
		"address":                {server: "192.0.2.1:443"},
		"any":                    {server: "0.0.0.0:443"},
		"begins like this one":   {server: "localhost.other.example:443"},
		"without a port":         {server: "localhost"},
		"scheme":                 {server: "dns:///other.example:443"},
		"authority":              {server: "dns://localhost:443/other.example:443"},
		"by environment":         {env: map[string]string{envServer: "other.example:443"}},
		"flag":                   {server: "other.example:443", args: []string{"--token-file", "other.token"}, want: bearer("other")},
		"flag names the default": {server: "other.example:443", args: []string{"--token-file", defaultTokenFile}, want: bearer("local")},
		"environment":            {server: "other.example:443", env: map[string]string{envTokenFile: "other.token"}, want: bearer("other")},
		"certificate":            {server: "other.example:443", args: certificate},
		"certificate and token":  {server: "127.0.0.1:1", args: certificate, want: bearer("local")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			target := newTarget(Process{Getenv: func(name string) string { return tc.env[name] }, ConfigDir: t.TempDir()})
			cmd := &cobra.Command{Use: "x", Run: func(*cobra.Command, []string) {}}
			target.addFlags(cmd)
			args := append([]string{"--tls"}, tc.args...)
			if tc.server != "" {
				args = append(args, "--server", tc.server)
			}
			cmd.SetArgs(args)
			require.NoError(t, cmd.Execute())
			at, err := target.resolve()
			require.NoError(t, err)
			got, err := target.credentials(at)
			if tc.want == nil && tc.args == nil {
				require.ErrorAs(t, err, &usageError{})
				require.ErrorContains(t, err, "no token is named for the gateway at")
				require.ErrorContains(t, err, "--token-file")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}
