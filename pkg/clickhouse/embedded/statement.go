package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
)

// statement is one SQL statement on its way into the engine.
type statement struct {
	sql      string
	format   string
	database string
	params   map[string]string
	settings map[string]string
	readOnly bool
	// body holds the rows of an INSERT that names no others.
	body io.Reader
}

// appendSize is how many bytes of rows go into the engine at a time.
const appendSize = 1 << 20

// run executes a statement and passes its answer to out, block by block. It returns the number of
// rows written. When ctx ends it stops the statement and returns ctx's error.
func (e *Engine) run(ctx context.Context, st statement, out io.Writer) (uint64, error) {
	c, err := e.pool.take(ctx, st.settings)
	if err != nil {
		return 0, err
	}
	defer e.pool.give(c)
	stop := e.watch(ctx, c)
	written, err := e.runOn(ctx, c, st, out)
	stop()
	if err != nil {
		// The library hands what a failed statement had already answered to the next one.
		c.retired = true
	}
	if ctxErr := ctx.Err(); ctxErr != nil && err != nil {
		return written, fmt.Errorf("running statement: %w", ctxErr)
	}
	return written, err
}

func (e *Engine) runOn(ctx context.Context, c *conn, st statement, out io.Writer) (uint64, error) {
	if err := e.admit(c, st); err != nil {
		return 0, err
	}
	if err := c.prepare(st.database, st.settings); err != nil {
		return 0, err
	}
	if st.readOnly {
		// Cannot be taken back, so the connection ends with the statement.
		c.retired = true
		if err := c.exec("SET readonly = 2"); err != nil {
			return 0, err
		}
	}
	if st.body != nil {
		return c.insert(ctx, st)
	}
	if !st.streams() {
		return c.materialize(st, writeTo(out))
	}
	written, err := c.stream(ctx, st, out)
	if errors.Is(err, errNotStreamed) {
		return c.materialize(st, writeTo(out))
	}
	return written, err
}

func writeTo(out io.Writer) func([]byte) error {
	return func(block []byte) error {
		if len(block) == 0 {
			return nil
		}
		_, err := out.Write(block)
		return err
	}
}

// streams reports whether the answer can be taken from the engine block by block.
func (st statement) streams() bool {
	format := outputFormat(st.sql)
	if format == "" {
		format = st.format
	}
	return streamable(format)
}

// admit refuses what the caller may not do, before any of it is done.
func (e *Engine) admit(c *conn, st statement) error {
	text := st.sql
	if st.body != nil {
		text += " FORMAT " + st.format
	}
	what, err := c.classify(text)
	if err != nil {
		return err
	}
	if what.statementCount > 1 {
		return newException(http.StatusBadRequest, codeSyntaxError, "SYNTAX_ERROR", "one statement at a time, got %d", what.statementCount)
	}
	if what.class == classControl || what.class == classUnknown {
		// It may change the session, which the pool knows nothing of.
		c.retired = true
	}
	if st.readOnly && what.class != classReadOnly && what.class != classUnknown {
		return newException(http.StatusForbidden, codeReadonly, "READONLY", "this user, or this method, may only read")
	}
	if !needsGuard(text) {
		return nil
	}
	canonical, err := e.canonical(text)
	if err != nil {
		return err
	}
	if touchesFiles(canonical) {
		return newException(http.StatusForbidden, codeAccessDenied, "ACCESS_DENIED",
			"statements may not name files of the host (INFILE, OUTFILE, file)")
	}
	return nil
}

// canonical returns sql in the engine's own spelling: without comments, names unescaped.
func (e *Engine) canonical(sql string) (string, error) {
	var text string
	err := e.onControl(func(control *conn) error {
		_, err := control.materialize(statement{
			sql: "SELECT formatQuery({sql:String})", format: "RawBLOB",
			params: map[string]string{"sql": escapeParam(sql)},
		}, func(b []byte) error {
			text = string(b)
			return nil
		})
		return err
	})
	return text, err
}

// escapeParam writes text as the engine reads a String parameter: escaped as in TabSeparated.
func escapeParam(text string) string {
	return strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`).Replace(text)
}

// errNotStreamed reports a statement that the library answers only at once, such as SHOW.
var errNotStreamed = errors.New("statement has no stream")

const notStreamedText = "Streaming query is not supported"

// stream runs a SELECT and writes each block as it comes, straight from the engine's memory.
func (c *conn) stream(ctx context.Context, st statement, out io.Writer) (uint64, error) {
	params := newParams(st.params)
	stream := c.lib.streamQuery(*c.handle, bytesOf(st.sql), uintptr(len(st.sql)), bytesOf(st.format), uintptr(len(st.format)),
		&params.names.pointers[0], &params.names.lengths[0], &params.values.pointers[0], &params.values.lengths[0], params.count)
	params.release()
	runtime.KeepAlive(st)
	defer c.lib.destroyResult(stream)
	if text := c.lib.resultError(stream); text != "" {
		if strings.Contains(text, notStreamedText) {
			return 0, errNotStreamed
		}
		return 0, engineException(text)
	}
	for {
		more, err := c.fetch(stream, out)
		if err != nil {
			c.lib.streamCancel(*c.handle, stream)
			return 0, err
		}
		if !more {
			return 0, nil
		}
		if err := ctx.Err(); err != nil {
			c.lib.streamCancel(*c.handle, stream)
			return 0, err
		}
	}
}

func (c *conn) fetch(stream resultHandle, out io.Writer) (more bool, err error) {
	result := c.lib.streamFetch(*c.handle, stream)
	defer c.lib.destroyResult(result)
	if text := c.lib.resultError(result); text != "" {
		return false, engineException(text)
	}
	block := c.lib.bytes(result)
	if len(block) == 0 {
		return false, nil
	}
	_, err = out.Write(block)
	return true, err
}

// insert feeds the rows of a body to the engine. It commits nothing unless the body ended as its
// sender meant it to.
func (c *conn) insert(ctx context.Context, st statement) (uint64, error) {
	params := newParams(st.params)
	stream := c.lib.streamInsert(*c.handle, bytesOf(st.sql), uintptr(len(st.sql)), bytesOf(st.format), uintptr(len(st.format)),
		&params.names.pointers[0], &params.names.lengths[0], &params.values.pointers[0], &params.values.lengths[0], params.count)
	params.release()
	runtime.KeepAlive(st)
	defer c.lib.destroyInsert(stream)
	if text := c.lib.insertError(stream); text != "" {
		return 0, engineException(text)
	}
	empty, err := c.feed(ctx, stream, st.body)
	if err != nil {
		c.lib.insertCancel(stream)
		return 0, err
	}
	if empty {
		// A sender that broke while encoding its rows can look like one without any.
		c.lib.insertCancel(stream)
		return 0, newException(http.StatusBadRequest, codeNoDataToInsert, "NO_DATA_TO_INSERT", "no data to insert")
	}
	result := c.lib.insertDone(stream)
	defer c.lib.destroyResult(result)
	if text := c.lib.resultError(result); text != "" {
		return 0, engineException(text)
	}
	return c.lib.resultWritten(result), nil
}

// feed appends body to an insert. An engine that takes no more is no error here: done tells why.
func (c *conn) feed(ctx context.Context, stream insertHandle, body io.Reader) (empty bool, err error) {
	buffer := make([]byte, appendSize)
	empty = true
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			empty = false
			if c.lib.insertAppend(stream, &buffer[0], uintptr(n)) != 0 {
				return false, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return empty, ctx.Err()
		}
		if err != nil {
			return false, fmt.Errorf("reading rows: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
	}
}
