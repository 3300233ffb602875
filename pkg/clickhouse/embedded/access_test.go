package embedded_test

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// answerOf is what a plain HTTP client gets.
type answerOf struct {
	status int
	code   int
	body   string
}

// ask posts sql, or gets it if method says so, signed in by change.
func ask(t *testing.T, base, method, sql string, change func(*http.Request)) answerOf {
	t.Helper()
	target, body := base+"/", io.Reader(strings.NewReader(sql))
	if method == http.MethodGet {
		target, body = target+"?query="+url.QueryEscape(sql), nil
	}
	request, err := http.NewRequestWithContext(t.Context(), method, target, body)
	require.NoError(t, err)
	change(request)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	code, _ := strconv.Atoi(response.Header.Get("X-ClickHouse-Exception-Code"))
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return answerOf{status: response.StatusCode, code: code, body: string(text)}
}

func as(name, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, password) }
}

func withQuery(pairs ...string) func(*http.Request) {
	return func(r *http.Request) {
		query := r.URL.Query()
		for i := 0; i < len(pairs); i += 2 {
			query.Set(pairs[i], pairs[i+1])
		}
		r.URL.RawQuery = query.Encode()
	}
}

func withHeader(pairs ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			r.Header.Set(pairs[i], pairs[i+1])
		}
	}
}

func TestAuthentication(t *testing.T) {
	server := serve(t, openEngine(t))
	refused := map[string]func(*http.Request){
		"nobody":                 func(*http.Request) {},
		"wrong password":         as(writer, readerPassword),
		"no password":            as(writer, ""),
		"unknown user":           as("default", writerPassword),
		"ClickHouse's default":   as("default", ""),
		"wrong parameters":       withQuery("user", writer, "password", "guess"),
		"wrong headers":          withHeader("X-ClickHouse-User", writer, "X-ClickHouse-Key", "guess"),
		"password of the other":  withQuery("user", reader, "password", writerPassword),
		"headers before basic":   func(r *http.Request) { as(writer, writerPassword)(r); withHeader("X-ClickHouse-User", "x")(r) },
		"name in another letter": as(strings.ToUpper(writer), writerPassword),
	}
	for name, change := range refused {
		for _, path := range []string{"/", "/ping", "/play", "/metrics", "/replicas_status"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				t.Run(name+" "+method+" "+path, func(t *testing.T) {
					got := ask(t, server.URL, method, "SELECT 'leaked'", func(r *http.Request) { r.URL.Path = path; change(r) })
					require.Equal(t, http.StatusUnauthorized, got.status)
					require.Equal(t, 516, got.code)
					require.NotContains(t, got.body, "leaked")
				})
			}
		}
	}
	for name, change := range map[string]func(*http.Request){
		"basic":      as(writer, writerPassword),
		"reader":     as(reader, readerPassword),
		"headers":    withHeader("X-ClickHouse-User", writer, "X-ClickHouse-Key", writerPassword),
		"parameters": withQuery("user", writer, "password", writerPassword),
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, answerOf{status: http.StatusOK, body: "1\n"}, ask(t, server.URL, http.MethodPost, "SELECT 1", change))
		})
	}
}

func TestReaderReadsOnly(t *testing.T) {
	server := serve(t, openEngine(t))
	write := func(sql string) answerOf { return ask(t, server.URL, http.MethodPost, sql, as(writer, writerPassword)) }
	require.Equal(t, http.StatusOK, write("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a").status)
	require.Equal(t, http.StatusOK, write("INSERT INTO t VALUES (1)").status)
	for _, sql := range []string{
		"INSERT INTO t VALUES (2)", "INSERT INTO t SELECT 2", "DROP TABLE t", "TRUNCATE TABLE t", "ALTER TABLE t DELETE WHERE 1",
		"CREATE TABLE u (a UInt8) ENGINE = Memory", "KILL QUERY WHERE 1", "SYSTEM STOP MERGES", "OPTIMIZE TABLE t",
		"SELECT 1; DROP TABLE t", "SET readonly = 0", "CREATE TEMPORARY TABLE x (a UInt8)",
		"EXPLAIN SELECT 1 SETTINGS readonly = 0", "SELECT 1 SETTINGS readonly = 0",
	} {
		t.Run(sql, func(t *testing.T) {
			got := ask(t, server.URL, http.MethodPost, sql, as(reader, readerPassword))
			require.NotEqual(t, http.StatusOK, got.status, got.body)
		})
	}
	got := ask(t, server.URL, http.MethodPost, "SELECT 1", func(r *http.Request) {
		as(reader, readerPassword)(r)
		withQuery("readonly", "0", "query", "INSERT INTO t VALUES")(r)
	})
	require.NotEqual(t, http.StatusOK, got.status, got.body)
	byGet := ask(t, server.URL, http.MethodGet, "DROP TABLE t", as(writer, writerPassword))
	require.Equal(t, answerOf{status: http.StatusForbidden, code: 164, body: byGet.body}, byGet)
	for _, sql := range []string{"SELECT a FROM t", "WITH 1 AS one SELECT a FROM t WHERE a = one", "SELECT a FROM t SETTINGS max_threads = 1"} {
		require.Equal(t, answerOf{status: http.StatusOK, body: "1\n"}, ask(t, server.URL, http.MethodPost, sql, as(reader, readerPassword)))
	}
	require.Equal(t, 62, ask(t, server.URL, http.MethodPost, "SELECT FROM WHERE", as(reader, readerPassword)).code, "readers see what is wrong")
	require.Equal(t, "t\n", ask(t, server.URL, http.MethodGet, "SHOW TABLES", as(reader, readerPassword)).body)
}

