package embedded

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// RoundTripper returns a transport that answers every request by the engine in this process, whatever
// its address. It asks for no password: whoever holds the Engine holds the data. It is for
// Options.TransportFunc of clickhouse-go. Its requests end at the latest with Close.
func RoundTripper(e *Engine) http.RoundTripper { return transport{engine: e} }

type transport struct{ engine *Engine }

// RoundTrip returns once the answer's head is there. The rest is read through the body while the
// engine produces it; closing the body early stops the statement.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	reader, writer := io.Pipe()
	out := &pipeAnswer{header: make(http.Header), head: make(chan struct{}), pipe: writer}
	body := r.Body
	if body == nil {
		body = http.NoBody
	}
	ctx := r.Context()
	if !t.engine.begin() {
		_ = body.Close()
		return nil, ErrClosed
	}
	go func() {
		defer t.engine.trips.Done()
		inner := r.Clone(ctx)
		inner.Body = body
		t.engine.serve(out, inner, false)
		// The transport owns the request's body, and its writer may wait for this.
		_ = body.Close()
		out.finish()
	}()
	select {
	case <-out.head:
	case <-ctx.Done():
		// The watcher in run stops the statement; the goroutine ends with it.
		_ = reader.CloseWithError(ctx.Err())
		_ = body.Close()
		return nil, fmt.Errorf("running statement: %w", ctx.Err())
	}
	length := int64(-1)
	if out.empty {
		length = 0
	}
	return &http.Response{
		Status: http.StatusText(out.status), StatusCode: out.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: out.sent, Body: reader, ContentLength: length, Request: r,
	}, nil
}

// pipeAnswer is the http.ResponseWriter of a RoundTrip. The handler's goroutine alone uses it, but for
// what is read after head is closed.
type pipeAnswer struct {
	header http.Header
	pipe   *io.PipeWriter

	once   sync.Once
	head   chan struct{}
	status int
	sent   http.Header
	empty  bool
}

func (a *pipeAnswer) Header() http.Header { return a.header }

// WriteHeader keeps the status; the head goes out with the first byte or the end, when it is known
// whether there is a body.
func (a *pipeAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
		a.sent = a.header.Clone()
	}
}

func (a *pipeAnswer) Write(block []byte) (int, error) {
	if len(block) == 0 {
		return 0, nil
	}
	a.release(false)
	return a.pipe.Write(block)
}

func (a *pipeAnswer) finish() {
	a.release(true)
	_ = a.pipe.Close()
}

func (a *pipeAnswer) release(empty bool) {
	a.once.Do(func() {
		a.WriteHeader(http.StatusOK)
		a.empty = empty
		close(a.head)
	})
}

// SetWriteDeadline lets Close abort a reader that does not read; any deadline has passed.
func (a *pipeAnswer) SetWriteDeadline(time.Time) error {
	return a.pipe.CloseWithError(os.ErrDeadlineExceeded)
}
