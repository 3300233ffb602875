package entractl_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the manual instead of comparing it")

// manual is where the manual is kept.
var manual = filepath.Join("..", "..", "docs", "entractl")

// pages are the files of a folder.
func pages(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := map[string]string{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(t, err)
		all[entry.Name()] = string(text)
	}
	return all
}

func TestTheManualIsUpToDate(t *testing.T) {
	if *update {
		require.NoError(t, os.RemoveAll(manual))
		require.Equal(t, result{}, run(t.Context(), nil, "docs", "--format", "markdown", "--dir", manual))
	}
	dir := filepath.Join(t.TempDir(), "new")
	// Nothing of who runs it gets into the manual.
	env := map[string]string{"ENTRAFLOW_SERVER": "203.0.113.1:1", "ENTRAFLOW_TOKEN_FILE": "secret", "ENTRACTL_CONFIG": filepath.Join(dir, "none")}
	require.Equal(t, result{}, run(t.Context(), env, "docs", "--dir", dir))
	require.Empty(t, gocmp.Diff(pages(t, manual), pages(t, dir)), "run `go test -run TestTheManualIsUpToDate -update` in services/entractl")
}

func TestManPages(t *testing.T) {
	dir := t.TempDir()
	require.Equal(t, result{}, run(t.Context(), nil, "docs", "--format", "man", "--dir", dir))
	all := pages(t, dir)
	require.Contains(t, all, "entractl-context-set.1")
	require.Contains(t, all["entractl-tail.1"], "\\fB--filter\\fP")
	usage := "\nRun 'entractl --help' for usage.\n"
	require.Equal(t, result{2, "", "entractl: --format \"pdf\" must be man or markdown" + usage}, run(t.Context(), nil, "docs", "--format", "pdf", "--dir", dir))
	require.Equal(t, result{2, "", "entractl: --dir is missing: the folder to write to" + usage}, run(t.Context(), nil, "docs"))
}

// Whoever looks for a command finds an example of it, and each flag says what it is for.
func TestEachCommandIsExplained(t *testing.T) {
	for name, page := range pages(t, manual) {
		if strings.HasPrefix(name, "entractl_completion") || name == "entractl.md" {
			continue
		}
		require.Contains(t, page, "### Examples", name)
	}
}
