package graph

import (
	"bytes"
	"slices"
)

// shape says what of an object's members is sent. The zero shape sends all as they are.
type shape struct {
	// keep are the members sent, nil for all; drop those that are not.
	keep, drop []string
	// future are values, by member, that are sent as unknownFutureValue.
	future map[string][]string
	// replace are JSON values to send in place of the object's.
	replace map[string]string
}

const unknownFutureValue = `"unknownFutureValue"`

// append writes an object in this shape. What is no JSON object is written as it is.
func (s *shape) append(to *bytes.Buffer, object []byte) {
	if s.keep == nil && s.drop == nil && len(s.replace) == 0 && !s.touches(object) {
		to.Write(object)
		return
	}
	to.WriteByte('{')
	written := 0
	members(object, func(key, value []byte) {
		if s.keep != nil && !contains(s.keep, key) || contains(s.drop, key) {
			return
		}
		if written > 0 {
			to.WriteByte(',')
		}
		written++
		to.WriteByte('"')
		to.Write(key)
		to.WriteString(`":`)
		to.Write(s.value(key, value))
	})
	to.WriteByte('}')
}

// touches reports whether a future value can be in an object; most have none, and are copied whole.
func (s *shape) touches(object []byte) bool {
	for _, values := range s.future {
		for _, v := range values {
			if bytes.Contains(object, []byte(v)) {
				return true
			}
		}
	}
	return false
}

func (s *shape) value(key, value []byte) []byte {
	if replaced, ok := s.replace[string(key)]; ok {
		return []byte(replaced)
	}
	if values, ok := s.future[string(key)]; ok && len(value) > 2 && value[0] == '"' &&
		slices.Contains(values, string(value[1:len(value)-1])) {
		return []byte(unknownFutureValue)
	}
	return value
}

func contains(names []string, key []byte) bool {
	for _, name := range names {
		if name == string(key) {
			return true
		}
	}
	return false
}

// members calls yield for the members of a valid JSON object in their order. It does not look into values.
func members(object []byte, yield func(key, value []byte)) {
	i := bytes.IndexByte(object, '{') + 1
	for i > 0 && i < len(object) {
		i = skipTo(object, i, '"')
		if i >= len(object) {
			return
		}
		end := textEnd(object, i)
		key := object[i+1 : end-1]
		i = skipTo(object, end, ':') + 1
		for i < len(object) && object[i] == ' ' {
			i++
		}
		end = valueEnd(object, i)
		if end > len(object) {
			return
		}
		yield(key, bytes.TrimRight(object[i:end], " \n\t"))
		i = end
	}
}

// skipTo returns the index of c, or the length if a closing brace comes first.
func skipTo(b []byte, i int, c byte) int {
	for ; i < len(b) && b[i] != '}'; i++ {
		if b[i] == c {
			return i
		}
	}
	return len(b)
}

// textEnd returns the index behind the text that begins at i.
func textEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// valueEnd returns the index of the comma or brace behind the value that begins at i.
func valueEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = textEnd(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(b)
}
