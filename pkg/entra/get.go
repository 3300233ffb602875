package entra

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// Get asks until it has an answer, by one policy: 408, 429, 500, 502, 503, 504 and network failures are tried
// again, after Retry-After or with exponential back-off and full jitter; a 401 once, with a fresh token. Any
// other failure, and the last, is an *Error in the chain; a ctx that is done is ctx's error, wrapped. It gives up
// early if ctx would be done before the next try.
func (c *Client) Get(ctx context.Context, r Request) (*Response, error) {
	target, err := c.target(r)
	if err != nil {
		return nil, fmt.Errorf("reading Graph: %w", err)
	}
	resp, err := c.persist(ctx, r, target)
	if err != nil {
		// The path of a link may hold ids of people, so that only the workload is named.
		return nil, fmt.Errorf("reading Graph (%s): %w", r.Workload, err)
	}
	return resp, nil
}

// persist is the retry policy.
func (c *Client) persist(ctx context.Context, r Request, target *url.URL) (*Response, error) {
	draw := budget.Request{
		Workload: r.Workload, AppID: c.set.AppID, TenantID: c.set.TenantID, Class: r.Class, Units: r.Units,
	}
	began := c.set.Clock.Now()
	timeouts, renewed := 0, false
	for attempt := 1; ; attempt++ {
		resp, err := c.try(ctx, r, target, draw)
		if err == nil {
			return resp, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		fault := Classify(err)
		if fault.Timeout() {
			timeouts++
		}
		if fault.Cause == CauseTokenRejected && !renewed && c.renew() {
			renewed = true
			continue
		}
		wait := c.pause(fault, attempt)
		if fault.Status == http.StatusTooManyRequests && c.set.Budget != nil {
			c.set.Budget.Throttled(draw, wait)
		}
		if !fault.Temporary() || fault.Cause == CauseLoginLoop || attempt >= c.set.MaxAttempts ||
			timeouts >= c.set.MaxTimeouts || c.tooLate(ctx, began, wait) {
			return nil, fault
		}
		c.metrics.retries.WithLabelValues(r.Workload.String(), string(fault.Cause)).Inc()
		c.set.Logger.LogAttrs(ctx, slog.LevelDebug, "trying Graph again", slog.String("tenant_id", c.set.TenantID),
			slog.String("cause", string(fault.Cause)), slog.Int("attempt", attempt), slog.Duration("duration", wait))
		if err := c.set.Clock.Sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// pause says how long to wait before the next attempt.
func (c *Client) pause(fault *Error, attempt int) time.Duration {
	if fault.RetryAfter > 0 {
		return min(fault.RetryAfter, c.set.MaxRetryAfter)
	}
	ceiling := c.set.MinBackOff
	for range attempt - 1 {
		ceiling = min(2*ceiling, c.set.MaxBackOff)
	}
	jittered := rand.N(ceiling) + 1 //nolint:gosec // jitter is no secret
	if fault.Cause == CauseThrottled {
		// A limit's window is seconds long: to ask again within it would only be counted too.
		return max(jittered, ceiling/2)
	}
	return jittered
}

// tooLate says whether an attempt after the wait would begin too late for anybody.
func (c *Client) tooLate(ctx context.Context, began time.Time, wait time.Duration) bool {
	if c.set.Clock.Since(began)+wait > c.set.MaxElapsed {
		return true
	}
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) <= wait
}

// try asks once. Its errors are *Error or ctx's.
func (c *Client) try(ctx context.Context, r Request, target *url.URL, draw budget.Request) (*Response, error) {
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	// The budget comes last, so that a unit is used as soon as it is had.
	if c.set.Budget != nil {
		if err := c.set.Budget.Acquire(ctx, draw); err != nil {
			return nil, err
		}
	}
	timeout := r.Timeout
	orDefault(&timeout, c.set.RequestTimeout)
	asked, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	resp, err := c.ask(asked, r, target, token)
	status := "none"
	if resp != nil {
		status = strconv.Itoa(resp.Status)
	} else if fault, ok := errors.AsType[*Error](err); ok && fault.Status != 0 {
		status = strconv.Itoa(fault.Status)
	}
	c.metrics.requests.WithLabelValues(r.Workload.String(), status).Inc()
	c.metrics.seconds.WithLabelValues(r.Workload.String()).Observe(time.Since(began).Seconds())
	if err != nil {
		return nil, c.explain(err, r, target, token)
	}
	return resp, nil
}

func (c *Client) ask(ctx context.Context, r Request, target *url.URL, token string) (*Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return nil, newError(CauseBadRequest, "")
	}
	for name, values := range r.Header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	// Accept-Encoding is left to the transport, which unpacks only what it asked for itself.
	request.Header.Del("Accept-Encoding")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", c.set.UserAgent)
	request.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.http.Do(request)
	if err != nil {
		return nil, networkError(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		body, _ := readBody(resp.Body)
		return nil, graphError(resp.StatusCode, resp.Header, body)
	}
	body, err := c.read(resp)
	if err != nil {
		return nil, err
	}
	c.metrics.bytes.WithLabelValues(r.Workload.String()).Add(float64(len(body)))
	date, _ := http.ParseTime(resp.Header.Get("Date"))
	return &Response{Status: resp.StatusCode, Header: resp.Header, Date: date, Body: body}, nil
}

// read reads a bounded body that must be JSON, or empty.
func (c *Client) read(resp *http.Response) ([]byte, error) {
	const spare, most = 512, 8 << 20
	hint := resp.ContentLength + 1
	if resp.ContentLength < 0 {
		hint = c.bodyHint.Load()
	}
	buffer := bytes.NewBuffer(make([]byte, 0, min(max(hint, 0), most)+spare))
	n, err := buffer.ReadFrom(io.LimitReader(resp.Body, c.set.MaxBody+1))
	if err != nil {
		fault := networkError(err)
		if fault.Cause == CauseUnknown {
			// HTTP/2's and gzip's own errors: the body did not arrive whole.
			fault = newError(CauseNetwork, "")
		}
		fault.Status = resp.StatusCode
		return nil, fault
	}
	if n > c.set.MaxBody {
		fault := newError(CauseResponseTooLarge, "")
		fault.Status = resp.StatusCode
		return nil, fault
	}
	c.bodyHint.Store(n)
	body := buffer.Bytes()
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] != '{' && trimmed[0] != '[' {
		fault := newError(CauseGatewayHTML, "The answer is not Microsoft Graph's.")
		fault.Status = resp.StatusCode
		return nil, fault
	}
	return body, nil
}

// explain adds to an error what only the request and the token tell.
func (c *Client) explain(err error, r Request, target *url.URL, token string) error {
	fault := Classify(err)
	switch {
	case fault.Cause == CauseBadRequest && strings.Contains(strings.ToLower(target.RawQuery), "skiptoken"):
		// Graph answers a stale skip token with a plain BadRequest (graph.md §2.1).
		fault.Cause, fault.Detail, fault.Remedy = relabelled(CauseSkipTokenInvalid)
	case fault.Cause == CauseBadRequest && r.Workload == budget.Intune:
		// "Request not applicable to target tenant" has no code of its own (graph.md §3.3).
		fault.Cause, fault.Detail, fault.Remedy = relabelled(CauseNotApplicable)
		fault.Licence = string(LicenceIntune)
	case fault.Cause == CausePermissionMissing:
		if claims, ok := DecodeClaims(token); ok && len(claims.Roles) == 0 {
			fault.Cause, fault.Detail, fault.Remedy = relabelled(CauseConsentMissing)
		} else if len(r.Permission) > 0 {
			const shown = 2
			fault.Detail = "The application may not read it: it needs " + strings.Join(r.Permission[:min(len(r.Permission), shown)], " or ") + "."
		}
		fault.Permission = r.Permission
	}
	return fault
}

func relabelled(cause Cause) (_ Cause, detail, remedy string) {
	e := newError(cause, "")
	return e.Cause, e.Detail, e.Remedy
}
