package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unsafe"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// ErrBadValue marks an error of a value that does not fit its column.
var ErrBadValue = errors.New("value does not fit its column")

// Column is how one column of an insert is read from a row.
type Column[T any] struct {
	name string
	wire string
	new  func() columnBuffer[T]
}

// Name returns the column's name.
func (c Column[T]) Name() string { return c.name }

// Field returns a column. wireType is the ClickHouse type that is sent, which the server casts to the
// column's own: send String for LowCardinality(String), which spares the client its dictionary. value must
// be pure, and V one that clickhouse-go takes for wireType.
func Field[T, V any](name, wireType string, value func(T) V) Column[T] {
	return Column[T]{name: name, wire: wireType, new: func() columnBuffer[T] {
		return &fieldBuffer[T, V]{value: value}
	}}
}

// Bytes returns a String column whose values are bytes. They are copied once, into the block.
func Bytes[T any](name string, value func(T) []byte) Column[T] {
	return Field(name, "String", func(row T) string {
		b := value(row)
		return unsafe.String(unsafe.SliceData(b), len(b))
	})
}

func (c Column[T]) check() error {
	sent, err := column.Type(c.wire).Column(c.name, &column.ServerContext{Timezone: time.UTC})
	if err != nil {
		return err
	}
	return c.new().check(sent)
}

// columnBuffer holds the values of one column of one insert.
type columnBuffer[T any] interface {
	appendTo(column driver.BatchColumn, rows []T) error
	// check tries whether the column takes values of this type at all.
	check(column column.Interface) error
}

type fieldBuffer[T, V any] struct {
	value  func(T) V
	values []V
}

func (b *fieldBuffer[T, V]) appendTo(column driver.BatchColumn, rows []T) error {
	b.values = b.values[:0]
	for _, row := range rows {
		b.values = append(b.values, b.value(row))
	}
	err := column.Append(b.values)
	// The memory is kept for the next insert, what the values point to is not.
	clear(b.values)
	return err
}

func (b *fieldBuffer[T, V]) check(column column.Interface) error {
	_, err := column.Append(make([]V, 0))
	return err
}

// Inserter inserts rows of one type into one table, column by column: with clickhouse-go that costs
// half of row by row. It may be used concurrently and never closes the connection.
type Inserter[T any] struct {
	conn    driver.Conn
	query   string
	types   []ch.ColumnNameAndType
	columns []Column[T]
	buffers sync.Pool
}

// NewInserter returns an inserter of rows into table, which may be qualified by its database. It returns
// an error if a column's values are of a type that clickhouse-go does not take for it.
func NewInserter[T any](conn driver.Conn, table string, columns []Column[T]) (*Inserter[T], error) {
	names := make([]string, len(columns))
	types := make([]ch.ColumnNameAndType, len(columns))
	for i, field := range columns {
		names[i] = quoteName(field.name)
		types[i] = ch.ColumnNameAndType{Name: field.name, Type: field.wire}
		if err := field.check(); err != nil {
			return nil, fmt.Errorf("checking column %s of %s: %w", field.name, table, err)
		}
	}
	return &Inserter[T]{
		conn:    conn,
		query:   "INSERT INTO " + quoteTable(table) + " (" + strings.Join(names, ", ") + ")",
		types:   types,
		columns: columns,
		buffers: sync.Pool{New: func() any {
			set := make([]columnBuffer[T], len(columns))
			for i, column := range columns {
				set[i] = column.new()
			}
			return set
		}},
	}, nil
}

// Insert stores the rows, all of them or, where it returns an error, usually none; after a lost
// connection they may be stored all the same, so they must bear storing twice. It does not keep rows.
// See Classify for its errors.
func (i *Inserter[T]) Insert(ctx context.Context, rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	// Over HTTP the client would ask for the table's columns before each insert.
	ctx = ch.Context(ctx, ch.WithColumnNamesAndTypes(i.types))
	batch, err := i.conn.PrepareBatch(ctx, i.query)
	if err != nil {
		return fmt.Errorf("preparing insert: %w", err)
	}
	if err := i.fill(batch, rows); err != nil {
		_ = batch.Abort()
		return err
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("inserting rows: %w", err)
	}
	return nil
}

func (i *Inserter[T]) fill(batch driver.Batch, rows []T) error {
	set, ok := i.buffers.Get().([]columnBuffer[T])
	if !ok {
		return errors.New("column buffers have another type")
	}
	defer i.buffers.Put(set) //nolint:staticcheck // a slice header a batch is nothing
	for n, buffer := range set {
		if err := buffer.appendTo(batch.Column(n), rows); err != nil {
			return fmt.Errorf("%w: column %s: %w", ErrBadValue, i.columns[n].name, err)
		}
	}
	// The client sends a block whose columns differ in length as an empty one, and reports success.
	for n, column := range batch.Columns() {
		if column.Rows() != len(rows) {
			return fmt.Errorf("column %s took %d of %d rows", i.columns[n].name, column.Rows(), len(rows))
		}
	}
	return nil
}

// quoteTable quotes the parts of a table name around its dots.
func quoteTable(table string) string {
	parts := strings.Split(table, ".")
	for i, part := range parts {
		parts[i] = quoteName(part)
	}
	return strings.Join(parts, ".")
}

func quoteName(name string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(name) + "`"
}
