//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// readmePatience is how long the README's five minutes may take beside other tests, building included.
const readmePatience = 15 * time.Minute

// TestTheReadmesFiveMinutes runs the README's script of that name, as it stands, in a copy of the checkout. Only what the
// programs read of their environment is its own: addresses, so that it can run beside a product.
func TestTheReadmesFiveMinutes(t *testing.T) {
	t.Parallel()
	root, err := checkout()
	require.NoError(t, err)
	dir := copyOf(t, root)
	script := scriptOf(t, filepath.Join(dir, "README.md"), "Five minutes")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "script"), []byte(script), 0o600))

	gateway := freeAddress(t)
	output, err := runScript(t, dir,
		"ENTRAFLOW_GATEWAY_GRPC_ADDRESS="+gateway, "ENTRAFLOW_GATEWAY_HTTP_ADDRESS=127.0.0.1:0", "ENTRAFLOW_SERVER="+gateway,
		"ENTRAFLOW_ENTRAFLOW_NATS_LISTEN="+freeAddress(t), "ENTRAFLOW_ENTRAFLOW_CLICKHOUSE_LISTEN="+freeAddress(t),
		"ENTRAFLOW_SIMULATOR_LISTEN_AMQP=127.0.0.1:0", "ENTRAFLOW_SIMULATOR_LISTEN_ADMIN=127.0.0.1:0",
		"ENTRAFLOW_SIMULATOR_LISTEN_ENTRA=127.0.0.1:0", "ENTRAFLOW_ADMIN_ADDRESS=127.0.0.1:0",
		"ENTRACTL_CONFIG="+filepath.Join(dir, "entractl.yaml"), "ENTRAFLOW_CONTEXT=", "ENTRAFLOW_TOKEN_FILE=",
	)
	if err != nil {
		product, _ := os.ReadFile(filepath.Join(dir, "build", "run.log")) // as far as it came
		require.NoError(t, err, "%s\n--- build/run.log:\n%s", output, product)
	}
	for what, pattern := range map[string]string{
		"the gateway serves":     `(?m)^gateway +serving$`,
		"the tenant is tested":   `(?m)^Connected!  `,
		"the tenant is saved":    `(?m)^Saved as fabrikam\.$`,
		"progress is shown":      `(?m)^\S+  running  \d+/\d+ windows  `,
		"the history came in":    `(?m)^Run \S+ succeeded: [\d,]{5,} rows of 8 data types in `,
		"sign-ins are found":     `(?m)^TIME +TYPE +USER +APP +IP +COUNTRY +OUTCOME +ERROR\n(\S+Z .* failure +\d+\n){10}`,
		"five failures followed": `(?m)^(\S+Z  signin  .*  failure  \d+\n){5}`,
		"the tail can go on":     `(?m)^entractl: 5 events; go on with --resume \S+$`,
		"streams have readers":   `(?m)^EVENTS +sink +\[`,
	} {
		require.Regexp(t, pattern, output, what)
	}
	dialer := net.Dialer{Timeout: time.Second}
	_, err = dialer.DialContext(t.Context(), "tcp", gateway)
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "the script stops what it started")
}

// runScript runs the file script in dir until its end, and ends all that it has started.
func runScript(t *testing.T, dir string, env ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readmePatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "script")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	group := func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	cmd.Cancel = group
	output, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		_ = group() // nothing is left of a script that came to its end
	}
	return string(output), err
}

// scriptOf returns the first block of shell in the section of a Markdown file.
func scriptOf(t *testing.T, file, section string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	require.True(t, found, "%s has no section %q", file, section)
	block := regexp.MustCompile("(?s)^[^#]*?\n```sh\n(.*?)\n```\n").FindStringSubmatch(rest)
	require.Len(t, block, 2, "the section %q of %s has no script", section, file)
	return block[1] + "\n"
}

// copyOf copies what a checkout has, without what was built and stored in it; the ClickHouse library is linked.
func copyOf(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case name == ".git" || name == "build" || name == "data":
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil // .git is a file in a worktree
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755) //nolint:gosec // sources are no secret
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), text, info.Mode().Perm())
	}))
	build := filepath.Join(dir, "build")
	require.NoError(t, os.Mkdir(build, 0o755)) //nolint:gosec // programs are no secret
	// The test's own run of `make setup` has fetched it.
	require.NoError(t, os.Symlink(filepath.Join(root, "build", "libchdb"), filepath.Join(build, "libchdb")))
	require.NoError(t, os.WriteFile(filepath.Join(build, ".libchdb"), nil, 0o600))
	return dir
}