// Whoever may query may not reach the machine.
func TestHostIsOutOfReach(t *testing.T) {
	server := serve(t, openEngine(t))
	dir := t.TempDir()
	secret, target := filepath.Join(dir, "secret.tsv"), filepath.Join(dir, "written.tsv")
	require.NoError(t, os.WriteFile(secret, []byte("canary\n"), 0o600))
	write := func(sql string) answerOf { return ask(t, server.URL, http.MethodPost, sql, as(writer, writerPassword)) }
	require.Equal(t, http.StatusOK, write("CREATE TABLE lines (line String) ENGINE = MergeTree ORDER BY line").status)
	// The engine lets this pass, and then runs nothing but what lies in a folder that it cannot write.
	require.Equal(t, http.StatusOK, write("CREATE TABLE programs (a String) ENGINE = Executable('cat', 'TSV')").status)
	for _, sql := range []string{
		"SELECT file('SECRET')",
		"SELECT FILE('SECRET')",
		"SELECT file/* */('SECRET')",
		"SELECT file -- \n ('SECRET')",
		"SELECT `file`('SECRET')",
		"SELECT \"file\"('SECRET')",
		"SELECT `f\\x69le`('SECRET')",
		"SELECT \"\\x66ile\"('SECRET')",
		"SELECT 'SECRET' AS x, * APPLY(file) FROM (SELECT 'SECRET')",
		"SELECT * FROM (SELECT 'SECRET' AS x) WHERE file(x) != ''",
		"EXPLAIN SELECT file('SECRET')",
		"SELECT * FROM file('SECRET', 'LineAsString')",
		"DESCRIBE TABLE file('SECRET', 'LineAsString')",
		"SELECT * FROM `default`.`SECRET`",
		"SELECT * FROM `SECRET`",
		"INSERT INTO lines FROM INFILE 'SECRET' FORMAT LineAsString",
		"INSERT INTO lines FROM/**/INFILE 'SECRET' COMPRESSION 'none' FORMAT LineAsString",
		"INSERT INTO FUNCTION file('TARGET', 'TSV', 'a String') VALUES ('x')",
		"SELECT 1 INTO OUTFILE 'TARGET'",
		"SELECT 1 INTO/**/OUTFILE 'TARGET' FORMAT TSV",
		"CREATE TABLE f (a String) ENGINE = File('TSV', 'SECRET')",
		"SELECT * FROM programs",
		"CREATE TABLE f (a String) ENGINE = URL('http://127.0.0.1:1/', 'TSV')",
		"CREATE TABLE f (a String) ENGINE = Distributed('default', 'default', 'lines')",
		"CREATE DATABASE f ENGINE = Filesystem('/')",
		"CREATE DICTIONARY d (a String) PRIMARY KEY a SOURCE(FILE(path 'SECRET' format 'TSV')) LAYOUT(FLAT()) LIFETIME(0)",
		"CREATE FUNCTION f AS (x) -> x",
		"CREATE USER u", "GRANT ALL ON *.* TO default", "SHUTDOWN", "SYSTEM SHUTDOWN", "SYSTEM KILL", "SYSTEM RELOAD CONFIG",
		"BACKUP TABLE lines TO File('TARGET')",
		"SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
		"SELECT * FROM remote('127.0.0.1:1', system.one)",
		"SELECT * FROM s3('http://127.0.0.1:1/b/k')",
		"SELECT * FROM executable('cat', 'TSV', 'a String')",
		"SELECT * FROM arrowstream('1')",
		"SELECT * FROM sqlite('SECRET', 't')",
		"SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
		"SELECT 1 FORMAT Protobuf SETTINGS format_schema = 'SECRET:M'",
	} {
		sql = strings.NewReplacer("SECRET", secret, "TARGET", target).Replace(sql)
		t.Run(sql, func(t *testing.T) {
			got := write(sql)
			require.NotEqual(t, http.StatusOK, got.status, got.body)
			require.NotContains(t, got.body, "canary")
		})
	}
	require.NoFileExists(t, target)
	require.Equal(t, "0\n", write("SELECT count() FROM lines").body)
	require.Equal(t, "profile\n", write("SELECT 'profile' WHERE 'file' != 'x' OR position('a\\'b', '\\'') > 0").body, "strings are free to say file")
}

