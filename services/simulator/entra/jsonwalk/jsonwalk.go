// Package jsonwalk walks through the members of JSON objects without decoding them. It is pure, and trusts that what it
// gets is valid JSON.
package jsonwalk

import "bytes"

// Members calls yield for the members of a valid JSON object in their order. It does not look into values.
func Members(object []byte, yield func(key, value []byte)) {
	i := bytes.IndexByte(object, '{') + 1
	for i > 0 && i < len(object) {
		i = skipTo(object, i, '"')
		if i >= len(object) {
			return
		}
		end := TextEnd(object, i)
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

// TextEnd returns the index behind the text that begins at i.
func TextEnd(b []byte, i int) int {
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
			i = TextEnd(b, i)
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

// Set returns an object with members replaced, or added at its end in the order of names. Values are JSON; an
// empty one takes the member out.
func Set(object []byte, names []string, values map[string]string) []byte {
	b := make([]byte, 0, len(object)+64)
	b = append(b, '{')
	written := map[string]bool{}
	add := func(key, value []byte) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), key...), '"', ':')
		b = append(b, value...)
	}
	Members(object, func(key, value []byte) {
		if v, ok := values[string(key)]; ok {
			written[string(key)] = true
			value = []byte(v)
		}
		if len(value) > 0 {
			add(key, value)
		}
	})
	for _, name := range names {
		if v := values[name]; v != "" && !written[name] {
			add([]byte(name), []byte(v))
		}
	}
	return append(b, '}')
}

// Get returns a member's value, nil if there is none.
func Get(object []byte, name string) []byte {
	var found []byte
	Members(object, func(key, value []byte) {
		if found == nil && string(key) == name {
			found = value
		}
	})
	return found
}
