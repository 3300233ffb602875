package clickhouse

import (
	"errors"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// ErrBadValue marks an error of a value that the client cannot put into its column.
var ErrBadValue = errors.New("value does not fit its column")

// Fault says who is to blame for an error, and so what helps.
type Fault int

const (
	// FaultNone means that there is no error.
	FaultNone Fault = iota
	// FaultTransient means that the store is away, full or busy. The same rows may be stored later.
	FaultTransient
	// FaultData means that at least one of the rows can never be stored. Isolate finds it.
	FaultData
	// FaultSetup means that schema, rights or configuration are wrong. No row is to blame and waiting
	// alone does not help: keep the rows, tell an operator.
	FaultSetup
)

func (f Fault) String() string {
	switch f {
	case FaultNone:
		return "none"
	case FaultTransient:
		return "transient"
	case FaultData:
		return "data"
	case FaultSetup:
		return "setup"
	}
	return "unknown"
}

// Classify judges an error of an insert. What it does not know is transient: rows are thrown out only
// for what is certainly their own fault.
func Classify(err error) Fault {
	if err == nil {
		return FaultNone
	}
	if exception, ok := errors.AsType[*ch.Exception](err); ok {
		return classifyCode(exception.Code)
	}
	// A value that the client could not put into its column never left the process.
	if errors.Is(err, ErrBadValue) {
		return FaultData
	}
	if _, ok := errors.AsType[*proto.BlockError](err); ok {
		return FaultSetup
	}
	return FaultTransient
}

func classifyCode(code int32) Fault {
	switch code {
	case
		6,   // CANNOT_PARSE_TEXT
		26,  // CANNOT_PARSE_QUOTED_STRING
		27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
		38,  // CANNOT_PARSE_DATE
		41,  // CANNOT_PARSE_DATETIME
		69,  // ARGUMENT_OUT_OF_BOUND
		70,  // CANNOT_CONVERT_TYPE
		72,  // CANNOT_PARSE_NUMBER
		117, // INCORRECT_DATA
		128, // TOO_LARGE_ARRAY_SIZE
		131, // TOO_LARGE_STRING_SIZE
		190, // SIZES_OF_ARRAYS_DONT_MATCH
		321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
		349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
		376, // CANNOT_PARSE_UUID
		407, // DECIMAL_OVERFLOW
		441, // CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING
		469, // VIOLATED_CONSTRAINT
		675, // CANNOT_PARSE_IPV4
		676, // CANNOT_PARSE_IPV6
		691: // UNKNOWN_ELEMENT_OF_ENUM
		return FaultData
	case
		8,   // THERE_IS_NO_COLUMN
		10,  // NOT_FOUND_COLUMN_IN_BLOCK
		16,  // NO_SUCH_COLUMN_IN_TABLE
		20,  // NUMBER_OF_COLUMNS_DOESNT_MATCH
		36,  // BAD_ARGUMENTS
		47,  // UNKNOWN_IDENTIFIER
		50,  // UNKNOWN_TYPE
		53,  // TYPE_MISMATCH
		60,  // UNKNOWN_TABLE
		62,  // SYNTAX_ERROR
		81,  // UNKNOWN_DATABASE
		115, // UNKNOWN_SETTING
		164, // READONLY
		192, // UNKNOWN_USER
		193, // WRONG_PASSWORD
		497, // ACCESS_DENIED
		516: // AUTHENTICATION_FAILED
		return FaultSetup
	}
	return FaultTransient
}

// Isolate inserts rows and, where that fails by the fault of a row, halves them until it knows which.
// It calls bad for each such row with its error, and stores the others, in at most about
// 2·log2(len(rows)) inserts a bad row. It returns the first error that is no row's fault, with the
// rows that are then neither stored nor reported.
func Isolate[T any](rows []T, insert func([]T) error, bad func(T, error)) (left []T, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	err = insert(rows)
	switch {
	case err == nil:
		return nil, nil
	case Classify(err) != FaultData:
		return rows, err
	case len(rows) == 1:
		bad(rows[0], err)
		return nil, nil
	}
	half := len(rows) / 2
	if left, err = Isolate(rows[:half], insert, bad); err != nil {
		return append(left, rows[half:]...), err
	}
	return Isolate(rows[half:], insert, bad)
}
