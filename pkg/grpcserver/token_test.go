package grpcserver_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
)

func TestEnsureToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	made, err := grpcserver.EnsureToken(path)
	require.NoError(t, err)
	again, err := grpcserver.EnsureToken(path)
	require.NoError(t, err)
	require.Equal(t, made.Reveal(), again.Reveal())

	require.NoError(t, os.WriteFile(path, []byte(rightToken[:63]+"\n"), 0o600))
	_, err = grpcserver.EnsureToken(path)
	require.ErrorIs(t, err, config.ErrSecretFile)
	require.ErrorContains(t, err, "less than 64 characters")
	require.NoError(t, os.Chmod(path, 0o640))
	_, err = grpcserver.EnsureToken(path)
	require.ErrorIs(t, err, config.ErrSecretFile)
}
