package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

var (
	// ErrChangedMigration reports a migration whose text is not the one that was applied.
	ErrChangedMigration = errors.New("migration was changed after it was applied")
	// ErrMigrationOrder reports a new migration whose number is below one that was applied.
	ErrMigrationOrder = errors.New("migration comes before one that was applied")
)

// Locker keeps other processes from migrating at the same time.
type Locker interface {
	// Lock waits until no other process migrates, or ctx ends. held ends when the lock is lost;
	// unlock gives it back and may be called then too.
	Lock(ctx context.Context) (held context.Context, unlock func(), err error)
}

// MigrateOptions say how migrations are rendered and run.
type MigrateOptions struct {
	// Schema holds what migrations may use. See Schema.
	Schema Schema
	// Locker is needed where several processes share the store. Nil: this process alone migrates.
	Locker Locker
	Logger *slog.Logger
}

// Migrate brings the schema of conn's database up to date with the files in folder, forward only.
//
// NNNN_name.sql runs once, in the order of the numbers, and must never change after: its checksum is
// kept in the table schema_migrations. repeat_name.sql runs after those whenever its rendered text
// differs from the one that ran last, which is how a changed setting such as a TTL takes effect. Files
// hold statements that end with semicolons and are text/templates with the functions of Schema.
// ClickHouse has no transactions: a migration that fails is run again from its first statement, so
// each statement must bear that (IF NOT EXISTS).
//
// It returns ErrChangedMigration or ErrMigrationOrder before anything is run. Migrations that the
// store has and folder lacks are those of a newer release and no error.
func Migrate(ctx context.Context, conn driver.Conn, folder fs.FS, options MigrateOptions) error {
	migrations, err := readMigrations(folder, options.Schema)
	if err != nil {
		return err
	}
	if options.Locker != nil {
		held, unlock, err := options.Locker.Lock(ctx)
		if err != nil {
			return fmt.Errorf("locking schema: %w", err)
		}
		defer unlock()
		ctx = held
	}
	m := migrator{conn: conn, schema: options.Schema, logger: options.Logger}
	if m.logger == nil {
		m.logger = slog.New(slog.DiscardHandler)
	}
	return m.run(ctx, migrations)
}

// migrator runs migrations over one connection.
type migrator struct {
	conn   driver.Conn
	schema Schema
	logger *slog.Logger
}

const historyTable = "schema_migrations"

func (m migrator) run(ctx context.Context, migrations []migration) error {
	for _, statement := range splitStatements(m.schema.historyTable()) {
		if err := m.conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("creating %s: %w", historyTable, err)
		}
	}
	applied, err := m.applied(ctx)
	if err != nil {
		return err
	}
	due, err := pending(migrations, applied)
	if err != nil {
		return err
	}
	for _, migration := range due {
		if err := m.apply(ctx, migration); err != nil {
			return err
		}
	}
	return nil
}

// applied returns the checksum of what ran last under each name.
func (m migrator) applied(ctx context.Context) (map[string]string, error) {
	rows, err := m.conn.Query(ctx, "SELECT name, argMax(checksum, applied_at) FROM "+historyTable+" GROUP BY name")
	if err != nil {
		return nil, fmt.Errorf("reading applied migrations: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err tells
	applied := make(map[string]string)
	for rows.Next() {
		var name, checksum string
		if err := rows.Scan(&name, &checksum); err != nil {
			return nil, fmt.Errorf("reading applied migrations: %w", err)
		}
		applied[name] = checksum
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading applied migrations: %w", err)
	}
	return applied, nil
}

// pending returns what has to run, in its order.
func pending(migrations []migration, applied map[string]string) ([]migration, error) {
	var newest int
	for name := range applied {
		if number, _, err := parseName(name); err == nil {
			newest = max(newest, number)
		}
	}
	var due []migration
	for _, migration := range migrations {
		checksum, done := applied[migration.name]
		switch {
		case done && checksum == migration.checksum:
		case migration.repeats():
			due = append(due, migration)
		case done:
			return nil, fmt.Errorf("%w: %s", ErrChangedMigration, migration.name)
		case migration.number < newest:
			return nil, fmt.Errorf("%w: %s, newest applied is %04d", ErrMigrationOrder, migration.name, newest)
		default:
			due = append(due, migration)
		}
	}
	return due, nil
}

func (m migrator) apply(ctx context.Context, migration migration) error {
	start := time.Now()
	for i, statement := range splitStatements(migration.sql) {
		if err := m.conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("applying migration %s, statement %d: %w", migration.name, i+1, err)
		}
	}
	err := m.conn.Exec(ctx, "INSERT INTO "+historyTable+" (name, checksum, applied_at) SELECT ?, ?, now64(3)",
		migration.name, migration.checksum)
	if err != nil {
		return fmt.Errorf("recording migration %s: %w", migration.name, err)
	}
	m.logger.InfoContext(ctx, "applied migration",
		slog.String("migration", migration.name), slog.Duration("duration", time.Since(start)))
	return nil
}

func checksumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
