package embedded

import (
	"strings"
	"unicode/utf8"
)

// Grants (serverfiles.go) keep statements away from files, URLs and servers as sources of tables.
// Three ways to a file of the host need none in an embedded engine: INTO OUTFILE, FROM INFILE and
// the scalar function file. They are refused here, by words.

// needsGuard reports whether sql could name a file. It may be wrong only towards true: a quoted
// identifier can spell "file" in escapes, so a backslash is enough.
func needsGuard(sql string) bool {
	return strings.Contains(sql, `\`) || containsFold(sql, "file")
}

// touchesFiles reports whether sql, in the engine's own canonical spelling, names a file of the host.
// Any identifier "file" counts, a column too: the function can be passed by name (APPLY file).
func touchesFiles(canonical string) bool {
	for lex := (lexer{text: canonical}); ; {
		token := lex.next()
		switch {
		case token.kind == tokenEnd:
			return false
		case token.kind == tokenWord && (strings.EqualFold(token.text, "infile") || strings.EqualFold(token.text, "outfile")):
			return true
		case (token.kind == tokenWord || token.kind == tokenQuoted) && strings.EqualFold(token.text, "file"):
			return true
		}
	}
}

func containsFold(text, lower string) bool {
	for i := 0; i+len(lower) <= len(text); i++ {
		if strings.EqualFold(text[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

// insertParts is an INSERT that waits for its rows.
type insertParts struct {
	statement string // without its FORMAT clause
	format    string
}

// parseInsert splits an INSERT whose rows are not in its text. ok is false for any other statement,
// and for an INSERT with a SELECT or with rows after its FORMAT or VALUES.
func parseInsert(sql string) (parts insertParts, ok bool) {
	lex := lexer{text: sql}
	if first := lex.next(); first.kind != tokenWord || !strings.EqualFold(first.text, "insert") {
		return insertParts{}, false
	}
	var previous, last token
	for {
		current := lex.next()
		if current.kind == tokenEnd || current.text == ";" {
			break
		}
		if current.kind == tokenWord && (strings.EqualFold(current.text, "select") || strings.EqualFold(current.text, "with")) {
			return insertParts{}, false
		}
		if previous.isWord("format") && last.kind == tokenWord {
			return insertParts{}, false // rows follow
		}
		if last.isWord("values") {
			return insertParts{}, false
		}
		previous, last = last, current
	}
	switch {
	case previous.isWord("format") && last.kind == tokenWord:
		return insertParts{statement: sql[:previous.at], format: last.text}, true
	case last.isWord("values"):
		return insertParts{statement: sql[:last.at], format: "Values"}, true
	}
	return insertParts{statement: sql[:last.end], format: "Values"}, true
}

// outputFormat returns the format that sql asks for in its FORMAT clause, or "".
func outputFormat(sql string) string {
	format := ""
	var previous token
	for lex := (lexer{text: sql}); ; {
		current := lex.next()
		if current.kind == tokenEnd {
			return format
		}
		if previous.isWord("format") && current.kind == tokenWord {
			format = current.text
		}
		previous = current
	}
}

// streamable reports whether answers in format may be put together from the answers for their
// blocks. Formats with a frame around the rows, or a header before them, may not.
func streamable(format string) bool {
	switch strings.ToLower(format) {
	case "native", "rowbinary", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "raw", "csv",
		"jsoneachrow", "jsonlines", "ndjson", "jsoncompacteachrow", "lineasstring":
		return true
	}
	return false
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenQuoted // an identifier in quotes, without them
	tokenString
	tokenOther
)

type token struct {
	kind    tokenKind
	text    string
	at, end int
}

func (t token) isWord(lower string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, lower)
}

// lexer splits SQL as far as telling words from strings and comments needs.
type lexer struct {
	text string
	pos  int
}

func (l *lexer) next() token {
	l.skipBlanks()
	start := l.pos
	if start >= len(l.text) {
		return token{kind: tokenEnd, at: start, end: start}
	}
	switch c := l.text[start]; {
	case c == '\'':
		l.skipQuoted(c)
		return token{kind: tokenString, at: start, end: l.pos}
	case c == '"' || c == '`':
		l.skipQuoted(c)
		return token{kind: tokenQuoted, text: strings.Trim(l.text[start:l.pos], string(c)), at: start, end: l.pos}
	case isWordByte(c):
		for l.pos < len(l.text) && isWordByte(l.text[l.pos]) {
			l.pos++
		}
		return token{kind: tokenWord, text: l.text[start:l.pos], at: start, end: l.pos}
	default:
		_, size := utf8.DecodeRuneInString(l.text[start:])
		l.pos += size
		return token{kind: tokenOther, text: l.text[start:l.pos], at: start, end: l.pos}
	}
}

func (l *lexer) skipBlanks() {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case strings.HasPrefix(rest, "--"):
			l.skipTo("\n")
		case strings.HasPrefix(rest, "/*"):
			l.pos += len("/*")
			l.skipTo("*/")
		case strings.ContainsRune(" \t\r\n\v\f", rune(rest[0])):
			l.pos++
		default:
			return
		}
	}
}

func (l *lexer) skipTo(end string) {
	if i := strings.Index(l.text[l.pos:], end); i >= 0 {
		l.pos += i + len(end)
		return
	}
	l.pos = len(l.text)
}

// skipQuoted steps over a quoted token. A doubled quote reads as two tokens, which does no harm.
func (l *lexer) skipQuoted(quote byte) {
	for l.pos++; l.pos < len(l.text); l.pos++ {
		switch l.text[l.pos] {
		case '\\':
			l.pos++
		case quote:
			l.pos++
			return
		}
	}
	l.pos = min(l.pos, len(l.text))
}

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
