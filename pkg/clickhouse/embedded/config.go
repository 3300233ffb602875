package embedded

import (
	"crypto/sha256"
	"errors"
	"runtime"

	"github.com/entraflow/entraflow/pkg/config"
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
	// MaxMemory bounds what the engine as a whole allocates, caches and merges included.
	// Statements beyond it fail with MEMORY_LIMIT_EXCEEDED (241).
	MaxMemory config.Bytes `yaml:"max_memory"`
	// MaxStatementMemory bounds one statement. No client can raise it.
	MaxStatementMemory config.Bytes `yaml:"max_statement_memory"`
	// MaxThreads bounds the threads of one statement. 0: the number of cores.
	MaxThreads int `yaml:"max_threads"`
	// BackgroundThreads is the number of threads that merge parts. Merging a row costs about twice what
	// inserting it costs; with fewer threads it is put off while much comes.
	BackgroundThreads int `yaml:"background_threads"`
	// MarkCache bounds the cache of index marks.
	MarkCache config.Bytes `yaml:"mark_cache"`
	// SyncWrites makes an insert reach the disk before it is acknowledged, so that it survives a
	// power failure. Without it an insert survives the death of any process, not of the machine.
	SyncWrites bool `yaml:"sync_writes"`
}

// DefaultConfig returns the settings for a machine shared with the rest of the program. DataDir is
// left empty: every program has its own.
func DefaultConfig() Config {
	return Config{
		Connections:        8,
		MaxMemory:          2 * config.GiB,
		MaxStatementMemory: 1 * config.GiB,
		BackgroundThreads:  max(1, runtime.NumCPU()/2),
		MarkCache:          64 * config.MiB,
	}
}

// Validate returns every fault of the configuration, each under its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.DataDir != "", "data_dir", "must be set")
	p.Check(c.Connections >= 1 && c.Connections <= 256, "connections", "must be between 1 and 256")
	p.Check(c.MaxMemory >= 256*config.MiB, "max_memory", "must be at least 256MiB")
	p.Check(c.MaxStatementMemory >= 64*config.MiB, "max_statement_memory", "must be at least 64MiB")
	p.Check(c.MaxStatementMemory <= c.MaxMemory, "max_statement_memory", "must not exceed max_memory")
	p.Check(c.MaxThreads >= 0, "max_threads", "must not be negative")
	p.Check(c.BackgroundThreads >= 1 && c.BackgroundThreads <= 64, "background_threads", "must be between 1 and 64")
	p.Check(c.MarkCache >= config.MiB, "mark_cache", "must be at least 1MiB")
	return p.Err()
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
	Password config.Secret
	// ReadOnly lets the user read and nothing else.
	ReadOnly bool
}

// Settings is what the program sets.
type Settings struct {
	// Users may call ServeHTTP. Without any, ServeHTTP refuses every request; RoundTripper needs none.
	Users []User
}

func (s Settings) validate() error {
	for _, user := range s.Users {
		if user.Name == "" || user.Password.IsZero() {
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
			password: sha256.Sum256([]byte(user.Password.Reveal())),
			readOnly: user.ReadOnly,
		})
	}
	return accounts
}
