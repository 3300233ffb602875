package amqp

import (
	"encoding/binary"
	"errors"
	"math"
)

// Format codes of AMQP 1.0 part 1 §1.6. The high nibble of a code tells how wide its data is.
const (
	codeDescribed  = 0x00
	codeNull       = 0x40
	codeTrue       = 0x41
	codeFalse      = 0x42
	codeUint0      = 0x43
	codeUlong0     = 0x44
	codeList0      = 0x45
	codeUbyte      = 0x50
	codeByte       = 0x51
	codeSmallUint  = 0x52
	codeSmallUlong = 0x53
	codeSmallInt   = 0x54
	codeSmallLong  = 0x55
	codeBool       = 0x56
	codeUshort     = 0x60
	codeShort      = 0x61
	codeUint       = 0x70
	codeInt        = 0x71
	codeFloat      = 0x72
	codeChar       = 0x73
	codeUlong      = 0x80
	codeLong       = 0x81
	codeDouble     = 0x82
	codeTimestamp  = 0x83
	codeUUID       = 0x98
	codeBin8       = 0xa0
	codeStr8       = 0xa1
	codeSym8       = 0xa3
	codeBin32      = 0xb0
	codeStr32      = 0xb1
	codeSym32      = 0xb3
	codeList8      = 0xc0
	codeMap8       = 0xc1
	codeList32     = 0xd0
	codeMap32      = 0xd1
	codeArray8     = 0xe0
	codeArray32    = 0xf0
)

// Bounds on what foreign bytes may ask for.
const (
	maxDepth            = 32
	maxZeroWidthInArray = 1024
)

// ErrMalformed says that bytes are not valid AMQP 1.0, or exceed a bound of this package.
var ErrMalformed = errors.New("malformed AMQP data")

// Value is one encoded value, not copied: Data aliases the buffer it was read from. The zero Value is null.
type Value struct {
	// Descriptor is the numeric descriptor of a described value, 0 if there is none or it is symbolic.
	Descriptor uint64
	// Name is the symbolic descriptor of a described value, "" if there is none.
	Name string
	code byte
	data []byte
}

// ReadValue reads the value at the start of buf and returns it with the bytes after it.
func ReadValue(buf []byte) (Value, []byte, error) {
	if len(buf) == 0 {
		return Value{}, nil, ErrMalformed
	}
	if buf[0] != codeDescribed {
		return readPlain(buf)
	}
	descriptor, rest, err := readPlain(buf[1:])
	if err != nil {
		return Value{}, nil, err
	}
	v, rest, err := readPlain(rest)
	if err != nil {
		return Value{}, nil, err
	}
	if code, ok := descriptor.Uint(); ok {
		v.Descriptor = code
	} else if v.Name, ok = descriptor.Text(); !ok {
		return Value{}, nil, ErrMalformed
	}
	return v, rest, nil
}

func readPlain(buf []byte) (Value, []byte, error) {
	if len(buf) == 0 {
		return Value{}, nil, ErrMalformed
	}
	code := buf[0]
	if !knownCode(code) {
		return Value{}, nil, ErrMalformed
	}
	return readData(code, buf[1:])
}

// readData reads the data of a value whose constructor was code.
func readData(code byte, buf []byte) (Value, []byte, error) {
	n, skip := 0, 0
	switch code >> 4 {
	case 0x4:
	case 0x5:
		n = 1
	case 0x6:
		n = 2
	case 0x7:
		n = 4
	case 0x8:
		n = 8
	case 0x9:
		n = 16
	case 0xa, 0xc, 0xe:
		if len(buf) < 1 {
			return Value{}, nil, ErrMalformed
		}
		n, skip = int(buf[0]), 1
	default:
		if len(buf) < 4 {
			return Value{}, nil, ErrMalformed
		}
		size := binary.BigEndian.Uint32(buf)
		if size > math.MaxInt32 {
			return Value{}, nil, ErrMalformed
		}
		n, skip = int(size), 4
	}
	if len(buf)-skip < n {
		return Value{}, nil, ErrMalformed
	}
	return Value{code: code, data: buf[skip : skip+n]}, buf[skip+n:], nil
}

// knownCodes has a bit for each low nibble a high nibble may carry. Decimals (0x74, 0x84, 0x94) are known so
// that they can be passed on.
var knownCodes = [...]uint16{
	0x4: 0x003f, 0x5: 0x007f, 0x6: 0x0003, 0x7: 0x001f, 0x8: 0x001f, 0x9: 0x0110,
	0xa: 0x000b, 0xb: 0x000b, 0xc: 0x0003, 0xd: 0x0003, 0xe: 0x0001, 0xf: 0x0001,
}

func knownCode(code byte) bool { return knownCodes[code>>4]>>(code&0xf)&1 == 1 }

// IsNull tells whether the value is null or absent.
func (v Value) IsNull() bool { return v.code == codeNull || v.code == 0 }

// Bool returns a boolean; ok is false for any other type.
func (v Value) Bool() (b, ok bool) {
	switch v.code {
	case codeTrue:
		return true, true
	case codeFalse:
		return false, true
	case codeBool:
		return v.data[0] == 1, v.data[0] <= 1
	}
	return false, false
}

// Uint returns an unsigned integer of any width; ok is false for any other type.
func (v Value) Uint() (n uint64, ok bool) {
	switch v.code {
	case codeUint0, codeUlong0:
		return 0, true
	case codeUbyte, codeSmallUint, codeSmallUlong:
		return uint64(v.data[0]), true
	case codeUshort:
		return uint64(binary.BigEndian.Uint16(v.data)), true
	case codeUint:
		return uint64(binary.BigEndian.Uint32(v.data)), true
	case codeUlong:
		return binary.BigEndian.Uint64(v.data), true
	}
	return 0, false
}

// Int returns a signed integer of any width; ok is false for any other type.
func (v Value) Int() (n int64, ok bool) {
	switch v.code {
	case codeByte, codeSmallInt, codeSmallLong:
		return int64(int8(v.data[0])), true
	case codeShort:
		return int64(int16(binary.BigEndian.Uint16(v.data))), true
	case codeInt:
		return int64(int32(binary.BigEndian.Uint32(v.data))), true
	case codeLong:
		return int64(binary.BigEndian.Uint64(v.data)), true
	}
	return 0, false
}

// Text returns a string or a symbol; ok is false for any other type.
func (v Value) Text() (s string, ok bool) {
	switch v.code {
	case codeStr8, codeStr32, codeSym8, codeSym32:
		return string(v.data), true
	}
	return "", false
}

// Binary returns binary data, aliasing the buffer; ok is false for any other type.
func (v Value) Binary() (b []byte, ok bool) {
	switch v.code {
	case codeBin8, codeBin32:
		return v.data, true
	}
	return nil, false
}

// Size is the number of bytes of the value's data, without its constructor.
func (v Value) Size() int { return len(v.data) }
