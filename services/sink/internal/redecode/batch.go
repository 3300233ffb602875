package redecode

import (
	"context"
	"fmt"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// batch holds rows between reading and writing.
type batch struct {
	run     *run
	from    *tables.Table[*eventv1.Event]
	rows    int
	bytes   int
	kept    uint64
	byTable map[*tables.Table[*eventv1.Event]][]tables.Row[*eventv1.Event]
	moved   []string // ids
}

func newBatch(r *run, from *tables.Table[*eventv1.Event]) *batch {
	return &batch{run: r, from: from, byTable: map[*tables.Table[*eventv1.Event]][]tables.Row[*eventv1.Event]{}}
}

// add decodes a row and remembers where its event belongs.
func (b *batch) add(row *tables.StoredRow) {
	b.rows++
	b.bytes += len(row.Raw)
	if row.Raw == "" {
		b.kept++
		return
	}
	event, err := row.Event(b.run.decoder)
	if err != nil {
		b.kept++
		return
	}
	homes := b.run.events.For(event)
	if slices.Contains(homes, b.from) {
		// Its other tables are read themselves.
		homes = []*tables.Table[*eventv1.Event]{b.from}
	} else {
		b.moved = append(b.moved, row.ID)
	}
	for _, table := range homes {
		b.byTable[table] = append(b.byTable[table], row.Row(event))
	}
}

// write stores the rows, then removes those that moved from the table they were read from.
func (b *batch) write(ctx context.Context) error {
	for table, rows := range b.byTable {
		if err := b.insert(ctx, table, rows); err != nil {
			return err
		}
		clear(rows)
		b.byTable[table] = rows[:0]
	}
	if err := b.remove(ctx); err != nil {
		return err
	}
	total := &b.run.result
	total.Kept += b.kept
	total.Moved += uint64(len(b.moved))
	total.Rewritten += uint64(b.rows) - b.kept - uint64(len(b.moved)) //nolint:gosec // not negative
	b.rows, b.bytes, b.kept, b.moved = 0, 0, 0, b.moved[:0]
	return nil
}

func (b *batch) insert(ctx context.Context, table *tables.Table[*eventv1.Event], rows []tables.Row[*eventv1.Event]) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return b.run.inserters[table].Insert(ctx, rows)
}

func (b *batch) remove(ctx context.Context) error {
	if len(b.moved) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := b.run.store.Conn().Exec(ctx, "DELETE FROM "+b.run.deletable(b.from)+" WHERE id IN {ids:Array(String)}",
		clickhouse.Named("ids", b.moved))
	if err != nil {
		return fmt.Errorf("removing moved rows: %w", err)
	}
	return nil
}
