package simulator_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/services/simulator"
)

// TestReadme starts the command as the README says, and runs the curl commands of its section on Entra and Graph.
func TestReadme(t *testing.T) {
	folder := t.TempDir()
	ca, secret := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "secret")
	out, in := io.Pipe()
	signals := make(chan os.Signal, 1)
	var log bytes.Buffer
	p := app.Process{
		Args: []string{
			"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--listen-entra", "127.0.0.1:0", "--listen-entra-http", "127.0.0.1:0",
			"--ca-out", ca, "--entra", "--entra-users", "200", "--entra-days", "3", "--entra-seed", "7", "--entra-secret-file", secret,
		},
		Stdout: in, Stderr: &log, Signals: signals,
	}
	code := make(chan int, 1)
	go func() { code <- app.Execute(context.WithoutCancel(t.Context()), p, simulator.Command(p)) }()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err) // the log is the program's until it has ended
	var a simulator.Announcement
	require.NoError(t, json.Unmarshal(line, &a))
	require.NotNil(t, a.Tenant)
	require.Equal(t, []string{ca, secret}, []string{a.CAFile, a.Tenant.SecretFile})

	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(readme), "<!-- TestReadme runs these. -->\n")
	require.True(t, found)
	script, _, _ := strings.Cut(section, "\n| admin route")
	run := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	run.Env = append(os.Environ(),
		"CA="+ca, "LOGIN="+a.Login, "GRAPH="+a.Graph, "HTTP="+a.HTTP, "TENANT="+a.Tenant.TenantID, "CLIENT="+a.Tenant.ClientID,
		"SECRET_FILE="+secret, "A=http://"+a.Admin, "H=Authorization: Bearer "+a.AdminToken)
	answer, err := run.CombinedOutput()
	require.NoError(t, err, string(answer))
	for _, want := range []string{"signInEventTypes", "skuPartNumber", `"signin.interactive":`, `"bucket":"reports"`, "@odata.nextLink", "Ann Example", `"memberships":`, "Report Refresh Date", `"user_code":`, `"refresh_token":`} {
		require.Contains(t, string(answer), want)
	}

	value, err := os.ReadFile(secret)
	require.NoError(t, err)
	info, err := os.Stat(secret)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	signals <- os.Interrupt
	require.Equal(t, app.ExitClean, <-code, log.String())
	require.NotContains(t, log.String()+string(answer)+string(line), strings.TrimSpace(string(value)))
}
