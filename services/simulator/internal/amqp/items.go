package amqp

import "encoding/binary"

// Items walks over the elements of a list, a map (key, value, key, value ...) or an array.
// After Next has returned false, Err tells whether the bytes were sound.
type Items struct {
	left int
	rest []byte
	// element is the constructor shared by the elements of an array, 0 otherwise.
	element Value
	array   bool
	err     error
}

// Items returns a walk over the value's elements. A value that is no list, map or array has none, and Err says so.
func (v Value) Items() Items {
	switch v.code {
	case codeList0:
		return Items{}
	case codeList8, codeMap8, codeArray8:
		if len(v.data) >= 1 {
			return newItems(v, int(v.data[0]), v.data[1:])
		}
	case codeList32, codeMap32, codeArray32:
		if len(v.data) >= 4 {
			return newItems(v, int(binary.BigEndian.Uint32(v.data)), v.data[4:])
		}
	}
	return Items{err: ErrMalformed}
}

func newItems(v Value, count int, rest []byte) Items {
	if v.IsArray() {
		return newArrayItems(count, rest)
	}
	if count > len(rest) || (v.IsMap() && count%2 != 0) {
		return Items{err: ErrMalformed}
	}
	return Items{left: count, rest: rest}
}

func newArrayItems(count int, rest []byte) Items {
	if count == 0 {
		return Items{}
	}
	var element Value
	if len(rest) > 0 && rest[0] == codeDescribed {
		descriptor, after, err := readPlain(rest[1:])
		if err != nil {
			return Items{err: err}
		}
		element.Descriptor, _ = descriptor.Uint()
		element.Name, _ = descriptor.Text()
		rest = after
	}
	if len(rest) == 0 || !knownCode(rest[0]) {
		return Items{err: ErrMalformed}
	}
	element.code = rest[0]
	rest = rest[1:]
	// Elements without data cost no bytes, so the bytes do not bound their number.
	if bound := max(len(rest), maxZeroWidthInArray); count > bound {
		return Items{err: ErrMalformed}
	}
	return Items{left: count, rest: rest, element: element, array: true}
}

// Next returns the next element, or false at the end and on malformed data.
func (it *Items) Next() (Value, bool) {
	if it.err != nil || it.left == 0 {
		return Value{}, false
	}
	it.left--
	var v Value
	if it.array {
		v, it.rest, it.err = readData(it.element.code, it.rest)
		v.Descriptor, v.Name = it.element.Descriptor, it.element.Name
	} else {
		v, it.rest, it.err = ReadValue(it.rest)
	}
	return v, it.err == nil
}

// field returns the next element of a performative's list; absent trailing fields are null.
func (it *Items) field() Value {
	v, _ := it.Next()
	return v
}

// Err returns ErrMalformed if the walk met malformed data.
func (it *Items) Err() error { return it.err }

// IsList tells whether the value is a list.
func (v Value) IsList() bool {
	return v.code == codeList0 || v.code == codeList8 || v.code == codeList32
}

// IsMap tells whether the value is a map.
func (v Value) IsMap() bool { return v.code == codeMap8 || v.code == codeMap32 }

// IsArray tells whether the value is an array.
func (v Value) IsArray() bool { return v.code == codeArray8 || v.code == codeArray32 }

// Lookup returns the value of a string or symbol key of a map. A missing key, or a value that is no map, gives null.
func (v Value) Lookup(key string) Value {
	if !v.IsMap() {
		return Value{}
	}
	it := v.Items()
	for {
		k, ok := it.Next()
		if !ok {
			return Value{}
		}
		val, ok := it.Next()
		if !ok {
			return Value{}
		}
		if name, isText := k.Text(); isText && name == key {
			return val
		}
	}
}

// Check walks the whole value and returns ErrMalformed if anything in it is malformed or nested too deep.
func (v Value) Check() error { return v.check(0) }

func (v Value) check(depth int) error {
	if depth > maxDepth {
		return ErrMalformed
	}
	if !v.IsList() && !v.IsMap() && !v.IsArray() {
		return nil
	}
	it := v.Items()
	for {
		element, ok := it.Next()
		if !ok {
			break
		}
		if err := element.check(depth + 1); err != nil {
			return err
		}
	}
	if it.err == nil && len(it.rest) != 0 {
		return ErrMalformed
	}
	return it.err
}
