package entra

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// tokenTimeout bounds one request to the authority.
	tokenTimeout = 30 * time.Second
	// maxErrorBody bounds what is read of an error's body.
	maxErrorBody = 64 << 10
)

// sighting is the last failure of one GetToken. azidentity loses the network's error and the answer to the
// discovery request, so both are looked at as they pass.
type sighting struct {
	mu    sync.Mutex
	cause *Error
}

type sightingKey struct{}

func see(ctx context.Context, cause *Error) {
	seen, ok := ctx.Value(sightingKey{}).(*sighting)
	if !ok {
		return
	}
	seen.mu.Lock()
	seen.cause = cause
	seen.mu.Unlock()
}

func (s *sighting) fault() *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// witness looks at the failures of token requests.
type witness struct{ next http.RoundTripper }

func (w witness) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		see(r.Context(), networkError(err))
		return nil, err
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		// A body that is no JSON makes azidentity quote it; what remains to say is that it was not Entra.
		see(r.Context(), newError(CauseGatewayHTML, "The authority's answer is not Entra's."))
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	_ = resp.Body.Close()
	if err != nil {
		see(r.Context(), networkError(err))
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	see(r.Context(), tokenError(resp.StatusCode, resp.Header, body))
	return resp, nil
}

// witnessed notes why the other identity provider gave no token.
func witnessed(assertion func(context.Context) (string, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		token, err := assertion(ctx)
		if err != nil {
			see(ctx, Classify(err))
		}
		return token, err
	}
}
