package directorysync_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// TestTheExampleKeepsTheUsers builds the program of the proto module's README with that module and a NATS client alone,
// starts it when the directory is there already, and lets it follow.
func TestTheExampleKeepsTheUsers(t *testing.T) {
	folder := filepath.Join("..", "..", "examples", "users")
	binary := filepath.Join(t.TempDir(), "users")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	build.Dir, build.Env = folder, append(os.Environ(), "GOWORK=off")
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))

	w := newWorld(t)
	id := w.addTenant(tenantConfig(6))
	w.connect("contoso", id)
	w.start(w.config())
	d, err := w.sim.Directory(id)
	require.NoError(t, err)
	d.Change(6, 300, time.Now())
	w.agree(id, time.Minute)

	program := exec.CommandContext(t.Context(), binary)
	program.Env = append(os.Environ(), "NATS_URL="+w.bus.Server.URL(), "NATS_PASSWORD="+w.bus.Server.Password(bus.UserReader).Reveal())
	program.Stderr = os.Stderr
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	lines := bufio.NewScanner(stdout)
	until := func() {
		want := fmt.Sprintf("%d users", len(w.truth(id, tenant.Users)))
		for lines.Scan() {
			if lines.Text() == want {
				return
			}
		}
		require.Fail(t, "the program ended", "before it printed %s", want)
	}
	until()
	d.Change(7, 300, time.Now())
	until()
	require.NoError(t, program.Process.Signal(os.Interrupt))
	for lines.Scan() {
	}
	require.NoError(t, program.Wait())
}

// TestTheReadmeHasTheExample compares the README with the program.
func TestTheReadmeHasTheExample(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "proto", "README.md"))
	require.NoError(t, err)
	program, err := os.ReadFile(filepath.Join("..", "..", "examples", "users", "main.go"))
	require.NoError(t, err)
	_, shown, ok := strings.Cut(string(readme), "```go\n")
	require.True(t, ok)
	shown, _, _ = strings.Cut(shown, "```")
	require.Contains(t, strings.ReplaceAll(string(program), "\n\t", "\n"), shown)
}
