package proc_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/services/entraflow/internal/proc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func shell(t *testing.T, script string) *proc.Process {
	t.Helper()
	p, err := proc.Start(t.Context(), proc.Command{Path: "/bin/sh", Args: []string{"-c", script}, Log: t.Output()})
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p
}

func TestAnnouncedThenStopped(t *testing.T) {
	p := shell(t, `trap 'exit 0' TERM; echo '{"address":"127.0.0.1:1"}'; while :; do sleep 0.05; done`)
	var announcement struct{ Address string }
	require.NoError(t, p.Announced(t.Context(), &announcement))
	require.Equal(t, "127.0.0.1:1", announcement.Address)

	used, err := p.Used()
	require.NoError(t, err)
	require.Positive(t, used.PeakRSS)
	require.NoError(t, p.Stop(10*time.Second))
	used, err = p.Used()
	require.NoError(t, err)
	require.Positive(t, used.PeakRSS)
}

func TestProgramThatAnnouncesNothing(t *testing.T) {
	p := shell(t, `exit 3`)
	require.ErrorIs(t, p.Announced(t.Context(), &struct{}{}), proc.ErrNoAnnouncement)
	var exit *exec.ExitError
	require.ErrorAs(t, p.Wait(), &exit)
	require.Equal(t, 3, exit.ExitCode())
}

func TestKillAndFreeze(t *testing.T) {
	p := shell(t, `echo 1; while :; do sleep 0.05; done`)
	var one int
	require.NoError(t, p.Announced(t.Context(), &one))
	require.NoError(t, p.Signal(syscall.SIGSTOP))
	require.NoError(t, p.Signal(syscall.SIGCONT))
	p.Kill()
	require.ErrorIs(t, p.Signal(syscall.SIGTERM), os.ErrProcessDone)
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	p := shell(t, `trap '' TERM; echo 1; while :; do sleep 0.05; done`)
	var one int
	require.NoError(t, p.Announced(t.Context(), &one))
	require.ErrorContains(t, p.Stop(50*time.Millisecond), "still there")
}
