package grpcserver_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
)

func TestEnsureTokenCreatesOnceAndReadsAfter(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	first, err := grpcserver.EnsureToken(path)
	require.NoError(t, err)
	require.Regexp(t, "^[0-9a-f]{64}$", first.Reveal())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	again, err := grpcserver.EnsureToken(path)
	require.NoError(t, err)
	require.Equal(t, first.Reveal(), again.Reveal())
	other, err := grpcserver.EnsureToken(filepath.Join(dir, "other"))
	require.NoError(t, err)
	require.NotEqual(t, first.Reveal(), other.Reveal())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no temporary file stays")
}

func TestEnsureTokenAgreesUnderARace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	const racers = 20
	tokens, errs := make([]config.Secret, racers), make([]error, racers)
	var group sync.WaitGroup
	for i := range racers {
		group.Go(func() { tokens[i], errs[i] = grpcserver.EnsureToken(path) })
	}
	group.Wait()
	for i := range racers {
		require.NoError(t, errs[i])
		require.Equal(t, tokens[0].Reveal(), tokens[i].Reveal())
	}
}

func TestEnsureTokenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o622, 0o601} {
		_, err := grpcserver.EnsureToken(write("open", rightToken, mode))
		require.ErrorIs(t, err, grpcserver.ErrTokenFile, mode)
	}
	_, err := grpcserver.EnsureToken(write("short", rightToken[:63], 0o600))
	require.ErrorIs(t, err, grpcserver.ErrTokenFile)
	_, err = grpcserver.EnsureToken(write("empty", "", 0o600))
	require.ErrorContains(t, err, "is empty")
	_, err = grpcserver.EnsureToken(filepath.Join(dir, "none", "token"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
