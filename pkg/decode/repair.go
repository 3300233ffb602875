package decode

import "bytes"

// byteOrderMark is how some writers begin UTF-8.
const byteOrderMark = "\xEF\xBB\xBF"

// repair mends the damage seen in hubs that other Azure resources share: control characters inside
// strings become escape sequences and are dropped outside, strings in single quotes get double ones, and
// what follows the outermost object is cut off. The same bytes always give the same text. False: the
// outermost object does not end, or there is none. The result may still be no JSON.
func repair(raw []byte) ([]byte, bool) {
	start := bytes.IndexByte(raw, '{')
	if start < 0 || len(bytes.Trim(raw[:start], byteOrderMark+" \t\r\n\x00")) > 0 {
		return nil, false
	}
	m := mender{out: make([]byte, 0, len(raw)+len(raw)/8)}
	for i := start; i < len(raw); {
		i = m.step(raw, i)
		if m.depth == 0 {
			return m.out, true
		}
	}
	return nil, false
}

// mender copies JSON and mends it on the way.
type mender struct {
	out   []byte
	quote byte // the quote that closes the string at hand, 0 outside
	depth int
}

// step copies what stands at i and returns the index behind it.
func (m *mender) step(raw []byte, i int) int {
	c := raw[i]
	if m.quote != 0 {
		return m.inString(raw, i)
	}
	switch c {
	case '"', '\'':
		m.quote = c
		m.out = append(m.out, '"')
		return i + 1
	case '{', '[':
		m.depth++
	case '}', ']':
		m.depth--
	}
	if c >= ' ' {
		m.out = append(m.out, c)
	}
	return i + 1
}

func (m *mender) inString(raw []byte, i int) int {
	c := raw[i]
	switch {
	case c == m.quote:
		m.quote = 0
		m.out = append(m.out, '"')
	case c == '"':
		m.out = append(m.out, '\\', '"')
	case c == '\\' && i+1 < len(raw) && raw[i+1] == '\'':
		m.out = append(m.out, '\'')
		return i + 2
	case c == '\\' && i+1 < len(raw) && raw[i+1] >= ' ':
		m.out = append(m.out, c, raw[i+1])
		return i + 2
	case c == '\\':
		m.out = append(m.out, '\\', '\\')
	case c < ' ':
		m.out = appendControl(m.out, c)
	default:
		m.out = append(m.out, c)
	}
	return i + 1
}

// appendControl appends the escape sequence of a control character.
func appendControl(out []byte, c byte) []byte {
	const hexDigits = "0123456789abcdef"
	switch c {
	case '\n':
		return append(out, '\\', 'n')
	case '\r':
		return append(out, '\\', 'r')
	case '\t':
		return append(out, '\\', 't')
	default:
		return append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
	}
}
