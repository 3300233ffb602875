package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// build compiles the program in a folder of the repository.
func build(t *testing.T, folder string, env ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), filepath.Base(folder))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	cmd.Dir, cmd.Env = filepath.Join("..", "..", folder), append(os.Environ(), env...)
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	return binary
}

// program is a running program.
type program struct {
	cmd    *exec.Cmd
	lines  chan string
	stderr strings.Builder
}

func launch(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{cmd: cmd, lines: make(chan string, 1000)}
	cmd.Stderr = &p.stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	go func() {
		defer close(p.lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			p.lines <- scanner.Text()
		}
	}()
	return p
}

func (p *program) line(t *testing.T) string {
	t.Helper()
	select {
	case line, ok := <-p.lines:
		require.True(t, ok, "the program ended")
		return line
	case <-time.After(patience):
		require.FailNow(t, "the program printed nothing")
		return ""
	}
}

// interrupt sends what Ctrl-C sends, and expects a clean end.
func (p *program) interrupt(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	for range p.lines {
	}
	require.NoError(t, p.cmd.Wait(), p.stderr.String())
}

// The program of the README, with the proto module and a NATS client alone.
func TestTheExampleReadsTheStream(t *testing.T) {
	example := build(t, "examples/tail", "GOWORK=off")
	w := prepareWorld(t)
	p := w.publisher(t)
	named := func(id string) *eventv1.Event {
		e := signIn(id, tenantA)
		e.GetSignIn().UserPrincipalName = id + "@example.com"
		return e
	}
	publish(t, p, named("early"), audit("audit", tenantA))
	cmd := exec.CommandContext(t.Context(), example)
	cmd.Env = append(os.Environ(),
		"NATS_URL="+w.bus.Server.URL(), "NATS_PASSWORD="+w.bus.Server.Password(bus.UserReader).Reveal())
	running := launch(t, cmd)
	require.Equal(t, "2026-11-24 12:00:00 +0000 UTC early@example.com", running.line(t))
	publish(t, p, audit("audit2", tenantB), named("live"))
	require.Equal(t, "2026-11-24 12:00:00 +0000 UTC live@example.com", running.line(t))
	running.interrupt(t)

	cmd = exec.CommandContext(t.Context(), example)
	cmd.Env = append(os.Environ(), "NATS_URL="+w.bus.Server.URL(), "NATS_PASSWORD=wrong")
	output, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(output), "Authorization Violation")
}

// entractl returns a command that asks the gateway of w as a user would.
func (w *world) entractl(ctx context.Context, binary string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "ENTRAFLOW_SERVER="+w.gateway.Addr().String(), "ENTRAFLOW_TOKEN_FILE="+w.cfg.TokenFile)
	return cmd
}

func TestEntractlSearches(t *testing.T) {
	binary := build(t, "services/entractl/cmd/entractl")
	w := newWorld(t)
	for n := range 5 {
		w.insert(t, record{
			id: recordID(n), at: present().Add(time.Duration(n) * time.Minute), user: fmt.Sprintf("user%d@example.com", n),
			app: "app", ip: "203.0.113.7", country: "CH", code: n % 2 * 50126,
		}.event(t))
	}
	run := func(args ...string) string {
		output, err := w.entractl(t.Context(), binary, args...).CombinedOutput()
		require.NoError(t, err, string(output))
		return string(output)
	}
	require.Equal(t, `TIME                      TYPE         USER               APP  IP           COUNTRY  OUTCOME  ERROR
2026-11-24T12:03:00.000Z  interactive  user3@example.com  app  203.0.113.7  CH       failure  50126
2026-11-24T12:01:00.000Z  interactive  user1@example.com  app  203.0.113.7  CH       failure  50126
`, run("signins", "--outcome", "failure", "--ip", "203.0.113.0/24"))
	require.Equal(t, 4, strings.Count(run("signins", "-o", "ndjson", "--limit", "4"), "\n"))
	var found []map[string]any
	require.NoError(t, json.Unmarshal([]byte(run("signins", "--user", "USER2@example.com", "-o", "json", "--raw")), &found))
	require.Len(t, found, 1)
	require.Equal(t, recordID(2), found[0]["source_id"])
	raw, ok := found[0]["raw"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, "SignInLogs", raw["category"])
	require.Equal(t, "gateway            serving\nsign-ins (store)   serving\ndirectory (store)  serving\nevents (bus)       serving\n", run("health"))

	output, err := w.entractl(t.Context(), binary, "signins", "--ip", "house").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(output), "filter.ip: must be an IP address or a network in CIDR form\n")
}

// A tail goes on where it was when the gateway comes back.
func TestEntractlTailsOverARestart(t *testing.T) {
	binary := build(t, "services/entractl/cmd/entractl")
	w := newWorld(t)
	p := w.publisher(t)
	publish(t, p, signIn("1", tenantA))
	tail := launch(t, w.entractl(t.Context(), binary, "tail", "--kinds", "signin", "--since", "1h", "-o", "json"))
	id := func() string {
		var event struct {
			ID string `json:"id"`
		}
		require.NoError(t, json.Unmarshal([]byte(tail.line(t)), &event))
		return event.ID
	}
	require.Equal(t, "1", id())
	w.cfg.GRPC.Address = w.gateway.Addr().String()
	w.stop()
	publish(t, p, signIn("2", tenantA), audit("3", tenantA))
	w.start(t)
	require.Equal(t, "2", id())
	publish(t, p, signIn("4", tenantA))
	require.Equal(t, "4", id())
	tail.interrupt(t)
	require.Contains(t, tail.stderr.String(), "connection lost (the server is stopping); trying again in 500ms\n")
	require.Regexp(t, "entractl: 3 events; go on with --resume [A-Za-z0-9_-]+\n$", tail.stderr.String())
}
