package entraflow

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyALostMachineIsUnclean(t *testing.T) {
	dir := t.TempDir()
	lost, err := begin(dir)
	require.NoError(t, err)
	require.False(t, lost, "the first run")

	if _, err := os.Stat(bootIDFile); err == nil {
		lost, err = begin(dir)
		require.NoError(t, err)
		require.False(t, lost, "the process was killed, the machine went on")
	}

	require.NoError(t, os.WriteFile(filepath.Join(dir, runFile), []byte("another boot\n"), 0o600))
	lost, err = begin(dir)
	require.NoError(t, err)
	require.True(t, lost, "the machine started again since")

	require.NoError(t, end(dir))
	lost, err = begin(dir)
	require.NoError(t, err)
	require.False(t, lost, "the last run ended in order")
}
