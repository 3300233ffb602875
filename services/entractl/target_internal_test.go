package entractl

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

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
