package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
)

// hasToken reports whether a request has what the gRPC server may take for a token.
func hasToken(r *http.Request) bool {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	return strings.EqualFold(scheme, "Bearer") && token != ""
}

// leaveBody makes the request one without a body, and does not wait for what of it is still to come. The connection ends
// with the answer over HTTP/1, where nobody could tell the next request from the rest of the body.
func leaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	r.Body = http.NoBody
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // not every test's writer can
}

// takeBody reads the body into memory, or refuses it. release must be called when the request is over.
func (f *front) takeBody(w http.ResponseWriter, r *http.Request, rt route) (release func(), err error) {
	counted := &countedBody{from: http.MaxBytesReader(w, r.Body, int64(f.cfg.MaxBody)), room: f.bodies}
	body, err := io.ReadAll(counted)
	switch tooLarge := (*http.MaxBytesError)(nil); {
	case errors.Is(err, errManyBodies):
		leaveBody(w, r)
		err = errManyBodies
	case errors.As(err, &tooLarge):
		err = errBodyTooLarge
	case err != nil:
		err = errBodyCut
	case len(body) > 0 && rt.body == "":
		err = errBodyUnexpected
	case len(body) > 0 && !isJSON(r.Header.Values("Content-Type")):
		err = errContentType
	}
	if err != nil {
		counted.release()
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return counted.release, nil
}

// countedBody is a body that takes room for what was read of it.
type countedBody struct {
	from  io.Reader
	room  *semaphore.Weighted
	taken int64
}

// Read implements io.Reader. It fails with errManyBodies if there is no room.
func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	if !c.room.TryAcquire(int64(n)) {
		return 0, errManyBodies
	}
	c.taken += int64(n)
	return n, err
}

func (c *countedBody) release() {
	c.room.Release(c.taken)
	c.taken = 0
}

func isJSON(contentTypes []string) bool {
	if len(contentTypes) != 1 {
		return false
	}
	media, _, err := mime.ParseMediaType(contentTypes[0])
	return err == nil && media == "application/json"
}
