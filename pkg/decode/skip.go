package decode

import "math/bits"

// jsonText is what the scanner reads: a record's text, or a message's bytes.
type jsonText interface{ string | []byte }

// maxDepth is how deep arrays and objects may be nested: one bit each in a uint64. Real records stay
// below ten.
const maxDepth = 64

// fault says why a text is no JSON.
type fault uint8

const (
	noFault fault = iota
	faultEnd
	faultSyntax
	faultControl
	faultEscape
	faultDepth
	faultTrailing
)

// String says the fault to a person, without a word of the text.
func (f fault) String() string {
	switch f {
	case noFault:
		return "no fault"
	case faultEnd:
		return "the text ends too early"
	case faultControl:
		return "a control character stands inside a string"
	case faultEscape:
		return "an escape sequence is none"
	case faultDepth:
		return "values are nested deeper than 64"
	case faultTrailing:
		return "something follows the value"
	default:
		return "a character stands where JSON allows none"
	}
}

// nesting remembers which containers are open, the innermost in the lowest bit: 1 is an object.
type nesting struct {
	objects uint64
	depth   int
}

func (n *nesting) push(open byte) bool {
	if n.depth == maxDepth {
		return false
	}
	n.depth++
	n.objects <<= 1
	if open == '{' {
		n.objects |= 1
	}
	return true
}

// next goes on behind a value: out of every container that ends there, to the start of the next value.
// more is false when the outermost value has ended.
func next[T jsonText](n *nesting, s T, i int) (at int, more bool, f fault) {
	for n.depth > 0 {
		i = skipSpace(s, i)
		if i >= len(s) {
			return i, false, faultEnd
		}
		inObject := n.objects&1 == 1
		switch c := s[i]; {
		case c == ',' && inObject:
			i, f = skipKey(s, skipSpace(s, i+1))
			return i, f == noFault, f
		case c == ',':
			return i + 1, true, noFault
		case c == '}' && inObject, c == ']' && !inObject:
			n.depth--
			n.objects >>= 1
			i++
		default:
			return i, false, faultSyntax
		}
	}
	return i, false, noFault
}

// skipValue returns the index behind the value that starts at or after i. It accepts exactly the JSON of
// RFC 8259, but for the depth, and returns the place of the fault otherwise.
func skipValue[T jsonText](s T, i int) (int, fault) {
	var open nesting
	for {
		var more bool
		var f fault
		if i, more, f = begin(&open, s, skipSpace(s, i)); f != noFault {
			return i, f
		}
		if more {
			continue
		}
		if i, more, f = next(&open, s, i); !more {
			return i, f
		}
	}
}

// begin goes behind a scalar, or into a container: to its first value, which makes more true, or to the
// bracket that closes an empty one.
func begin[T jsonText](n *nesting, s T, i int) (at int, more bool, f fault) {
	if i >= len(s) {
		return i, false, faultEnd
	}
	c := s[i]
	if c != '{' && c != '[' {
		i, f = skipScalar(s, i)
		return i, false, f
	}
	if !n.push(c) {
		return i, false, faultDepth
	}
	i = skipSpace(s, i+1)
	// Both closing brackets stand two behind the opening ones.
	if i < len(s) && s[i] == c+2 {
		return i, false, noFault
	}
	if c == '{' {
		i, f = skipKey(s, i)
	}
	return i, true, f
}

func skipSpace[T jsonText](s T, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// skipKey goes behind a member's name and colon.
func skipKey[T jsonText](s T, i int) (int, fault) {
	if i >= len(s) {
		return i, faultEnd
	}
	if s[i] != '"' {
		return i, faultSyntax
	}
	i, f := skipString(s, i)
	if f != noFault {
		return i, f
	}
	i = skipSpace(s, i)
	if i >= len(s) {
		return i, faultEnd
	}
	if s[i] != ':' {
		return i, faultSyntax
	}
	return i + 1, noFault
}

func skipScalar[T jsonText](s T, i int) (int, fault) {
	switch s[i] {
	case '"':
		return skipString(s, i)
	case 't':
		return skipWord(s, i, "true")
	case 'f':
		return skipWord(s, i, "false")
	case 'n':
		return skipWord(s, i, "null")
	default:
		return skipNumber(s, i)
	}
}

func skipWord[T jsonText](s T, i int, word string) (int, fault) {
	if len(s)-i < len(word) {
		return i, faultEnd
	}
	if string(s[i:i+len(word)]) != word {
		return i, faultSyntax
	}
	return i + len(word), noFault
}

// skipString goes behind the string whose opening quote is at i.
func skipString[T jsonText](s T, i int) (int, fault) {
	for i++; ; {
		i = skipPlain(s, i)
		if i >= len(s) {
			return len(s), faultEnd
		}
		switch s[i] {
		case '"':
			return i + 1, noFault
		case '\\':
			n := escapeLen(s, i)
			if n == 0 {
				return i, faultEscape
			}
			i += n
		default:
			return i, faultControl
		}
	}
}

// skipPlain goes to the next quote, backslash or control character, eight bytes at a time.
func skipPlain[T jsonText](s T, i int) int {
	const (
		step = 8
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	for i+step <= len(s) {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		// The highest bit of a byte is set where it is below a space, a quote or a backslash. Bytes above
		// such a one may be marked too, so only the lowest counts.
		quote, backslash := w^ones*'"', w^ones*'\\'
		found := ((w-ones*' ') & ^w | (quote-ones) & ^quote | (backslash-ones) & ^backslash) & high
		if found != 0 {
			return i + bits.TrailingZeros64(found)/step
		}
		i += step
	}
	for i < len(s) && s[i] >= ' ' && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}

// escapeLen returns the length of the escape sequence at i, 0 if it is none.
func escapeLen[T jsonText](s T, i int) int {
	if i+1 >= len(s) {
		return 0
	}
	switch s[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if i+6 > len(s) {
			return 0
		}
		for at := i + 2; at < i+6; at++ {
			if hexDigit(s[at]) < 0 {
				return 0
			}
		}
		return 6
	default:
		return 0
	}
}

func hexDigit(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	default:
		return -1
	}
}

func skipNumber[T jsonText](s T, i int) (int, fault) {
	start := i
	if s[i] == '-' {
		i++
	}
	digits := i
	i = skipDigits(s, i)
	if i == digits || (s[digits] == '0' && i > digits+1) {
		return start, faultSyntax
	}
	if i < len(s) && s[i] == '.' {
		fraction := i + 1
		if i = skipDigits(s, fraction); i == fraction {
			return start, faultSyntax
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		exponent := i
		if i = skipDigits(s, exponent); i == exponent {
			return start, faultSyntax
		}
	}
	return i, noFault
}

func skipDigits[T jsonText](s T, i int) int {
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}
