package embedded

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/compress"
)

// answer writes the blocks of one answer. The status goes out with the first block, so an error
// before it has its own status and one after it stands in the body.
type answer struct {
	w        http.ResponseWriter
	format   string
	hello    hello
	tag      string
	compress string

	started bool
	written uint64
	writer  *compress.Writer
}

func (a *answer) start() {
	a.started = true
	header := a.w.Header()
	header.Set("Content-Type", "application/octet-stream")
	if kind := strings.ToLower(a.format); kind == "tabseparated" || kind == "tsv" {
		header.Set("Content-Type", "text/tab-separated-values; charset=UTF-8")
	}
	header.Set("X-ClickHouse-Format", a.format)
	header.Set("X-ClickHouse-Timezone", a.hello.timezone)
	header.Set("X-ClickHouse-Exception-Tag", a.tag)
	if a.written > 0 {
		header.Set("X-ClickHouse-Summary", fmt.Sprintf(`{"written_rows":"%d"}`, a.written))
	}
	a.w.WriteHeader(http.StatusOK)
}

// Write passes one block on.
func (a *answer) Write(block []byte) (int, error) {
	if !a.started {
		a.start()
	}
	if a.compress == "" {
		return a.w.Write(block)
	}
	if err := a.writeCompressed(block); err != nil {
		return 0, err
	}
	return len(block), nil
}

// compressBlock is how much goes into one compressed block, as in ClickHouse.
const compressBlock = 1 << 20

func (a *answer) writeCompressed(block []byte) error {
	if a.writer == nil {
		method, err := compressMethod(a.compress)
		if err != nil {
			return err
		}
		a.writer = compress.NewWriter(compress.LevelZero, method)
	}
	for len(block) > 0 {
		part := block[:min(len(block), compressBlock)]
		block = block[len(part):]
		if err := a.writer.Compress(part); err != nil {
			return fmt.Errorf("compressing answer: %w", err)
		}
		if _, err := a.w.Write(a.writer.Data); err != nil {
			return err
		}
	}
	return nil
}

func compressMethod(name string) (compress.Method, error) {
	switch strings.ToUpper(name) {
	case "LZ4":
		return compress.LZ4, nil
	case "ZSTD":
		return compress.ZSTD, nil
	case "NONE":
		return compress.None, nil
	}
	return 0, badRequest(http.StatusNotImplemented, "network_compression_method %s is not supported", name)
}

// summarize keeps the number of written rows for the header of an answer that has no block.
func (a *answer) summarize(written uint64) { a.written = written }

// end finishes the answer, with the error that the statement ended with.
func (a *answer) end(err error) {
	switch {
	case err == nil && !a.started:
		a.start()
	case err != nil && !a.started:
		writeException(a.w, asException(err))
	case err != nil:
		// The frame that clickhouse-go looks for; never compressed.
		text := asException(err).text
		_, _ = fmt.Fprintf(a.w, "\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", a.tag, text, len(text)+1, a.tag)
	}
}

// newExceptionTag returns the 16 characters by which a client tells an exception from data that looks
// like one.
func newExceptionTag() string {
	return strings.ToLower(rand.Text()[:16])
}

// requestBody returns the body without its compression, or nil if there is none.
func requestBody(r *http.Request, form map[string][]string) (io.Reader, error) {
	if r.Body == nil || r.Body == http.NoBody || r.Method != http.MethodPost {
		return nil, nil //nolint:nilnil // no body is no fault
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, badRequest(http.StatusNotImplemented, "Content-Encoding %s is not supported; use none, lz4 or zstd blocks", encoding)
	}
	if values := form["decompress"]; len(values) > 0 && values[0] == "1" {
		return compress.NewReader(r.Body), nil
	}
	return r.Body, nil
}

// register lets Close abort a request: its context ends and its reads and writes fail.
func (e *Engine) register(parent context.Context, w http.ResponseWriter, body io.Closer) (ctx context.Context, unregister func()) {
	ctx, cancel := context.WithCancelCause(parent)
	abort := func() {
		cancel(ErrClosed)
		past := time.Unix(1, 0)
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(past)
		_ = control.SetReadDeadline(past)
		if body != nil {
			_ = body.Close()
		}
	}
	e.requestsMu.Lock()
	defer e.requestsMu.Unlock()
	id := e.nextRequest
	e.nextRequest++
	e.requests[id] = abort
	return ctx, func() {
		e.requestsMu.Lock()
		defer e.requestsMu.Unlock()
		delete(e.requests, id)
		cancel(nil)
	}
}

// abortRequests ends every registered request.
func (e *Engine) abortRequests() {
	e.requestsMu.Lock()
	defer e.requestsMu.Unlock()
	for _, abort := range e.requests {
		abort()
	}
}
