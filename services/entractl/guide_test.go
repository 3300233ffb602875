package entractl_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func TestGuide(t *testing.T) {
	got := run(t.Context(), nil, "integration", "guide")
	require.Equal(t, 0, got.code)
	for _, text := range []string{
		"Connecting an Entra tenant (read_only, cloud global)", "https://entra.microsoft.com",
		"Application Administrator and Cloud Application Administrator cannot consent to application permissions",
		"Who may: Privileged Role Administrator or Global Administrator.", "Copy the Value, not the Secret ID.",
		"Directory (tenant) ID and Application (client) ID", "Optional extras.", "AuditLog.Read.All ",
		"IdentityRiskyUser.Read.All ", "risky users [P2]", "users (can be left out: Directory.Read.All covers it)",
		"entractl integration add ID --tenant-id DIRECTORY-ID --client-id APPLICATION-ID\n",
	} {
		require.Contains(t, got.stdout, text)
	}
	require.NotContains(t, got.stdout, "ReadWrite")
	for line := range strings.Lines(got.stdout) {
		require.LessOrEqual(t, len(line), 117, line)
	}

	got = run(t.Context(), nil, "integration", "guide", "--permission-set", "read_write", "--cloud", "china")
	for _, text := range []string{
		"https://portal.azure.cn", "User.ReadWrite.All*", "UserAuthenticationMethod.ReadWrite.All*", "Directory.ReadWrite.All*",
		"IdentityRiskyUser.ReadWrite.All ", "AuditLog.Read.All ", "Strong: whoever has the application's credential",
		"APPLICATION-ID --cloud china --permission-set read_write\n",
	} {
		require.Contains(t, got.stdout, text)
	}
	for flag, want := range map[string]string{
		"--permission-set": "--permission-set \"x\" must be one of read_only, read_write",
		"--cloud":          "--cloud \"x\" must be one of china, global, us_gov, us_gov_dod",
	} {
		require.Equal(t, result{2, "", "entractl: " + want + "\nRun 'entractl --help' for usage.\n"},
			run(t.Context(), nil, "integration", "guide", flag, "x"))
	}
}

func TestIntegrationHelp(t *testing.T) {
	got := run(t.Context(), nil, "integrations")
	require.Equal(t, 0, got.code)
	for _, command := range []string{"add", "collect", "delete", "edit", "guide", "list", "reset-credentials", "runs", "show", "test", "watch"} {
		require.Contains(t, got.stdout, "\n  "+command+" ")
		require.Equal(t, 0, run(t.Context(), nil, "integration", command, "--help").code)
	}
	require.Equal(t, result{2, "", "entractl: unknown command \"nope\" for \"entractl integration\"\nRun 'entractl --help' for usage.\n"},
		run(t.Context(), nil, "integration", "nope"))
	for _, command := range []string{"show", "test", "runs", "collect", "delete", "edit", "reset-credentials", "watch", "add"} {
		require.Equal(t, 2, run(t.Context(), nil, "integration", command).code, command)
	}
}

func TestIntegrationCompletion(t *testing.T) {
	s := newServer(t)
	s.saved, s.runs = []*controlv1.Integration{contoso(), hub()}, []*controlv1.Run{succeeded()}
	ids := "contoso\tContoso?[31m\nhub\t-\n:4\n"
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"show", ""}, ids},
		{[]string{"delete", ""}, ids},
		{[]string{"watch", ""}, ids},
		{[]string{"watch", "contoso", ""}, "r1\tinitial, succeeded\n:4\n"},
		{[]string{"watch", "contoso", "r1", ""}, ":4\n"},
		{[]string{"show", "contoso", ""}, ":4\n"},
		{[]string{"add", ""}, ":4\n"},
		{[]string{"show", "-o", ""}, "table\njson\nyaml\n:4\n"},
		{[]string{"add", "x", "--cloud", ""}, "global\nus_gov\nus_gov_dod\nchina\n:4\n"},
		{[]string{"add", "x", "--permission-set", ""}, "read_only\nread_write\n:4\n"},
		{[]string{"add", "x", "--confirm-licence", ""}, "P1\nP2\nIntune\n:4\n"},
	} {
		got := s.run(t.Context(), append([]string{"__complete", "integration"}, tc.args...)...)
		require.Equal(t, tc.want, got.stdout, tc.args)
	}
	for _, flag := range []string{"collect --type", "add --without", "edit --with", "edit --without"} {
		got := s.run(t.Context(), append([]string{"__complete", "integration"}, append(strings.Fields(flag), "")...)...)
		require.Contains(t, got.stdout, "signin.interactive\nsignin.non_interactive\n", flag)
	}
	require.Equal(t, ":4\n", run(t.Context(), nil, "__complete", "integration", "show", "").stdout) // no gateway
}
