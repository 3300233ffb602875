// Package lifecycletest holds the contract every lifecycle.Service passes.
//
// It builds, starts and stops services through the function a test gives it, and looks at
// the goroutines and open files of the test process. Everything a service depends on is
// opened by the test before, and closed by it after.
package lifecycletest

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/lifecycle"
)

// patience bounds every wait of the suite: a service that needs longer to get ready is broken.
const patience = 30 * time.Second

// stay is how long a service is watched for ending by itself.
const stay = 100 * time.Millisecond

// Run checks that the services made by newService obey the contract of lifecycle.Service.
// newService is called several times, never while an earlier service runs; each call returns
// a new service on the same dependencies, which are up and stay up. newService must do
// nothing but call New.
func Run(t *testing.T, newService func(t *testing.T) lifecycle.Service) {
	t.Helper()
	t.Run("has a plain name", func(t *testing.T) {
		require.Regexp(t, `^[a-z][a-z0-9_]*$`, newService(t).Name())
		first, second := newService(t), newService(t)
		require.Equal(t, first.Name(), second.Name())
	})
	t.Run("opens nothing in New", func(t *testing.T) { opensNothing(t, newService) })
	t.Run("gets ready and stops within the budget", func(t *testing.T) {
		startAndStop(t, newService(t))
	})
	t.Run("starts again after a stop", func(t *testing.T) {
		startAndStop(t, newService(t))
		startAndStop(t, newService(t))
	})
	t.Run("stops before it is ready", func(t *testing.T) {
		leaks := goleak.IgnoreCurrent()
		ctx, stop := context.WithCancel(t.Context())
		done := start(ctx, lifecycle.NewGroup(lifecycle.DefaultDrain, newService(t)))
		stop()
		require.NoError(t, await(t, done))
		goleak.VerifyNone(t, leaks)
	})
	t.Run("runs under a context that is done", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		done := make(chan error, 1)
		service := newService(t)
		go func() { done <- service.Run(ctx) }()
		require.NoError(t, await(t, done))
	})
}

func opensNothing(t *testing.T, newService func(t *testing.T) lifecycle.Service) {
	t.Helper()
	// The first service may make the runtime or a library set itself up, once a process.
	newService(t)
	leaks, files := goleak.IgnoreCurrent(), openFiles(t)
	service := newService(t)
	goleak.VerifyNone(t, leaks)
	require.Equal(t, files, openFiles(t), "New must not open files or sockets")
	runtime.KeepAlive(service)
}

// startAndStop asks twice to stop: the second time changes nothing.
func startAndStop(t *testing.T, service lifecycle.Service) {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	group := lifecycle.NewGroup(lifecycle.DefaultDrain, service)
	done := start(ctx, group)
	select {
	case <-group.Ready():
	case err := <-done:
		require.FailNow(t, "the service ended before it was ready", "error: %v", err)
	case <-time.After(patience):
		require.FailNow(t, "the service did not get ready")
	}
	select {
	case err := <-done:
		require.FailNow(t, "the service ended without being asked to", "error: %v", err)
	case <-time.After(stay):
	}
	stop()
	stop()
	require.NoError(t, await(t, done))
	goleak.VerifyNone(t, leaks)
}

func start(ctx context.Context, group *lifecycle.Group) <-chan error {
	done := make(chan error, 1)
	go func() { done <- group.Run(ctx) }()
	return done
}

func await(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		require.FailNow(t, "the service did not stop")
		return nil
	}
}

// openFiles lists what the descriptors of this process point to. Where there is no /proc it
// is empty, and New is checked by its goroutines alone.
func openFiles(t *testing.T) []string {
	t.Helper()
	if runtime.GOOS != "linux" {
		return nil
	}
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	files := make([]string, 0, len(entries))
	for _, entry := range entries {
		// The descriptor of the listing itself is closed again by now.
		if target, err := os.Readlink(filepath.Join(dir, entry.Name())); err == nil {
			files = append(files, target)
		}
	}
	return files
}
