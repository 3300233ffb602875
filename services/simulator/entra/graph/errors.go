package graph

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// apiError is an error as Graph answers it.
type apiError struct {
	status        int
	code, message string
	header        http.Header
	// html, if set, is the body in place of OData's.
	html string
}

func fail(status int, code, message string) *apiError {
	return &apiError{status: status, code: code, message: message, header: http.Header{}}
}

func badRequest(message string) *apiError { return fail(http.StatusBadRequest, "BadRequest", message) }

func tooManyRequests(retryAfter time.Duration) *apiError {
	err := fail(http.StatusTooManyRequests, "TooManyRequests", "Too many requests.")
	if retryAfter > 0 {
		err.header.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	}
	return err
}

func unauthorized(message string) *apiError {
	err := fail(http.StatusUnauthorized, "InvalidAuthenticationToken", message)
	err.header.Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000"`)
	return err
}

// write answers with an OData error body, or HTML.
func (e *apiError) write(w http.ResponseWriter, c *call) {
	h := w.Header()
	maps.Copy(h, e.header)
	if e.html != "" {
		h.Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(e.status)
		_, _ = w.Write([]byte(e.html)) // the client is gone
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	body, _ := json.Marshal(map[string]any{"error": map[string]any{ // texts marshal
		"code": e.code, "message": e.message,
		"innerError": map[string]any{
			"date":              c.now.UTC().Format("2006-01-02T15:04:05"),
			"request-id":        c.requestID,
			"client-request-id": h.Get("client-request-id"),
		},
	}})
	_, _ = w.Write(body) // the client is gone
}

// newID is a random GUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
