package embedded

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseInsert(t *testing.T) {
	for sql, want := range map[string]insertParts{
		"INSERT INTO t FORMAT CSV":                                   {"INSERT INTO t ", "CSV"},
		"insert into `a b`.t (x, format) format Native;":             {"insert into `a b`.t (x, format) ", "Native"},
		"INSERT INTO t (a) SETTINGS x = 'FORMAT y' FORMAT\nTSV -- z": {"INSERT INTO t (a) SETTINGS x = 'FORMAT y' ", "TSV"},
		"INSERT INTO t (a, b) VALUES":                                {"INSERT INTO t (a, b) ", "Values"},
		"INSERT INTO t":                                              {"INSERT INTO t", "Values"},
		"/* c */ INSERT INTO t (\"select\") FORMAT TSV":              {"/* c */ INSERT INTO t (\"select\") ", "TSV"},
	} {
		got, ok := parseInsert(sql)
		require.True(t, ok, sql)
		require.Equal(t, want, got, sql)
	}
	for _, sql := range []string{
		"", "SELECT 1", "INSERT INTO t SELECT 1 FORMAT TSV", "INSERT INTO t WITH x AS (SELECT 1) SELECT x",
		"INSERT INTO t VALUES (1)", "INSERT INTO t FORMAT CSV\n1,2", "INSERTS INTO t FORMAT CSV", "'INSERT' INTO t",
	} {
		_, ok := parseInsert(sql)
		require.False(t, ok, sql)
	}
}

func TestOutputFormat(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                                  "",
		"SELECT 1 FORMAT JSON":                      "JSON",
		"SELECT 'FORMAT CSV' -- FORMAT TSV":         "",
		"SELECT 1 format Native SETTINGS a = 1":     "Native",
		"SELECT formatDateTime(x, 'y') AS `FORMAT`": "",
	} {
		require.Equal(t, want, outputFormat(sql), sql)
	}
}

func FuzzLexer(f *testing.F) {
	f.Add("SELECT 'it''s' /* x */ -- y\n FROM `t` WHERE \"a\\\"b\" = 1.5e3")
	f.Add("INSERT INTO t FORMAT CSV")
	f.Add("'\\")
	f.Fuzz(func(t *testing.T, sql string) {
		at := 0
		for lex := (lexer{text: sql}); ; {
			next := lex.next()
			if next.kind == tokenEnd {
				break
			}
			require.GreaterOrEqual(t, next.at, at)
			require.Greater(t, next.end, next.at)
			require.LessOrEqual(t, next.end, len(sql))
			at = next.end
		}
		if parts, ok := parseInsert(sql); ok {
			require.True(t, strings.HasPrefix(sql, parts.statement))
		}
		outputFormat(sql)
	})
}
