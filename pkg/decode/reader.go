package decode

import (
	"strings"
	"unicode/utf8"
)

// maxKey is the length in bytes up to which a member's name is looked at; no known name is that long.
const maxKey = 64

// reader walks over a value that skipValue has accepted. Names are folded to lower case, because
// pipelines lower-case them; of members with the same name the last counts. Objects and arrays that
// stand inside a string as JSON text are read as if they stood there themselves.
type reader struct {
	s     string
	i     int
	notes noteSet
	keys  [maxKey]byte
	// texts holds the lists of texts of the record, one behind the other.
	texts []string
}

// object calls member for every member of the object at hand, with the reader at the member's value,
// which member must consume. It returns false, and consumes the value, if that is no object.
func (r *reader) object(member func(key []byte)) bool {
	switch r.peek() {
	case '{':
		r.members(member)
		return true
	case '"':
		return r.embedded('{', func() { r.members(member) })
	default:
		r.skip()
		return false
	}
}

func (r *reader) members(member func(key []byte)) {
	r.i++
	for {
		r.i = skipSpace(r.s, r.i)
		switch r.s[r.i] {
		case '}':
			r.i++
			return
		case ',':
			r.i = skipSpace(r.s, r.i+1)
		}
		key := r.key()
		r.i = skipSpace(r.s, r.i)
		member(key)
	}
}

// array calls element for every element of the array at hand, which element must consume. A value that
// is no array counts as its only element, null and an empty string as none.
func (r *reader) array(element func()) {
	switch r.peek() {
	case '[':
		r.elements(element)
	case 'n':
		r.skip()
	case '"':
		start := r.i
		if r.embedded('[', func() { r.elements(element) }) {
			return
		}
		if r.s[start:r.i] != `""` {
			r.i = start
			element()
		}
	default:
		element()
	}
}

func (r *reader) elements(element func()) {
	r.i++
	for {
		r.i = skipSpace(r.s, r.i)
		switch r.s[r.i] {
		case ']':
			r.i++
			return
		case ',':
			r.i = skipSpace(r.s, r.i+1)
		}
		element()
	}
}

// embedded reads the string at hand and, if it holds a container of the wanted kind, runs read with the
// reader at it.
func (r *reader) embedded(open byte, read func()) bool {
	text := strings.TrimSpace(r.str())
	if text == "" || text[0] != open {
		return false
	}
	if !isValue(text) {
		r.notes.add(noteEmbeddedUnreadable)
		return false
	}
	s, i := r.s, r.i
	r.s, r.i = text, 0
	read()
	r.s, r.i = s, i
	return true
}

// isValue says whether a text is one JSON value without space around it.
func isValue(text string) bool {
	end, f := skipValue(text, 0)
	return f == noFault && end == len(text)
}

// peek returns the first character of the value at hand.
func (r *reader) peek() byte { return r.s[r.i] }

// skip consumes the value at hand.
func (r *reader) skip() { r.i, _ = skipValue(r.s, r.i) }

// key consumes a name and its colon, and returns the name in lower case, valid until the next call. A
// name that is too long to be known is empty.
func (r *reader) key() []byte {
	start := r.i + 1
	for n := range maxKey {
		c := r.s[start+n]
		switch {
		case c == '"':
			r.i = skipSpace(r.s, start+n+1) + 1
			return r.keys[:n]
		case c == '\\':
			return r.rareKey(start)
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		}
		r.keys[n] = c
	}
	return r.rareKey(start)
}

// rareKey is key for names that are long or hold escape sequences.
func (r *reader) rareKey(start int) []byte {
	end, _ := skipString(r.s, start-1)
	r.i = skipSpace(r.s, end) + 1
	return foldKey(r.s[start:end-1], &r.keys)
}

// foldKey writes a name as it stands in JSON, sound and without its quotes, to buf in lower case. It is
// empty if the name is too long to be known.
func foldKey(name string, buf *[maxKey]byte) []byte {
	if strings.IndexByte(name, '\\') >= 0 {
		name, _ = unescape(name)
	}
	return lower(name, buf)
}

// lower writes a text to buf in lower case; it is empty if the text is too long.
func lower(text string, buf *[maxKey]byte) []byte {
	if len(text) > maxKey {
		return nil
	}
	for i := range len(text) {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		buf[i] = c
	}
	return buf[:len(text)]
}

// unescape resolves the escape sequences of a string's inside. whole is false if a surrogate stood
// alone and became U+FFFD.
func unescape(s string) (text string, whole bool) {
	at := strings.IndexByte(s, '\\')
	if at < 0 {
		return s, true
	}
	whole = true
	out := make([]byte, 0, len(s))
	for at >= 0 {
		out = append(out, s[:at]...)
		s = s[at:]
		if s[1] != 'u' {
			out = append(out, simpleEscape(s[1]))
			s = s[2:]
		} else {
			char, n := escapedRune(s)
			if char == utf8.RuneError && !strings.EqualFold(s[2:6], "fffd") {
				whole = false
			}
			out = utf8.AppendRune(out, char)
			s = s[n:]
		}
		at = strings.IndexByte(s, '\\')
	}
	return string(append(out, s...)), whole
}

func simpleEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c
	}
}

// escapedRune decodes the \u sequence at the start of s, and the one after it if they are a pair.
func escapedRune(s string) (char rune, length int) {
	const (
		highFrom, lowFrom, lowTo = 0xD800, 0xDC00, 0xDFFF
		planeOne                 = 0x10000
	)
	high := hexRune(s[2:6])
	if high < highFrom || high > lowTo {
		return high, 6
	}
	if high < lowFrom && len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
		if low := hexRune(s[8:12]); low >= lowFrom && low <= lowTo {
			return planeOne + (high-highFrom)<<10 + (low - lowFrom), 12
		}
	}
	return utf8.RuneError, 6
}

func hexRune(s string) rune {
	return hexDigit(s[0])<<12 | hexDigit(s[1])<<8 | hexDigit(s[2])<<4 | hexDigit(s[3])
}
