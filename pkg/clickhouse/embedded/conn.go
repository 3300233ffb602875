package embedded

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unsafe"
)

// conn is one connection of the library. It runs one statement at a time and belongs to whoever
// took it from the pool.
type conn struct {
	lib    *library
	handle *connHandle
	// tag is the connection's log_comment, by which another connection can kill its statement.
	tag string
	// database and settings are what the session has now, beyond its defaults.
	database string
	settings map[string]string
	// retired is set when the session may differ from what database and settings say. The pool then
	// closes the connection; a new one takes about 2 ms.
	retired bool
}

func (c *conn) close() { c.lib.closeConn(c.handle) }

// exec runs sql and throws its answer away.
func (c *conn) exec(sql string) error {
	_, err := c.materialize(statement{sql: sql, format: "Null"}, nil)
	return err
}

// materialize runs a statement and hands its whole answer to use, in memory that is valid during
// that call only. It returns the number of rows written.
func (c *conn) materialize(st statement, use func([]byte) error) (uint64, error) {
	params := newParams(st.params)
	defer params.release()
	result := c.lib.query(*c.handle, bytesOf(st.sql), uintptr(len(st.sql)), bytesOf(st.format), uintptr(len(st.format)),
		&params.names.pointers[0], &params.names.lengths[0], &params.values.pointers[0], &params.values.lengths[0], params.count)
	defer c.lib.destroyResult(result)
	runtime.KeepAlive(st)
	if text := c.lib.resultError(result); text != "" {
		return 0, engineException(text)
	}
	if use != nil {
		if err := use(c.lib.bytes(result)); err != nil {
			return 0, err
		}
	}
	return c.lib.resultWritten(result), nil
}

// params are bound values on their way into the library.
type params struct {
	names, values *cstrings
	count         uintptr
}

func newParams(values map[string]string) params {
	names := slices.Sorted(maps.Keys(values))
	ordered := make([]string, len(names))
	for i, name := range names {
		ordered[i] = values[name]
	}
	return params{names: newCStrings(names), values: newCStrings(ordered), count: uintptr(len(names))}
}

func (p params) release() {
	p.names.release()
	p.values.release()
}

// bytes is the memory of a result, valid until it is destroyed.
func (lib *library) bytes(result resultHandle) []byte {
	length := lib.resultLength(result)
	if length == 0 {
		return nil
	}
	return unsafe.Slice(lib.resultBuffer(result), length)
}

// bytesOf is the memory of text for the duration of a call. The library takes a length, so the text
// needs no terminator; it must not be nil.
func bytesOf(text string) *byte {
	if text == "" {
		return new(byte)
	}
	return unsafe.StringData(text)
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// prepare gives the session the database and settings that a statement asks for.
func (c *conn) prepare(database string, settings map[string]string) error {
	if err := c.applySettings(settings); err != nil {
		return err
	}
	if database == "" {
		database = defaultDatabase
	}
	if database == c.database {
		return nil
	}
	if err := c.exec("USE " + quoteIdentifier(database)); err != nil {
		return err
	}
	c.database = database
	return nil
}

// needsFresh reports whether the session has a setting that the statement does not ask for. SET x =
// DEFAULT would not take it back: it goes past the profile, to the engine's own default.
func (c *conn) needsFresh(settings map[string]string) bool {
	for name := range c.settings {
		if _, ok := settings[name]; !ok {
			return true
		}
	}
	return false
}

func (c *conn) applySettings(settings map[string]string) error {
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !settingName.MatchString(name) {
			return newException(http.StatusBadRequest, codeUnknownSetting, "UNKNOWN_SETTING", "%q is no name of a setting", name)
		}
		if value, ok := c.settings[name]; !ok || value != settings[name] {
			changes = append(changes, name+" = "+quoteString(settings[name]))
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if err := c.exec("SET " + strings.Join(changes, ", ")); err != nil {
		// Some of them may have been set.
		c.retired = true
		return err
	}
	c.settings = maps.Clone(settings)
	return nil
}

// Classes of statements, chdb_query_class.
const (
	classReadOnly = 0
	classControl  = 3
	classUnknown  = 4
)

// classify says what sql would do, without doing it.
func (c *conn) classify(sql string) (analysis, error) {
	result := analysis{structSize: uint32(unsafe.Sizeof(analysis{}))}
	if c.lib.classify(*c.handle, bytesOf(sql), uintptr(len(sql)), nil, 0, &result) != 0 {
		return analysis{}, fmt.Errorf("classifying statement: %w", ErrClosed)
	}
	return result, nil
}

func quoteString(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

func quoteIdentifier(name string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(name) + "`"
}
