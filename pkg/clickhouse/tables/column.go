package tables

import (
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
)

// Types that values are sent as. Low cardinality is left to the engine: clickhouse-go would look up
// each value by reflection in a map.
const (
	typeString  = "String"
	typeBool    = "Bool"
	typeInt     = "Int64"
	typeUint    = "UInt64"
	typeUint32  = "UInt32"
	typeFloat   = "Float64"
	typeTime    = "DateTime64(3, 'UTC')"
	typeAddress = "IPv6"
)

// source is a column of a table of M: its name, the type its values are sent as, and a maker of what
// takes them from rows.
type source[M any] struct {
	name string
	sent string
	make func() filler[M]
}

// filler appends the values of one column. It keeps a buffer, so it has one user at a time.
type filler[M any] interface {
	fill(into column.Interface, rows []Row[M]) error
}

// scalar is a column with one value of V a row; V is a type that clickhouse-go takes as a slice.
func scalar[M, V any](name, sent string, get func(*Row[M]) V) source[M] {
	return source[M]{name, sent, func() filler[M] { return &values[M, V]{get: get} }}
}

// array is a column with a list of V a row; add appends the row's elements to buf.
func array[M, V any](name, sent string, add func(buf []V, row *Row[M]) []V) source[M] {
	return source[M]{name, "Array(" + sent + ")", func() filler[M] { return &lists[M, V]{add: add} }}
}

// rawColumn is the column of the record as it came.
func rawColumn[M interface{ GetRaw() []byte }]() source[M] {
	return source[M]{"raw", typeString, func() filler[M] { return raws[M]{} }}
}

type values[M, V any] struct {
	get func(*Row[M]) V
	buf []V
}

func (f *values[M, V]) fill(into column.Interface, rows []Row[M]) error {
	f.buf = f.buf[:0]
	for i := range rows {
		f.buf = append(f.buf, f.get(&rows[i]))
	}
	_, err := into.Append(f.buf)
	return named(into, err)
}

type lists[M, V any] struct {
	add func(buf []V, row *Row[M]) []V
	buf []V
}

func (f *lists[M, V]) fill(into column.Interface, rows []Row[M]) error {
	for i := range rows {
		f.buf = f.add(f.buf[:0], &rows[i])
		if err := into.AppendRow(f.buf); err != nil {
			return named(into, err)
		}
	}
	return nil
}

// raws appends row by row: clickhouse-go would copy a slice of them once more.
type raws[M interface{ GetRaw() []byte }] struct{}

func (raws[M]) fill(into column.Interface, rows []Row[M]) error {
	for i := range rows {
		raw := rows[i].Raw
		if raw == nil {
			raw = rows[i].Message.GetRaw()
		}
		if err := into.AppendRow(raw); err != nil {
			return named(into, err)
		}
	}
	return nil
}

func named(into column.Interface, err error) error {
	if err != nil {
		return fmt.Errorf("appending column %s: %w", into.Name(), err)
	}
	return nil
}
