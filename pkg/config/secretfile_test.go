package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
)

func TestEnsureSecretFileCreatesOnceAndReadsAfter(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data", "credentials")
	path := filepath.Join(folder, "secret")
	first, err := config.EnsureSecretFile(path)
	require.NoError(t, err)
	require.Regexp(t, "^[0-9a-f]{64}$", first.Reveal())
	for name, mode := range map[string]os.FileMode{path: 0o600, folder: 0o700, filepath.Dir(folder): 0o700} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}

	again, err := config.EnsureSecretFile(path)
	require.NoError(t, err)
	require.Equal(t, first.Reveal(), again.Reveal())
	other, err := config.EnsureSecretFile(filepath.Join(folder, "other"))
	require.NoError(t, err)
	require.NotEqual(t, first.Reveal(), other.Reveal())
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no temporary file stays")
}

func TestEnsureSecretFileKeepsWhatIsThere(t *testing.T) {
	secret, err := config.EnsureSecretFile(write(t, "secret", "chosen by hand\n"))
	require.NoError(t, err)
	require.Equal(t, "chosen by hand", secret.Reveal())
}

func TestEnsureSecretFileAgreesUnderARace(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "credentials")
	const racers = 20
	secrets, errs := make([]config.Secret, racers), make([]error, racers)
	var group sync.WaitGroup
	for i := range racers {
		group.Go(func() { secrets[i], errs[i] = config.EnsureSecretFile(filepath.Join(folder, "secret")) })
	}
	group.Wait()
	for i := range racers {
		require.NoError(t, errs[i])
		require.Equal(t, secrets[0].Reveal(), secrets[i].Reveal())
	}
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file stays")
}

func TestEnsureSecretFileRefuses(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o604, 0o622, 0o601} {
		path := write(t, "open", "secret")
		require.NoError(t, os.Chmod(path, mode))
		_, err := config.EnsureSecretFile(path)
		require.ErrorIs(t, err, config.ErrSecretFile, mode)
	}
	_, err := config.EnsureSecretFile(write(t, "empty", "\n"))
	require.ErrorContains(t, err, "is empty")
	_, err = config.EnsureSecretFile(write(t, "large", strings.Repeat("x", 64<<10+1)))
	require.ErrorContains(t, err, "is larger than 64KiB")
	_, err = config.EnsureSecretFile(filepath.Join(write(t, "file", "x"), "secret"))
	require.ErrorContains(t, err, "not a directory")
}
