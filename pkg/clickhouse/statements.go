package clickhouse

import "strings"

// splitStatements splits SQL at its semicolons, except those in strings, quoted names and comments.
// Statements come without the blanks around them; empty ones and mere comments are left out.
func splitStatements(sql string) []string {
	var statements []string
	start, code := 0, false
	flush := func(end int) {
		if code {
			statements = append(statements, strings.TrimSpace(sql[start:end]))
		}
		code = false
	}
	for i := 0; i < len(sql); {
		rest := sql[i:]
		switch c := sql[i]; {
		case strings.HasPrefix(rest, "--"):
			i += lengthTo(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			i += lengthTo(rest, "*/")
		case c == '\'' || c == '"' || c == '`':
			code = true
			i += quotedLength(rest)
		case c == ';':
			flush(i)
			i++
			start = i
		default:
			code = code || !strings.ContainsRune(" \t\r\n", rune(c))
			i++
		}
	}
	flush(len(sql))
	return statements
}

func lengthTo(text, end string) int {
	if i := strings.Index(text, end); i >= 0 {
		return i + len(end)
	}
	return len(text)
}

// quotedLength is the length of the quoted token that text begins with. A doubled quote reads as two
// tokens, which is the same here.
func quotedLength(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[0]:
			return i + 1
		}
	}
	return len(text)
}
