package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
)

// Limits of the listener. Statements have their own; rows may take as long as they take.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 5 * time.Minute
)

// Serve answers the ClickHouse HTTP interface on listener until ctx ends, then waits at most drain for
// the requests under way, cuts off the rest, and returns nil. It closes the listener, not the engine.
func Serve(ctx context.Context, listener net.Listener, engine *Engine, drain time.Duration) error {
	server := &http.Server{Handler: engine, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving clickhouse: %w", err)
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving clickhouse: %w", err)
	}
	return nil
}

// PasswordFile reads the password in path. If there is no such file it makes one with a new password,
// readable by its owner alone. It refuses a file that others can read.
func PasswordFile(path string) (config.Secret, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newPasswordFile(path)
	}
	if err != nil {
		return config.Secret{}, fmt.Errorf("reading password file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return config.Secret{}, fmt.Errorf("password file %s has mode %04o; others must not read it: chmod 600", path, mode)
	}
	return config.ReadSecret(path)
}

func newPasswordFile(path string) (config.Secret, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return config.Secret{}, fmt.Errorf("making password folder: %w", err)
	}
	password := rand.Text()
	// Of two starters one makes the file; the other reads what that one wrote.
	temporary, err := os.CreateTemp(filepath.Dir(path), ".password-*")
	if err != nil {
		return config.Secret{}, fmt.Errorf("making password file: %w", err)
	}
	defer os.Remove(temporary.Name()) //nolint:errcheck // the link stays
	_, err = temporary.WriteString(password + "\n")
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return config.Secret{}, fmt.Errorf("writing password file: %w", err)
	}
	err = os.Link(temporary.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return config.ReadSecret(path)
	}
	if err != nil {
		return config.Secret{}, fmt.Errorf("making password file: %w", err)
	}
	return config.NewSecret(password), nil
}
