package tables

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// jsonList is a String column that holds the messages I of a repeated field in M as a JSON array of
// objects, empty if there are none. In a table of a hundred columns that many rows go through, an
// Array column costs the engine five times as much with each merge; ALIAS columns of the schema make
// arrays of it for those who ask.
func (s items[M, I]) jsonList(name string, add func(o *object, item *I)) source[M] {
	return source[M]{name, typeString, func() filler[M] { return &jsonLists[M, I]{of: s.of, add: add} }}
}

type jsonLists[M, I any] struct {
	of  func(M) []*I
	add func(*object, *I)
	o   object
}

func (f *jsonLists[M, I]) fill(into column.Interface, rows []Row[M]) error {
	for i := range rows {
		f.o.buf = f.o.buf[:0]
		for n, item := range f.of(rows[i].Message) {
			f.o.open(n == 0)
			f.add(&f.o, item)
			f.o.buf = append(f.o.buf, '}')
		}
		if len(f.o.buf) > 0 {
			f.o.buf = append(f.o.buf, ']')
		}
		if err := into.AppendRow(f.o.buf); err != nil {
			return named(into, err)
		}
	}
	return nil
}

// object writes the members of JSON objects. A member without a value is left out.
type object struct {
	buf   []byte
	first bool
}

// open begins an object of a list.
func (o *object) open(first bool) {
	if first {
		o.buf = append(o.buf, '[')
	} else {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, '{')
	o.first = true
}

// name writes a member's name, which needs no escaping.
func (o *object) name(name string) {
	if !o.first {
		o.buf = append(o.buf, ',')
	}
	o.first = false
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, name...)
	o.buf = append(o.buf, '"', ':')
}

func (o *object) text(name, value string) {
	if value != "" {
		o.name(name)
		o.buf = appendQuoted(o.buf, value)
	}
}

func (o *object) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	o.name(name)
	separator := byte('[')
	for _, value := range values {
		o.buf = append(o.buf, separator)
		o.buf = appendQuoted(o.buf, value)
		separator = ','
	}
	o.buf = append(o.buf, ']')
}

func (o *object) maybeBool(name string, value *bool) {
	if value != nil {
		o.name(name)
		o.buf = strconv.AppendBool(o.buf, *value)
	}
}

func (o *object) maybeTime(name string, value *timestamppb.Timestamp) {
	if value != nil {
		o.name(name)
		o.buf = value.AsTime().AppendFormat(o.buf, `"2006-01-02T15:04:05.000Z"`)
	}
}

// appendQuoted appends value as a JSON string.
func appendQuoted(buf []byte, value string) []byte {
	plain := true
	for i := range len(value) {
		if c := value[i]; c < ' ' || c == '"' || c == '\\' {
			plain = false
			break
		}
	}
	if plain && utf8.ValidString(value) {
		buf = append(buf, '"')
		buf = append(buf, value...)
		return append(buf, '"')
	}
	quoted, err := json.Marshal(value)
	if err != nil {
		return append(buf, `""`...) // a string can always be encoded
	}
	return append(buf, quoted...)
}
