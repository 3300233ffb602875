package contexts_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/entractl/internal/contexts"
)

func TestNothingIsLostBetweenProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "config.yaml")
	const writers = 20
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() {
			// As processes, each has a store of its own.
			if err := contexts.NewStore(path).Update(t.Context(), func(f *contexts.File) error {
				return f.Put(contexts.Context{Name: fmt.Sprintf("c%02d", n), Server: "x:1"})
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	f, err := contexts.NewStore(path).Load()
	require.NoError(t, err)
	require.Len(t, f.Contexts, writers)
	require.NotEmpty(t, f.Current)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 2, "the file and its lock")
}

func TestWhatFailsChangesNothing(t *testing.T) {
	s := contexts.NewStore(filepath.Join(t.TempDir(), "config.yaml"))
	require.NoError(t, s.Update(t.Context(), func(f *contexts.File) error { return f.Put(contexts.Context{Name: "a", Server: "x:1"}) }))
	before, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	fault := errors.New("fault")
	require.ErrorIs(t, s.Update(t.Context(), func(f *contexts.File) error { f.Contexts = nil; return fault }), fault)
	require.ErrorIs(t, s.Update(t.Context(), func(f *contexts.File) error { return f.Put(contexts.Context{Name: "../x"}) }), contexts.ErrName)
	require.ErrorIs(t, s.Update(t.Context(), func(f *contexts.File) error { return f.Delete("b") }), contexts.ErrNotFound)
	after, err := os.ReadFile(s.Path())
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

func TestLogins(t *testing.T) {
	s := contexts.NewStore(filepath.Join(t.TempDir(), "config.yaml"))
	_, err := s.Login("prod")
	require.ErrorIs(t, err, contexts.ErrNotFound)
	want := contexts.Login{Server: "x:1", Issuer: "https://i", ClientID: "c", AccessToken: "a", RefreshToken: "r", Expiry: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	require.NoError(t, s.SaveLogin("prod", want))
	got, err := s.Login("prod")
	require.NoError(t, err)
	require.Empty(t, gocmp.Diff(want, got))
	for _, text := range []string{fmt.Sprint(got), fmt.Sprintf("%+v", got), fmt.Sprintf("%#v", got)} {
		require.Equal(t, "login for x:1", text)
	}
	file := filepath.Join(filepath.Dir(s.Path()), "logins", "prod.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"access_token": "topsecret`), 0o600))
	_, err = s.Login("prod")
	require.ErrorIs(t, err, contexts.ErrDamaged)
	require.NotContains(t, err.Error(), "topsecret")
	require.NoError(t, s.DeleteLogin("prod"))
	require.NoError(t, s.DeleteLogin("prod"))
	require.NoFileExists(t, file)
	require.ErrorIs(t, s.DeleteLogin("../../prod"), contexts.ErrName)
}

func TestBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte("# "+strings.Repeat("x", 1<<20)), 0o600))
	_, err := contexts.NewStore(path).Load()
	require.ErrorIs(t, err, contexts.ErrDamaged)
	var f contexts.File
	for n := range contexts.MaxContexts {
		require.NoError(t, f.Put(contexts.Context{Name: fmt.Sprint("c", n)}))
	}
	require.Error(t, f.Put(contexts.Context{Name: "more"}))
	require.NoError(t, f.Put(contexts.Context{Name: "c1", Server: "x:1"}))
	require.Error(t, contexts.CheckName(strings.Repeat("x", 65)))
	require.ErrorIs(t, contexts.NewStore("").Update(t.Context(), func(*contexts.File) error { return nil }), contexts.ErrNowhere)
}
