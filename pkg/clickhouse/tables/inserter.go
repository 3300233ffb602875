package tables

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/entraflow/entraflow/pkg/clickhouse"
)

// Inserter stores rows in one table. It may be used concurrently and keeps the memory of as many
// inserts as ran at the same time. It never closes the connection.
type Inserter[M any] struct {
	conn    driver.Conn
	table   *Table[M]
	columns []ch.ColumnNameAndType
	query   string

	mu    sync.Mutex
	spare []*block[M]
}

// block is the memory of one insert.
type block[M any] struct {
	appender *Appender[M]
	// columns are those of the insert before; clickhouse-go makes new ones for each.
	columns []column.Interface
}

// NewInserter returns an inserter of rows of t.
func NewInserter[M any](conn driver.Conn, t *Table[M]) *Inserter[M] {
	return &Inserter[M]{conn: conn, table: t, columns: t.Columns(), query: t.Insert()}
}

// Insert brings the rows into the order of the table's key, which costs the engine more, and stores
// them: all of them or, if it returns an error, usually none; after a lost
// connection they may be stored all the same. clickhouse.Classify judges its errors.
func (i *Inserter[M]) Insert(ctx context.Context, rows []Row[M]) error {
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(rows, i.table.compare)
	ctx = ch.Context(ctx,
		// Over HTTP the client would ask for the table's columns before each insert.
		ch.WithColumnNamesAndTypes(i.columns),
		ch.WithSettings(ch.Settings{
			// Old records may be of any month.
			"max_partitions_per_insert_block": 0,
			// A distributed table must not answer before its shards have the rows.
			"distributed_foreground_insert": 1,
			// Merging the versions within a block row by row takes longer than all else; FINAL and the
			// merges of parts do it anyway.
			"optimize_on_insert": 0,
			// Skip indexes cost a quarter of an insert and save little in a new part, which has one or two
			// granules. Merges build them.
			"materialize_skip_indexes_on_insert": 0,
		}))
	batch, err := i.conn.PrepareBatch(ctx, i.query)
	if err != nil {
		return fmt.Errorf("preparing insert into %s: %w", i.table.name, err)
	}
	b := i.take()
	if err := b.fill(batch, rows); err != nil {
		_ = batch.Abort()
		return fmt.Errorf("filling insert into %s: %w", i.table.name, err)
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("inserting into %s: %w", i.table.name, err)
	}
	i.give(b)
	return nil
}

func (b *block[M]) fill(batch driver.Batch, rows []Row[M]) error {
	columns := batch.Columns()
	for n := range b.columns {
		reuse(columns[n], b.columns[n])
	}
	b.columns = columns
	if err := b.appender.Append(columns, rows); err != nil {
		return fmt.Errorf("%w: %w", clickhouse.ErrBadValue, err)
	}
	// The client would send columns of different lengths as an empty block and report success.
	for _, c := range columns {
		if c.Rows() != len(rows) {
			return fmt.Errorf("column %s took %d of %d rows", c.Name(), c.Rows(), len(rows))
		}
	}
	return nil
}

// reuse gives to the memory of from, which nobody uses any more. Growing a hundred new columns for
// each insert took more time than filling them.
func reuse(to, from column.Interface) {
	target, spent := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	if target.Type() == spent.Type() && to.Type() == from.Type() {
		from.Reset()
		target.Set(spent)
	}
}

func (i *Inserter[M]) take() *block[M] {
	i.mu.Lock()
	defer i.mu.Unlock()
	if n := len(i.spare); n > 0 {
		b := i.spare[n-1]
		i.spare = i.spare[:n-1]
		return b
	}
	return &block[M]{appender: i.table.Appender()}
}

// give keeps the memory of an insert that went well; a failed one may still be read by the client.
func (i *Inserter[M]) give(b *block[M]) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.spare = append(i.spare, b)
}
