// Package subject escapes what becomes a token of a NATS subject. The subject builders generated
// beside each message use it; a consumer seldom needs it directly.
//
// It reads and writes strings only and imports nothing but the standard library.
package subject

import "strings"

// None is the token that stands for an empty value.
const None = "_"

const hexDigits = "0123456789ABCDEF"

// Escape makes one subject token of any string: ASCII letters, digits, '-' and '_' stand for
// themselves, every other byte becomes "=XX" in upper-case hex, the empty string becomes [None] and
// the string "_" becomes "=5F". The result has no dot, wildcard or space and is never empty; it is
// also a valid key of a NATS key-value bucket. Equal results come from equal strings only.
func Escape(value string) string {
	if value == "" {
		return None
	}
	if value == None {
		return "=5F"
	}
	escapes := 0
	for i := range len(value) {
		if !plain(value[i]) {
			escapes++
		}
	}
	if escapes == 0 {
		return value
	}
	var b strings.Builder
	b.Grow(len(value) + 2*escapes)
	for i := range len(value) {
		if c := value[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('=')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&0xF])
		}
	}
	return b.String()
}

// Unescape is the inverse of [Escape]; ok is false for a token that Escape never makes.
func Unescape(token string) (value string, ok bool) {
	if token == None {
		return "", true
	}
	var b strings.Builder
	b.Grow(len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c != '=' {
			b.WriteByte(c)
			continue
		}
		if i+2 >= len(token) {
			return "", false
		}
		hi, lo := strings.IndexByte(hexDigits, token[i+1]), strings.IndexByte(hexDigits, token[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	value = b.String()
	return value, Escape(value) == token
}

// Match makes a token for a subscription: "*" for the empty string, else what [Escape] makes.
func Match(value string) string {
	if value == "" {
		return "*"
	}
	return Escape(value)
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
