package natsserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	directoryMode = 0o700
	lockMode      = 0o600
)

// storeLock keeps a second server off the store: nats-server itself does not look. The lock goes with
// the process, however it ends.
type storeLock struct{ file *os.File }

func lockStore(directory string) (*storeLock, error) {
	if err := os.MkdirAll(directory, directoryMode); err != nil {
		return nil, fmt.Errorf("making store directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(directory, "lock"), os.O_CREATE|os.O_RDWR, lockMode)
	if err != nil {
		return nil, fmt.Errorf("locking store: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking store %s: %w", directory, ErrStoreInUse)
		}
		return nil, fmt.Errorf("locking store: %w", err)
	}
	return &storeLock{file: file}, nil
}

func (l *storeLock) release() {
	if l != nil {
		_ = l.file.Close()
	}
}
