package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// errPatience is why a condition was not waited for any longer.
var errPatience = errors.New("did not happen in time")

// eventually waits until done says so, within patience. Errors of done are tried again and told in the end.
func eventually(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		ok, err := done()
		if ok && err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, errors.Join(context.Cause(ctx), err))
		}
	}
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// givenAddresses are those that freeAddress returned.
var givenAddresses sync.Map

// freeAddress returns a loopback address that nobody listens on, to be listened on again and again. Its port is
// below those that connections are given: a client that tries a port of those while its server is
// down may get it as its own, and then talks to itself.
//
// It returns none twice: a program that was killed and starts again needs its own.
func freeAddress(t *testing.T) string {
	t.Helper()
	const lowest, highest, attempts = 15_000, 32_000, 100
	for range attempts {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+rand.N(highest-lowest))) //nolint:gosec // no secret
		var lc net.ListenConfig
		listener, err := lc.Listen(t.Context(), "tcp", address)
		if err == nil {
			require.NoError(t, listener.Close())
			if _, given := givenAddresses.LoadOrStore(address, true); !given {
				return address
			}
		}
	}
	require.FailNow(t, "no free port")
	return ""
}

// answers is what HTTP tests use: without connections that outlive a killed server.
var answers = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get returns status and body; an empty token sends none.
func get(ctx context.Context, url, token string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := answers.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}
