package entraflow

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// runFile is in the data directory while the program runs, and after it if it did not end in order. It
	// holds the id of the machine's boot.
	runFile = "running"
	// bootIDFile names a boot of a Linux machine, see random(4).
	bootIDFile = "/proc/sys/kernel/random/boot_id"
)

// begin leaves the mark of a run and reports whether the run before ended with its machine: by a power
// cut or a crash of the operating system. Then what NATS had acknowledged may be gone from its files, unless
// it synced every write, and the streamer reads some minutes again. After the death of the process
// alone nothing is gone, and false is returned.
func begin(dataDir string) (lostMachine bool, err error) {
	boot, err := os.ReadFile(bootIDFile)
	if err != nil {
		// Elsewhere than on Linux any disorderly end counts.
		boot = []byte("unknown")
	}
	path := filepath.Join(dataDir, runFile)
	before, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, fmt.Errorf("reading mark of the last run: %w", err)
	default:
		lostMachine = strings.TrimSpace(string(before)) != strings.TrimSpace(string(boot)) || string(boot) == "unknown"
	}
	if err := os.WriteFile(path, boot, 0o600); err != nil {
		return false, fmt.Errorf("leaving mark of this run: %w", err)
	}
	return lostMachine, nil
}

// end takes the mark away: everything was closed in order.
func end(dataDir string) error {
	if err := os.Remove(filepath.Join(dataDir, runFile)); err != nil {
		return fmt.Errorf("removing mark of this run: %w", err)
	}
	return nil
}
