// Package redecode rebuilds the typed columns of stored events from their records, under the same ids
// and versions, for when the decoder has learned more.
//
// It reads every table of events, month by month and in bounded memory, and writes rows that replace
// those it read: of equal versions the table keeps the one inserted last. A row whose record now has
// a model of its own moves to that model's table. It changes no record, and what it cannot decode
// stays as it is. Running it twice does no harm.
package redecode

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	store "github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/decode"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Options bound the work.
type Options struct {
	// Tables are the names of the tables to read. Empty: all tables of events.
	Tables []string
	// MaxRows and MaxBytes bound what is read before it is written.
	MaxRows, MaxBytes int
	// Progress is called after each batch and at the end of each month, if it is set.
	Progress func(Progress)
}

// Progress says how far the work is.
type Progress struct {
	// Table and Month (202611) are being read.
	Table string
	Month uint32
	// Rows of the month that are done, of Total.
	Done, Total uint64
	Result
}

// Result counts rows from the beginning.
type Result struct {
	// Rewritten rows were stored again in their table, Moved ones in another.
	Rewritten, Moved uint64
	// Kept rows could not be decoded, or have no record, and are as they were.
	Kept uint64
}

// Run does the work. On an error what is done is done; begin again.
func Run(ctx context.Context, s *store.Store, o Options) (Result, error) {
	r := &run{store: s, options: o, events: tables.NewEvents(), decoder: decode.New(decode.DefaultLimits())}
	r.inserters = map[*tables.Table[*eventv1.Event]]*tables.Inserter[*eventv1.Event]{}
	for _, table := range r.events.All() {
		r.inserters[table] = tables.NewInserter(s.Conn(), table)
	}
	selected, err := r.selected()
	if err != nil {
		return Result{}, err
	}
	for _, table := range selected {
		if err := r.table(ctx, table); err != nil {
			return r.result, fmt.Errorf("redecoding %s: %w", table.Name(), err)
		}
	}
	return r.result, nil
}

type run struct {
	store     *store.Store
	options   Options
	events    tables.Events
	decoder   *decode.Decoder
	inserters map[*tables.Table[*eventv1.Event]]*tables.Inserter[*eventv1.Event]
	result    Result
}

func (r *run) selected() ([]*tables.Table[*eventv1.Event], error) {
	if len(r.options.Tables) == 0 {
		return r.events.All(), nil
	}
	byName := map[string]*tables.Table[*eventv1.Event]{}
	for _, table := range r.events.All() {
		byName[table.Name()] = table
	}
	var selected []*tables.Table[*eventv1.Event]
	for _, name := range r.options.Tables {
		table, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("%s is no table of events", name)
		}
		selected = append(selected, table)
	}
	return selected, nil
}

// month is a part of a table.
type month struct {
	number uint32
	rows   uint64
}

func (r *run) table(ctx context.Context, table *tables.Table[*eventv1.Event]) error {
	months, err := r.months(ctx, table.Name())
	if err != nil {
		return err
	}
	for _, m := range months {
		if err := r.month(ctx, table, m); err != nil {
			return fmt.Errorf("month %d: %w", m.number, err)
		}
	}
	return nil
}

func (r *run) months(ctx context.Context, table string) ([]month, error) {
	rows, err := r.store.Conn().Query(ctx, "SELECT toYYYYMM(occurred_at) AS month, count() FROM "+table+" GROUP BY month ORDER BY month")
	if err != nil {
		return nil, fmt.Errorf("listing months: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err tells
	var months []month
	for rows.Next() {
		var m month
		if err := rows.Scan(&m.number, &m.rows); err != nil {
			return nil, fmt.Errorf("listing months: %w", err)
		}
		months = append(months, m)
	}
	return months, rows.Err()
}

// month reads a month as it is now, and writes each batch before it reads the next.
func (r *run) month(ctx context.Context, table *tables.Table[*eventv1.Event], m month) error {
	rows, err := r.store.Conn().Query(ctx,
		"SELECT "+tables.StoredColumns+" FROM "+table.Name()+" FINAL WHERE toYYYYMM(occurred_at) = {month:UInt32}",
		clickhouse.Named("month", m.number))
	if err != nil {
		return fmt.Errorf("reading rows: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err tells
	b := newBatch(r, table)
	progress := Progress{Table: table.Name(), Month: m.number, Total: m.rows}
	for rows.Next() {
		var row tables.StoredRow
		if err := row.Scan(rows); err != nil {
			return err
		}
		b.add(&row)
		progress.Done++
		if b.rows >= r.options.MaxRows || b.bytes >= r.options.MaxBytes {
			if err := b.write(ctx); err != nil {
				return err
			}
			r.report(progress)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading rows: %w", err)
	}
	if err := b.write(ctx); err != nil {
		return err
	}
	progress.Total = progress.Done // versions that FINAL hides were counted
	r.report(progress)
	return nil
}

func (r *run) report(p Progress) {
	if r.options.Progress != nil {
		p.Result = r.result
		r.options.Progress(p)
	}
}

// deletable names a table as DELETE takes it: on a cluster the rows of each server apart.
func (r *run) deletable(table *tables.Table[*eventv1.Event]) string {
	if cluster := r.store.Schema(nil).Cluster; cluster != "" {
		return "`" + table.Name() + "_local` ON CLUSTER `" + cluster + "`"
	}
	return table.Name()
}

// timeout bounds one insert or deletion.
const timeout = time.Minute
