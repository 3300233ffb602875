package oidc

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Failed requests are repeated after a second, then two, up to a minute.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// issuer keeps the issuer's keys. At most one request for them is under way at a time; while
// there are usable keys, the calls beside it do not wait for it.
type issuer struct {
	cfg Config
	set Settings

	mu sync.Mutex
	// keys are the last ones; nil until the issuer told them once.
	keys *keyring
	// loading is closed when the request under way ends; nil is none.
	loading chan struct{}
	// failures counts the last requests in a row that failed; before retryAt there is no other.
	failures int
	retryAt  time.Time
	// refetchAt is the time before which tokens of unknown keys cause no other request.
	refetchAt time.Time
}

// current returns keys that are fresh, or those there are if the issuer is away and they are not
// too old. Its error is ErrIssuerAway or ctx's.
func (i *issuer) current(ctx context.Context) (*keyring, error) {
	for {
		i.mu.Lock()
		now, keys, loading := i.set.Clock.Now(), i.keys, i.loading
		usable := keys != nil && now.Sub(keys.at) < i.cfg.Keys.Stale
		waiting := now.Before(i.retryAt)
		fresh := usable && now.Sub(keys.at) < i.cfg.Keys.Refresh
		switch {
		case fresh, usable && (loading != nil || waiting):
			i.mu.Unlock()
			return keys, nil
		case loading != nil:
			i.mu.Unlock()
			if err := wait(ctx, loading); err != nil {
				return nil, err
			}
		case waiting:
			i.mu.Unlock()
			return nil, ErrIssuerAway
		default:
			i.load(ctx)
		}
	}
}

// renewed returns keys that were fetched after old, or old if it is not time to fetch any or
// that fails. Its error is ctx's.
func (i *issuer) renewed(ctx context.Context, old *keyring) (*keyring, error) {
	i.mu.Lock()
	now, loading := i.set.Clock.Now(), i.loading
	switch {
	case i.keys != old:
		defer i.mu.Unlock()
		return i.keys, nil
	case loading != nil:
		i.mu.Unlock()
		if err := wait(ctx, loading); err != nil {
			return nil, err
		}
	case now.Before(i.refetchAt), now.Before(i.retryAt):
		i.mu.Unlock()
		return old, nil
	default:
		i.refetchAt = now.Add(i.cfg.Keys.Refetch)
		i.load(ctx)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys, nil
}

func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the issuer: %w", ctx.Err())
	}
}

// load fetches the keys. It is called with mu locked, and unlocks it.
func (i *issuer) load(ctx context.Context) {
	done := make(chan struct{})
	i.loading = done
	i.mu.Unlock()
	// A caller who goes away must not fail the others who wait.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), i.cfg.Timeout)
	defer cancel()
	keys, err := i.fetch(bounded)

	i.mu.Lock()
	defer i.mu.Unlock()
	i.loading = nil
	close(done)
	if err != nil {
		i.away(ctx, err)
		return
	}
	if i.failures > 0 {
		i.set.Logger.LogAttrs(ctx, slog.LevelInfo, "issuer is back", slog.Int("attempt", i.failures))
	}
	i.keys, i.failures, i.retryAt = keys, 0, time.Time{}
}

// away notes a failed request. The log has its reason; callers are not told.
func (i *issuer) away(ctx context.Context, err error) {
	i.failures++
	if i.failures == 1 {
		i.set.Logger.LogAttrs(ctx, slog.LevelWarn, "issuer is away", slog.String("err", short(printable(err.Error()))))
	}
	pause := lastRetry
	if shift := i.failures - 1; shift < 6 { // 2^6 s is more than a minute
		pause = firstRetry << shift
	}
	i.retryAt = i.set.Clock.Now().Add(pause)
}
