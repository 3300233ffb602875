package amqp

import (
	"encoding/binary"
	"math"
	"time"
)

// AppendNull appends null.
func AppendNull(b []byte) []byte { return append(b, codeNull) }

// AppendBool appends a boolean.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, codeTrue)
	}
	return append(b, codeFalse)
}

// AppendUbyte appends an 8-bit unsigned integer.
func AppendUbyte(b []byte, v uint8) []byte { return append(b, codeUbyte, v) }

// AppendUshort appends a 16-bit unsigned integer.
func AppendUshort(b []byte, v uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, codeUshort), v)
}

// AppendUint appends a 32-bit unsigned integer.
func AppendUint(b []byte, v uint32) []byte {
	switch {
	case v == 0:
		return append(b, codeUint0)
	case v <= math.MaxUint8:
		return append(b, codeSmallUint, byte(v))
	default:
		return binary.BigEndian.AppendUint32(append(b, codeUint), v)
	}
}

// AppendUlong appends a 64-bit unsigned integer.
func AppendUlong(b []byte, v uint64) []byte {
	switch {
	case v == 0:
		return append(b, codeUlong0)
	case v <= math.MaxUint8:
		return append(b, codeSmallUlong, byte(v))
	default:
		return binary.BigEndian.AppendUint64(append(b, codeUlong), v)
	}
}

// AppendInt appends a 32-bit signed integer.
func AppendInt(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(append(b, codeInt), uint32(v))
}

// AppendLong appends a 64-bit signed integer.
func AppendLong(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, codeLong), uint64(v))
}

// AppendDouble appends a 64-bit float.
func AppendDouble(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, codeDouble), math.Float64bits(v))
}

// AppendTimestamp appends a timestamp given in Unix milliseconds.
func AppendTimestamp(b []byte, unixMilli int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, codeTimestamp), uint64(unixMilli))
}

// AppendString appends a string.
func AppendString(b []byte, v string) []byte { return appendSized(b, codeStr8, v) }

// AppendSymbol appends a symbol.
func AppendSymbol(b []byte, v string) []byte { return appendSized(b, codeSym8, v) }

// AppendBinary appends binary data.
func AppendBinary[T string | []byte](b []byte, v T) []byte { return appendSized(b, codeBin8, v) }

// appendSized appends data behind its size; the 32-bit form of a code is 0x10 above the 8-bit form.
func appendSized[T string | []byte](b []byte, code8 byte, v T) []byte {
	if len(v) <= math.MaxUint8 {
		return append(append(b, code8, byte(len(v))), v...)
	}
	b = binary.BigEndian.AppendUint32(append(b, code8+0x10), uint32(len(v)))
	return append(b, v...)
}

// AppendValue appends a value as it was read, descriptor included.
func AppendValue(b []byte, v Value) []byte {
	switch {
	case v.Descriptor != 0:
		b = AppendUlong(append(b, codeDescribed), v.Descriptor)
	case v.Name != "":
		b = AppendSymbol(append(b, codeDescribed), v.Name)
	}
	if v.code == 0 {
		return append(b, codeNull)
	}
	b = append(b, v.code)
	switch v.code >> 4 {
	case 0xa, 0xc, 0xe:
		b = append(b, byte(len(v.data)))
	case 0xb, 0xd, 0xf:
		b = binary.BigEndian.AppendUint32(b, uint32(len(v.data)))
	}
	return append(b, v.data...)
}

// AppendDescriptor appends the constructor of a described value; the value itself must follow.
func AppendDescriptor(b []byte, descriptor uint64) []byte {
	return AppendUlong(append(b, codeDescribed), descriptor)
}

// AppendSymbols appends an array of symbols.
func AppendSymbols(b []byte, symbols ...string) []byte { return appendArray(b, codeSym32, symbols) }

// AppendStrings appends an array of strings.
func AppendStrings(b []byte, strings ...string) []byte { return appendArray(b, codeStr32, strings) }

func appendArray(b []byte, element byte, texts []string) []byte {
	b, open := openCompound(b, codeArray32)
	b = append(b, element)
	for _, s := range texts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return closeCompound(b, open, len(texts))
}

// OpenList starts a list. Append its elements, then call CloseCompound with the returned mark.
func OpenList(b []byte) ([]byte, int) { return openCompound(b, codeList32) }

// OpenMap starts a map. Append keys and values in turn, then call CloseCompound with the returned mark.
func OpenMap(b []byte) ([]byte, int) { return openCompound(b, codeMap32) }

// CloseCompound ends a list or map of n elements (for a map: keys plus values).
func CloseCompound(b []byte, mark, n int) []byte { return closeCompound(b, mark, n) }

func openCompound(b []byte, code byte) ([]byte, int) {
	b = append(b, code)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0), len(b)
}

func closeCompound(b []byte, mark, n int) []byte {
	binary.BigEndian.PutUint32(b[mark:], uint32(len(b)-mark-4))
	binary.BigEndian.PutUint32(b[mark+4:], uint32(n))
	return b
}

// AppendAny appends a Go value: nil, bool, string, []byte, integers, floats, time.Time. ok is false, and b
// unchanged, for any other type.
func AppendAny(b []byte, v any) (out []byte, ok bool) {
	switch v := v.(type) {
	case nil:
		return AppendNull(b), true
	case bool:
		return AppendBool(b, v), true
	case string:
		return AppendString(b, v), true
	case []byte:
		return AppendBinary(b, v), true
	case int:
		return AppendLong(b, int64(v)), true
	case int32:
		return AppendInt(b, v), true
	case int64:
		return AppendLong(b, v), true
	case uint32:
		return AppendUint(b, v), true
	case uint64:
		return AppendUlong(b, v), true
	case float64:
		return AppendDouble(b, v), true
	case time.Time:
		return AppendTimestamp(b, v.UnixMilli()), true
	}
	return b, false
}
