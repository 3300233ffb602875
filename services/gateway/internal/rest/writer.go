package rest

import (
	"net/http"
	"time"
)

// writeSize is how much must be taken within the timeout: a slow client may go on, one that stands still may not.
const writeSize = 64 << 10

// writer is a ResponseWriter whose every write ends in time. No deadline stands between writes: a stream may be silent.
type writer struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	status  int // 0 until the header is written
}

func newWriter(bare http.ResponseWriter, timeout time.Duration) *writer {
	w := &writer{ResponseWriter: bare, control: http.NewResponseController(bare), timeout: timeout}
	w.disarm() // the last request of this connection may have left one
	return w
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	defer w.disarm()
	written := 0
	for {
		w.arm()
		n, err := w.ResponseWriter.Write(p[written:min(len(p), written+writeSize)])
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// FlushError is for http.ResponseController.
func (w *writer) FlushError() error {
	defer w.disarm()
	w.arm()
	return w.control.Flush()
}

// finish bounds what net/http writes when the handler has returned. Over HTTP/2 that is bounded by the connection.
func (w *writer) finish(protoMajor int) {
	if protoMajor == 1 {
		w.arm()
	}
}

// code is the status that was sent; without any net/http sends 200.
func (w *writer) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// arm and disarm do nothing where a test's writer has no deadlines.
func (w *writer) arm()    { _ = w.control.SetWriteDeadline(time.Now().Add(w.timeout)) }
func (w *writer) disarm() { _ = w.control.SetWriteDeadline(time.Time{}) }
