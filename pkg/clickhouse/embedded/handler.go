package embedded

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxStatementBytes bounds the text of a statement, inline rows included. Rows in a body of their
// own have no bound.
const maxStatementBytes = 16 << 20

// formFields are parameters of the HTTP interface that are no settings of the statement. Those with
// an empty reason are read or may be left alone; the others are refused rather than passed over.
func formField(name string) (reason string, known bool) {
	switch name {
	case "query", "database", "default_format", "user", "password", "query_id", "quota_key",
		"client_protocol_version", "compress", "decompress", "network_compression_method",
		"network_zstd_compression_level", "enable_http_compression", "buffer_size", "log_comment":
		return "", true
	case "session_id", "session_timeout", "session_check":
		return "sessions are not kept", true
	case "wait_end_of_query":
		return "answers are streamed", true
	case "role":
		return "there are no roles", true
	}
	return "", false
}

// ServeHTTP answers one request of the ClickHouse HTTP interface from one of Settings.Users, named in
// the headers X-ClickHouse-User and X-ClickHouse-Key, basic authentication, or the parameters user
// and password. Errors have the engine's text and the header X-ClickHouse-Exception-Code; one that
// comes after the first block stands in the body, framed as ClickHouse 25 and later do.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	account, err := e.authenticate(r)
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="ClickHouse"`)
		writeException(w, asException(err))
		return
	}
	e.serve(w, r, account.readOnly)
}

func (e *Engine) authenticate(r *http.Request) (account, error) {
	query := r.URL.Query()
	name, password := r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	if basicName, basicPassword, ok := r.BasicAuth(); ok && name == "" {
		name, password = basicName, basicPassword
	}
	if name == "" {
		name, password = query.Get("user"), query.Get("password")
	}
	var found account
	matched := 0
	nameSum, passwordSum := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(password))
	for _, candidate := range e.accounts {
		same := subtle.ConstantTimeCompare(nameSum[:], candidate.name[:]) &
			subtle.ConstantTimeCompare(passwordSum[:], candidate.password[:])
		if same == 1 {
			found = candidate
		}
		matched |= same
	}
	if matched == 0 {
		return account{}, newException(http.StatusUnauthorized, codeWrongCredentials, "AUTHENTICATION_FAILED",
			"authentication failed: user or password is wrong or missing")
	}
	return found, nil
}

// serve answers a request of somebody known.
func (e *Engine) serve(w http.ResponseWriter, r *http.Request, readOnly bool) {
	request, err := e.parse(r)
	if err != nil {
		writeException(w, asException(err))
		return
	}
	ctx, unregister := e.register(r.Context(), w, r.Body)
	defer unregister()
	out := &answer{w: w, format: request.format, hello: e.hello, tag: request.tag, compress: request.compress}
	if request.isHello() {
		block, err := e.hello.encode()
		if err == nil {
			_, err = out.Write(block)
		}
		out.end(err)
		return
	}
	request.readOnly = readOnly || r.Method == http.MethodGet || r.Method == http.MethodHead
	written, err := e.run(ctx, request.statement, out)
	if err == nil {
		out.summarize(written)
	} else if request.body != nil {
		// The sender is still sending; a connection that is cut now would hide the answer from it.
		drainBody(w, r.Body)
	}
	out.end(err)
}

// drainTime is how long the rest of a refused body is read.
const drainTime = 5 * time.Second

func drainBody(w http.ResponseWriter, body io.Reader) {
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime)); err != nil {
		return // in process: closing the body is enough
	}
	_, _ = io.Copy(io.Discard, body)
}

// request is a parsed request.
type request struct {
	statement
	native   bool
	compress string
	tag      string
}

func (r request) isHello() bool { return r.native && strings.TrimSpace(r.sql) == helloQuery }

func (e *Engine) parse(r *http.Request) (request, error) {
	form := r.URL.Query()
	parsed := request{statement: statement{
		database: first(r.Header.Get("X-ClickHouse-Database"), form.Get("database")),
		format:   first(r.Header.Get("X-ClickHouse-Format"), form.Get("default_format"), "TabSeparated"),
		settings: map[string]string{}, params: map[string]string{},
	}}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return request{}, badRequest(http.StatusMethodNotAllowed, "method %s is not supported", r.Method)
	}
	if !isFormatName(parsed.format) {
		return request{}, badRequest(http.StatusBadRequest, "%q is no name of a format", parsed.format)
	}
	if kind := r.Header.Get("Content-Type"); strings.HasPrefix(kind, "multipart/") {
		return request{}, badRequest(http.StatusNotImplemented, "external tables are not supported")
	}
	for name := range form {
		if err := parsed.field(name, form); err != nil {
			return request{}, err
		}
	}
	body, err := requestBody(r, form)
	if err != nil {
		return request{}, err
	}
	parsed.native = strings.EqualFold(parsed.format, "Native") && form.Get("client_protocol_version") != ""
	if form.Get("compress") == "1" {
		parsed.compress = first(form.Get("network_compression_method"), "LZ4")
	}
	parsed.tag = newExceptionTag()
	return parsed, parsed.text(form.Get("query"), body)
}

func (r *request) field(name string, form url.Values) error {
	value := form.Get(name)
	if param, ok := strings.CutPrefix(name, "param_"); ok {
		r.params[param] = value
		return nil
	}
	reason, known := formField(name)
	switch {
	case !known:
		r.settings[name] = value
	case reason != "" && value != "" && value != "0":
		return badRequest(http.StatusNotImplemented, "parameter %s is not supported: %s", name, reason)
	}
	return nil
}

// text decides what is statement and what is rows.
func (r *request) text(query string, body io.Reader) error {
	if parts, ok := parseInsert(query); ok && body != nil {
		r.sql, r.format, r.body = parts.statement, parts.format, body
		return nil
	}
	if body != nil {
		rest, err := io.ReadAll(io.LimitReader(body, maxStatementBytes+1))
		if err != nil {
			return fmt.Errorf("reading statement: %w", err)
		}
		if query != "" && len(rest) > 0 {
			query += "\n"
		}
		query += string(rest)
	}
	if len(query) > maxStatementBytes {
		return newException(http.StatusRequestEntityTooLarge, codeTooManyBytes, "TOO_MANY_BYTES",
			"statement is longer than %d bytes", maxStatementBytes)
	}
	if strings.TrimSpace(query) == "" {
		return newException(http.StatusBadRequest, codeSyntaxError, "SYNTAX_ERROR", "empty query")
	}
	r.sql = query
	return nil
}

// first returns the first value that is not empty.
func first(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

func isFormatName(name string) bool {
	lex := lexer{text: name}
	word := lex.next()
	return word.kind == tokenWord && lex.next().kind == tokenEnd
}

func badRequest(status int, format string, args ...any) *statementError {
	code, name := codeBadArguments, "BAD_ARGUMENTS"
	if status == http.StatusNotImplemented {
		code, name = codeNotImplemented, "NOT_IMPLEMENTED"
	}
	return newException(status, code, name, format, args...)
}

func writeException(w http.ResponseWriter, exception *statementError) {
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=UTF-8")
	header.Set("X-ClickHouse-Exception-Code", strconv.Itoa(exception.code))
	w.WriteHeader(exception.status)
	_, _ = io.WriteString(w, exception.text+"\n")
}
