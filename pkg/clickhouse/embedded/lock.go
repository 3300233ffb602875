package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockDataDir makes the data folder and takes the lock on it, which ends with the process however
// that dies. The engine has a lock of its own but reports it on standard error only.
func lockDataDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making data folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "entraflow.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening data folder's lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: another process has data folder %s", ErrInUse, dir)
		}
		return nil, fmt.Errorf("locking data folder: %w", err)
	}
	return file, nil
}