func TestRequestsThatAreRefused(t *testing.T) {
	server := serve(t, openEngine(t))
	for name, tc := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"session":          {withQuery("session_id", "s"), http.StatusNotImplemented},
		"whole answer":     {withQuery("wait_end_of_query", "1"), http.StatusNotImplemented},
		"gzip":             {withHeader("Content-Encoding", "gzip"), http.StatusNotImplemented},
		"multipart":        {withHeader("Content-Type", "multipart/form-data; boundary=x"), http.StatusNotImplemented},
		"method":           {func(r *http.Request) { r.Method = http.MethodPut }, http.StatusMethodNotAllowed},
		"format injection": {withQuery("default_format", "TSV; DROP"), http.StatusBadRequest},
		"setting name":     {withQuery("a = 1, b", "1"), http.StatusBadRequest},
		"too long": {func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat(" ", 17<<20))), 17<<20
		}, http.StatusRequestEntityTooLarge},
		"empty": {func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 }, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(t, server.URL, http.MethodPost, "SELECT 1", func(r *http.Request) { as(writer, writerPassword)(r); tc.change(r) })
			require.Equal(t, tc.status, got.status, got.body)
			require.NotZero(t, got.code)
		})
	}
}

func TestPlainHTTP(t *testing.T) {
	server := serve(t, openEngine(t))
	post := func(body string, change func(*http.Request)) answerOf {
		return ask(t, server.URL, http.MethodPost, body, func(r *http.Request) { as(writer, writerPassword)(r); change(r) })
	}
	none := func(*http.Request) {}
	require.Equal(t, answerOf{status: 200}, post("CREATE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a", none))
	require.Equal(t, answerOf{status: 200}, post("1,x\n2,y\n", withQuery("query", "INSERT INTO t FORMAT CSV")))
	require.Equal(t, answerOf{status: 200}, post("(3, 'z')", withQuery("query", "INSERT INTO t VALUES")))
	require.Equal(t, answerOf{status: 200}, post("(4, 'inline')", withQuery("query", "INSERT INTO t (a, s) VALUES (5, 'five'), ")))
	require.Equal(t, answerOf{status: 200}, post("INSERT INTO t FORMAT JSONEachRow\n{\"a\": 6, \"s\": \"six\"}\n", none))
	require.Equal(t, answerOf{status: 200}, post("INSERT INTO t SELECT 7, 'seven'", none))
	require.Equal(t, answerOf{status: 200, body: "1,2,3,4,5,6,7\n"}, post("SELECT arrayStringConcat(arraySort(groupArray(a)), ',') FROM t", none))
	require.JSONEq(t, `{"a": 2, "s": "y"}`, post("SELECT * FROM t WHERE a = {a:UInt32} FORMAT JSONEachRow", withQuery("param_a", "2")).body)
	require.Equal(t, "a'b\n", post("SELECT {s:String} FORMAT TSVRaw", withQuery("param_s", "a'b")).body)
	require.Equal(t, "\"n\"\n0\n1\n", post("SELECT number AS n FROM numbers(2) FORMAT CSVWithNames", none).body)
	document := post("SELECT number FROM numbers(200000) FORMAT JSONCompact", none)
	require.Equal(t, 1, strings.Count(document.body, `"meta"`), "formats with a frame come as one document")
	require.Equal(t, "system\n", post("SELECT currentDatabase()", withQuery("database", "system")).body)
	require.Equal(t, "3\n", post("SELECT getSetting('max_threads')", withQuery("max_threads", "3")).body)
	require.Equal(t, 60, post("SELECT * FROM nowhere", none).code)
	broken := post("SELECT throwIf(number = 3000000) FROM numbers(10000000) SETTINGS max_threads = 1 FORMAT TSV", none)
	require.Equal(t, 200, broken.status)
	require.Contains(t, broken.body, "\r\n__exception__\r\n")
	require.Contains(t, broken.body, "Code: 395.")
}
