package seal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/seal"
)

func open(t *testing.T, file string) *seal.Sealer {
	t.Helper()
	s, err := seal.Open(t.Context(), seal.Config{KeyFile: file})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestWhatIsSealedOpensInItsContextAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys", "seal.key")
	s := open(t, file)
	secret := []byte("the value of a secret")
	one, err := s.Seal(t.Context(), secret, "integrations/a")
	require.NoError(t, err)
	two, err := s.Seal(t.Context(), secret, "integrations/a")
	require.NoError(t, err)
	require.NotEqual(t, one, two, "equal secrets must not look equal")
	require.NotContains(t, string(one), string(secret))

	again := open(t, file)
	got, err := again.Unseal(t.Context(), one, "integrations/a")
	require.NoError(t, err)
	require.Equal(t, secret, got)

	damaged := append([]byte{}, one...)
	damaged[len(damaged)-1] ^= 1
	other := open(t, filepath.Join(t.TempDir(), "other.key"))
	for name, try := range map[string]func() ([]byte, error){
		"other context": func() ([]byte, error) { return s.Unseal(t.Context(), one, "integrations/b") },
		"other key":     func() ([]byte, error) { return other.Unseal(t.Context(), one, "integrations/a") },
		"damaged":       func() ([]byte, error) { return s.Unseal(t.Context(), damaged, "integrations/a") },
		"cut":           func() ([]byte, error) { return s.Unseal(t.Context(), one[:10], "integrations/a") },
		"empty":         func() ([]byte, error) { return s.Unseal(t.Context(), nil, "integrations/a") },
		"other form":    func() ([]byte, error) { return s.Unseal(t.Context(), append([]byte{9}, one[1:]...), "integrations/a") },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := try()
			require.ErrorIs(t, err, seal.ErrNotOpened)
			require.NotContains(t, err.Error(), string(secret))
		})
	}
}

func TestKeyFileIsItsOwnersAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seal.key")
	open(t, file)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, os.WriteFile(file, []byte("zz"), 0o600))
	_, err = seal.Open(t.Context(), seal.Config{KeyFile: file})
	require.ErrorContains(t, err, "64 hexadecimal digits")
}

func TestConfigNamesItsFaults(t *testing.T) {
	require.ErrorContains(t, seal.Config{}.Validate(), "key_file")
	require.ErrorContains(t, seal.Config{KeyURL: "file:///x"}.Validate(), "key_url")
	require.NoError(t, seal.Config{KeyURL: "hashivault://mykey"}.Validate())
	require.NoError(t, seal.DefaultConfig().Validate())
}

func TestSealIsBounded(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "seal.key"))
	_, err := s.Seal(t.Context(), make([]byte, seal.MaxPlaintext+1), "x")
	require.ErrorContains(t, err, "more than")
}
