package entra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// Budget is what a client asks before each request. A *budget.Budget is one.
type Budget interface {
	Acquire(ctx context.Context, r budget.Request) error
	Throttled(r budget.Request, pause time.Duration)
}

// ClientSettings are a client's parts and bounds. Zero durations and counts take the default in brackets.
type ClientSettings struct {
	// Credential gets tokens for the endpoints' scope, without continuous access evaluation. One of NewCredential
	// is made to forget its tokens when Graph refuses one.
	Credential azcore.TokenCredential
	Endpoints  Endpoints
	// Budget is nil for no budget.
	Budget Budget
	// Transport is the caller's to close; nil is one of the client's own, which Close closes.
	Transport http.RoundTripper
	Clock     clock.Clock
	// Logger gets retries at level debug; nil is none.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Service is the word that stands in the metrics' names ["graph"].
	Service string
	// TenantID and AppID are whose budget is drawn from.
	TenantID, AppID string
	// UserAgent ["entraflow"].
	UserAgent string

	// RequestTimeout bounds one try, its body included [120 s].
	RequestTimeout time.Duration
	// MaxBody bounds a response after gzip, in bytes [64 MiB].
	MaxBody int64
	// MaxAttempts bounds the tries of one request [6], of them MaxTimeouts those that take too long [2]: then ask
	// for less. MaxElapsed bounds the time until the last begins [5 min].
	MaxAttempts, MaxTimeouts int
	MaxElapsed               time.Duration
	// MinBackOff and MaxBackOff bound a wait without Retry-After [1 s, 60 s], MaxRetryAfter one with it [5 min].
	MinBackOff, MaxBackOff, MaxRetryAfter time.Duration
	// MaxPages bounds Pages [100,000].
	MaxPages int
}

func (s ClientSettings) withDefaults() ClientSettings {
	const (
		attempts, timeouts, pages = 6, 2, 100_000
		body                      = 64 << 20
		request, elapsed          = 120 * time.Second, 5 * time.Minute
		least, most               = time.Second, time.Minute
	)
	orDefault(&s.Service, "graph")
	orDefault(&s.UserAgent, "entraflow")
	orDefault(&s.RequestTimeout, request)
	orDefault(&s.MaxBody, body)
	orDefault(&s.MaxAttempts, attempts)
	orDefault(&s.MaxTimeouts, timeouts)
	orDefault(&s.MaxElapsed, elapsed)
	orDefault(&s.MinBackOff, least)
	orDefault(&s.MaxBackOff, most)
	orDefault(&s.MaxRetryAfter, elapsed)
	orDefault(&s.MaxPages, pages)
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	return s
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Client reads Graph for one application in one tenant. It is safe for concurrent use.
type Client struct {
	set     ClientSettings
	http    *http.Client
	own     *http.Transport // nil if the transport is the caller's
	root    *url.URL
	metrics *metrics
	// bodyHint is the size of the last large body: pages of a collection are alike.
	bodyHint atomic.Int64
}

// NewClient checks the settings and opens nothing.
func NewClient(set ClientSettings) (*Client, error) {
	if set.Credential == nil {
		return nil, errors.New("making Graph client: no credential")
	}
	root, err := url.Parse(set.Endpoints.GraphURL)
	if err != nil || root.Host == "" {
		return nil, errors.New("making Graph client: no address of Graph")
	}
	set = set.withDefaults()
	m, err := newMetrics(set.Registerer, set.Service)
	if err != nil {
		return nil, fmt.Errorf("making Graph client: %w", err)
	}
	c := &Client{set: set, root: root, metrics: m}
	transport := set.Transport
	if transport == nil {
		c.own = set.Endpoints.Transport()
		transport = c.own
	}
	// A redirect would carry the token to whatever host it names.
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return c, nil
}

// Close closes idle connections of the client's own transport. Requests under way end by themselves.
func (c *Client) Close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// token returns a token for Graph.
func (c *Client) token(ctx context.Context) (string, error) {
	token, err := c.set.Credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{c.set.Endpoints.Scope()}})
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", Classify(err)
	}
	return token.Token, nil
}

// renew makes the credential forget its tokens and reports whether it could.
func (c *Client) renew() bool {
	r, ok := c.set.Credential.(interface{ Renew() error })
	return ok && r.Renew() == nil
}

// Claims returns what the current token says; for diagnosis only. Its errors are those of Get's token. A token
// that is opaque has no claims, and that is no error.
func (c *Client) Claims(ctx context.Context) (Claims, error) {
	token, err := c.token(ctx)
	if err != nil {
		return Claims{}, fmt.Errorf("getting token: %w", err)
	}
	claims, _ := DecodeClaims(token)
	return claims, nil
}
