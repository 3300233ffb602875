package decode

import (
	"strconv"
	"strings"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// str consumes the value at hand as text: a string's content, a number's or word's letters, the JSON of
// an object or array. Null, {} and [] are empty.
func (r *reader) str() string {
	start := r.i
	switch r.peek() {
	case '"':
		end := skipPlain(r.s, start+1)
		if r.s[end] == '"' {
			r.i = end + 1
			return r.s[start+1 : end]
		}
		r.i, _ = skipString(r.s, start)
		text, whole := unescape(r.s[start+1 : r.i-1])
		if !whole {
			r.notes.add(noteTextReplaced)
		}
		return text
	case 'n':
		r.i += len("null")
		return ""
	case '{', '[':
		r.skip()
		if skipSpace(r.s, start+1) == r.i-1 {
			return ""
		}
		return r.s[start:r.i]
	default:
		r.skip()
		return r.s[start:r.i]
	}
}

// lower is str in lower case.
func (r *reader) lower() string { return strings.ToLower(r.str()) }

// optional is str for fields where absent and empty differ: nil for null.
func (r *reader) optional() *string {
	if r.peek() == 'n' {
		r.skip()
		return nil
	}
	text := r.str()
	return &text
}

// boolean consumes true, false, 1, 0 and the same as strings. Nil: none of them.
func (r *reader) boolean() *bool {
	text := r.str()
	switch {
	case text == "true", text == "1", strings.EqualFold(text, "true"):
		return new(true)
	case text == "false", text == "0", strings.EqualFold(text, "false"):
		return new(false)
	default:
		return nil
	}
}

// integer consumes a whole number, also as a string and as 4.0. Nil: none, or too large.
func (r *reader) integer() *int64 {
	n, ok := parseInteger(r.str())
	if !ok {
		return nil
	}
	return &n
}

func parseInteger(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	const exact = 1 << 53
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != float64(int64(f)) || f > exact || f < -exact {
		return 0, false
	}
	return int64(f), true
}

// unsigned consumes a whole number that fits 32 bits. Nil: none.
func (r *reader) unsigned() *uint32 {
	n, ok := parseInteger(r.str())
	if !ok || n < 0 || n > 1<<32-1 {
		return nil
	}
	return new(uint32(n))
}

// number consumes a finite number, also as a string. Nil: none.
func (r *reader) number() *float64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(r.str()), 64)
	if err != nil || f-f != 0 {
		return nil
	}
	return &f
}

// list consumes an array of texts; empty ones are left out.
func (r *reader) list() []string {
	start := len(r.texts)
	r.array(func() {
		if text := r.str(); text != "" {
			r.addText(text)
		}
	})
	return r.textsFrom(start)
}

// addText puts a text behind those of the record's lists, which share their memory.
func (r *reader) addText(text string) {
	if r.texts == nil {
		const some = 8
		r.texts = make([]string, 0, some)
	}
	r.texts = append(r.texts, text)
}

// textsFrom returns the texts added since, nil for none. Appending to them does not touch the next list.
func (r *reader) textsFrom(start int) []string {
	if len(r.texts) == start {
		return nil
	}
	return r.texts[start:len(r.texts):len(r.texts)]
}

// listOf consumes an array of objects and takes one member of each; bare texts are taken as they are.
func (r *reader) listOf(name string) []string {
	start := len(r.texts)
	r.array(func() {
		text := ""
		if r.peek() != '{' {
			text = r.str()
		} else {
			r.object(func(key []byte) {
				if string(key) == name {
					text = r.str()
					return
				}
				r.skip()
			})
		}
		if text != "" {
			r.addText(text)
		}
	})
	return r.textsFrom(start)
}

// pairs consumes an array of objects as pairs of two of their members. A bare text is a key.
func (r *reader) pairs(keyName, valueName string) []*eventv1.KeyValue {
	var pairs []*eventv1.KeyValue
	var made slab[eventv1.KeyValue]
	r.array(func() {
		pair := made.make()
		if r.peek() != '{' {
			pair.Key = r.str()
		} else {
			r.object(func(key []byte) {
				switch string(key) {
				case keyName:
					pair.Key = r.str()
				case valueName:
					pair.Value = r.str()
				default:
					r.skip()
				}
			})
		}
		if pair.GetKey() != "" || pair.GetValue() != "" {
			pairs = append(pairs, pair)
		}
	})
	return pairs
}

// address consumes an address, with or without port. Empty: none; a text that is no address is noted.
func (r *reader) address() string {
	text := r.str()
	address := cleanAddress(text)
	if address == "" && strings.TrimSpace(text) != "" {
		r.notes.add(noteAddressUnreadable)
	}
	return address
}
