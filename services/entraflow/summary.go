package entraflow

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
)

// Summary says what became of the records that a run took. On an empty data directory
// EventsIn = sum of Stored, without the directory, + Duplicates + DeadLetters.
type Summary struct {
	// EventsIn is how many records were read from the hubs and from Graph, those that were read again too.
	EventsIn uint64 `json:"events_in"`
	// Duplicates is how many of them have an id that another record had before.
	Duplicates uint64 `json:"duplicates"`
	// Stored is how many rows the store has now (FINAL) by data type, those of earlier runs included. With a simulated
	// tenant they are its own alone, and there are the objects of its directory, too: how many are not deleted by kind, as
	// "directory.user", and how many links there are, as "directory.membership".
	Stored map[string]uint64 `json:"stored"`
	// Truth is how many records and objects the simulated tenant has, by the same names: what Stored must be. Absent
	// without one.
	Truth map[string]uint64 `json:"truth,omitempty"`
	// DeadLetters is how many records of this run could not be read or stored.
	DeadLetters uint64 `json:"dead_letters"`
	// DeadLetterReasons counts the store's dead letters by reason and says each reason to a person.
	DeadLetterReasons []DeadLetterReason `json:"dead_letter_reasons,omitempty"`
	// Seconds is how long it took from the start of the services until everything was stored.
	Seconds float64 `json:"seconds"`
}

// DeadLetterReason is why records became dead letters.
type DeadLetterReason struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
	Count  uint64 `json:"count"`
}

// storedByType counts the rows of every table of events, each id once: of a tenant, or of all if it is empty.
func storedByType(ctx context.Context, conn driver.Conn, tenantID string) (map[string]uint64, error) {
	stored := map[string]uint64{}
	var names []string
	for _, table := range tables.NewEvents().All() {
		// The newest state of each risky user is a second copy of rows in risky_users.
		if name := table.Name(); name != tables.RiskyUsersCurrent && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		rows, err := conn.Query(ctx, "SELECT data_type, count() FROM "+name+
			" FINAL WHERE {tenant:String} IN ('', tenant_id) GROUP BY data_type", clickhouse.Named("tenant", tenantID))
		if err != nil {
			return nil, fmt.Errorf("counting %s: %w", name, err)
		}
		for rows.Next() {
			var dataType string
			var count uint64
			if err := rows.Scan(&dataType, &count); err != nil {
				_ = rows.Close()
				return nil, fmt.Errorf("counting %s: %w", name, err)
			}
			stored[dataType] += count
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("counting %s: %w", name, err)
		}
	}
	return stored, nil
}

// deadLetterReasons counts the dead letters in the store.
func deadLetterReasons(ctx context.Context, conn driver.Conn) ([]DeadLetterReason, error) {
	rows, err := conn.Query(ctx,
		"SELECT reason, detail, count() FROM dead_letters FINAL GROUP BY reason, detail ORDER BY count() DESC, reason, detail LIMIT 100")
	if err != nil {
		return nil, fmt.Errorf("counting dead letters: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var reasons []DeadLetterReason
	for rows.Next() {
		var r DeadLetterReason
		if err := rows.Scan(&r.Reason, &r.Detail, &r.Count); err != nil {
			return nil, fmt.Errorf("counting dead letters: %w", err)
		}
		reasons = append(reasons, r)
	}
	return reasons, rows.Err()
}

// write puts the summary into a file, whole or not at all.
func (s Summary) write(path string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing summary: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".summary-*")
	if err != nil {
		return fmt.Errorf("writing summary: %w", err)
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // gone after the rename
	if _, err := temp.Write(append(text, '\n')); err != nil {
		_ = temp.Close()
		return fmt.Errorf("writing summary: %w", err)
	}
	if err := temp.Close(); err != nil {
		return fmt.Errorf("writing summary: %w", err)
	}
	if err := os.Chmod(temp.Name(), 0o644); err != nil { //nolint:gosec // it holds counts only
		return fmt.Errorf("writing summary: %w", err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return fmt.Errorf("writing summary: %w", err)
	}
	return nil
}

func secondsSince(began time.Time) float64 {
	return float64(time.Since(began).Round(time.Millisecond)) / float64(time.Second)
}
