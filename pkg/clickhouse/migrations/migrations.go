// Package migrations holds the schema of the store as SQL files for clickhouse.Migrate, and nothing
// else. A numbered file never changes once it was released; what rows they hold is said by
// pkg/clickhouse/tables.
package migrations

import (
	"embed"
	"strconv"
)

// Files are the migrations.
//
//go:embed *.sql
var Files embed.FS

// Settings are what the files ask of clickhouse.Schema.
type Settings struct {
	// EventDays is how many days an event, and a state of the directory that is not the newest, is kept after it was
	// stored.
	EventDays int
	// DeadLetterDays is how many days a dead letter is kept after it was stored.
	DeadLetterDays int
	// AuditDays is how many days an entry of the audit log is kept after it was stored.
	AuditDays int
}

// Map returns the settings as Schema takes them.
func (s Settings) Map() map[string]string {
	return map[string]string{
		"event_days":       strconv.Itoa(s.EventDays),
		"dead_letter_days": strconv.Itoa(s.DeadLetterDays),
		"audit_days":       strconv.Itoa(s.AuditDays),
	}
}
