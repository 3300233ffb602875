package e2e_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	// What the programs are made of, so that a change there makes `go test` run these tests again.
	_ "github.com/entraflow/entraflow/pkg/bus/natsserver"
	_ "github.com/entraflow/entraflow/pkg/clickhouse/embedded"
	_ "github.com/entraflow/entraflow/services/entraflow"
)

// programsEnv names a folder of programs to test instead of building them.
const programsEnv = "ENTRAFLOW_E2E_PROGRAMS"

// programs is the folder of the programs under test.
var programs string

// sources are the programs under test, by package.
var sources = []string{
	"./pkg/bus/natsserver/cmd/nats-embedded",
	"./pkg/clickhouse/cmd/clickhouse-embedded",
	"./services/simulator/cmd/simulator",
	"./services/collector/cmd/collector",
	"./services/directorysync/cmd/directorysync",
	"./services/gateway/cmd/gateway",
	"./services/streamer/cmd/streamer",
	"./services/sink/cmd/sink",
	"./services/entraflow/cmd/entraflow",
	"./services/entractl/cmd/entractl",
}

func TestMain(m *testing.M) {
	var err error
	if programs = os.Getenv(programsEnv); programs == "" {
		programs, err = build(os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building the programs under test:", err)
		os.Exit(1) //nolint:forbidigo // as TestMain must
	}
	// They wait far more than they compute, so more of them run at once than there are cores.
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // as TestMain must
	}
	goleak.VerifyTestMain(m)
}

// build brings the programs up to date; that takes a second if they are. A lock keeps two test runs
// from replacing each other's programs.
func build(log io.Writer) (string, error) {
	root, err := checkout()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "build", "e2e")
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // programs are no secret
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(folder, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	command := exec.Command("go", append([]string{"build", "-o", folder + "/"}, sources...)...)
	command.Dir, command.Stdout, command.Stderr = root, log, log
	return folder, command.Run()
}

// checkout finds the folder of go.work.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.work above the working directory: %w", os.ErrNotExist)
		}
		dir = parent
	}
}
