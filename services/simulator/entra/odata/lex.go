package odata

import (
	"strings"
)

// token is a word, a quoted text, or one of ( ) , : as its own text.
type token struct {
	text   string
	quoted bool
}

// lex splits a filter. Words run up to white space or one of the characters that stand alone; a colon is part of a
// word that begins with a digit, because dates have colons.
func lex(s string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t':
			i++
		case c == '\'':
			text, n, ok := quoted(s[i:])
			if !ok {
				return nil, syntaxError("There is an unterminated string literal at position %d", i)
			}
			tokens = append(tokens, token{text, true})
			i += n
		case strings.IndexByte("(),:", c) >= 0:
			tokens = append(tokens, token{text: string(c)})
			i++
		default:
			n := word(s[i:])
			tokens = append(tokens, token{text: s[i : i+n]})
			i += n
		}
		if len(tokens) > maxTokens {
			return nil, syntaxError("The filter has more than %d tokens", maxTokens)
		}
	}
	return tokens, nil
}

// quoted reads a text in single quotes; a quote inside is doubled.
func quoted(s string) (text string, length int, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

func word(s string) int {
	ends := " \t'(),"
	if s[0] < '0' || s[0] > '9' {
		ends += ":"
	}
	if n := strings.IndexAny(s, ends); n > 0 {
		return n
	}
	return len(s)
}
