package embedded

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
)

// Sizes of memory.
const (
	KiB = 1 << 10
	MiB = 1 << 20
	GiB = 1 << 30
)

// Config is what a user may set of the embedded engine.
type Config struct {
	// DataDir is the folder that holds the tables and the engine's own configuration. It is made if
	// absent. One process at a time may use it.
	DataDir string `yaml:"data_dir"`
	// LibraryPath is the path of libchdb. Empty: see FindLibrary.
	LibraryPath string `yaml:"library_path"`
	// Connections bounds the statements that run at the same time; further callers wait.
	Connections int `yaml:"connections"`
	// MaxMemoryBytes bounds what the engine as a whole allocates, caches and merges included.
	// Statements beyond it fail with MEMORY_LIMIT_EXCEEDED (241).
	MaxMemoryBytes int64 `yaml:"max_memory_bytes"`
	// MaxStatementMemoryBytes bounds one statement. No client can raise it.
	MaxStatementMemoryBytes int64 `yaml:"max_statement_memory_bytes"`
	// MaxThreads bounds the threads of one statement. 0: the number of cores.
	MaxThreads int `yaml:"max_threads"`
	// BackgroundThreads is the number of threads that merge parts.
	BackgroundThreads int `yaml:"background_threads"`
	// MarkCacheBytes bounds the cache of index marks.
	MarkCacheBytes int64 `yaml:"mark_cache_bytes"`
	// SyncWrites makes an insert reach the disk before it is acknowledged, so that it survives a
	// power failure. Without it an insert survives the death of any process, not of the machine.
	SyncWrites bool `yaml:"sync_writes"`
}

// DefaultConfig returns the settings for a machine shared with the rest of the program. DataDir is
// left empty: every program has its own.
func DefaultConfig() Config {
	return Config{
		Connections:             8,
		MaxMemoryBytes:          2 * GiB,
		MaxStatementMemoryBytes: 1 * GiB,
		BackgroundThreads:       2,
		MarkCacheBytes:          64 * MiB,
	}
}

// Validate returns every fault of the configuration, each under its key.
func (c Config) Validate() error {
	var faults []error
	fault := func(bad bool, key, want string) {
		if bad {
			faults = append(faults, fmt.Errorf("%s: %s", key, want))
		}
	}
	fault(c.DataDir == "", "data_dir", "must be set")
	fault(c.Connections < 1 || c.Connections > 256, "connections", "must be between 1 and 256")
	fault(c.MaxMemoryBytes < 256*MiB, "max_memory_bytes", "must be at least 256 MiB")
	fault(c.MaxStatementMemoryBytes < 64*MiB, "max_statement_memory_bytes", "must be at least 64 MiB")
	fault(c.MaxStatementMemoryBytes > c.MaxMemoryBytes, "max_statement_memory_bytes", "must not exceed max_memory_bytes")
	fault(c.MaxThreads < 0, "max_threads", "must not be negative")
	fault(c.BackgroundThreads < 1 || c.BackgroundThreads > 64, "background_threads", "must be between 1 and 64")
	fault(c.MarkCacheBytes < 1*MiB, "mark_cache_bytes", "must be at least 1 MiB")
	return errors.Join(faults...)
}

func (c Config) threads() int {
	if c.MaxThreads > 0 {
		return c.MaxThreads
	}
	return runtime.NumCPU()
}

// User may speak to the engine over HTTP.
type User struct {
	Name     string
	Password string
	// ReadOnly lets the user read and nothing else.
	ReadOnly bool
}

// String keeps the password out of logs and errors.
func (u User) String() string { return u.Name }

// Settings is what the program sets.
type Settings struct {
	// Users may call ServeHTTP. Without any, ServeHTTP refuses every request; RoundTripper needs none.
	Users []User
}

func (s Settings) validate() error {
	for _, user := range s.Users {
		if user.Name == "" || user.Password == "" {
			return errors.New("users: each needs a name and a password")
		}
	}
	return nil
}

// account is a User with digests in place of its secrets, so that comparing takes the same time
// whatever is wrong.
type account struct {
	name     [sha256.Size]byte
	password [sha256.Size]byte
	readOnly bool
}

func newAccounts(users []User) []account {
	accounts := make([]account, 0, len(users))
	for _, user := range users {
		accounts = append(accounts, account{
			name:     sha256.Sum256([]byte(user.Name)),
			password: sha256.Sum256([]byte(user.Password)),
			readOnly: user.ReadOnly,
		})
	}
	return accounts
}
