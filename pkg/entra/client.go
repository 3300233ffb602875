package entra

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// Budget is what a client asks before each request: a *budget.Budget, or Unlimited.
type Budget interface {
	Acquire(ctx context.Context, r budget.Request) error
	Throttled(r budget.Request, pause time.Duration)
}

// ClientSettings are a client's parts and bounds. Zero durations and counts take the default in brackets.
type ClientSettings struct {
	Credential azcore.TokenCredential
	Endpoints  Endpoints
	// Budget is nil for no budget.
	Budget Budget
	// Transport is the caller's to close; nil is one of Endpoints' that the client's Close closes.
	Transport http.RoundTripper
	Clock     clock.Clock
	// Logger gets retries at level debug; nil is none.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Service is the word that stands in the metrics' names ["graph"].
	Service string
	// TenantID and AppID are whose budget is drawn from.
	TenantID, AppID string
	UserAgent       string

	// RequestTimeout bounds one try, its body included [120 s].
	RequestTimeout time.Duration
	// MaxBody bounds a response after gzip [64 MiB].
	MaxBody int64
	// MaxAttempts bounds the tries of one request [6], MaxElapsed the time until the last begins [5 min].
	MaxAttempts int
	MaxElapsed  time.Duration
	// MinBackOff and MaxBackOff bound a wait without Retry-After [1 s, 60 s], MaxRetryAfter one with it [5 min].
	MinBackOff, MaxBackOff, MaxRetryAfter time.Duration
	// MaxPages bounds Pages [100,000].
	MaxPages int
}

// Client reads Graph for one application in one tenant. It is safe for concurrent use.
type Client struct{ set ClientSettings }

// NewClient checks the settings and opens nothing.
func NewClient(set ClientSettings) (*Client, error) { return &Client{set: set}, nil }

// Close closes idle connections of the client's own transport.
func (c *Client) Close() {}

// Request is a GET. The zero Class and Workload are a backfill of the directory.
type Request struct {
	// URL is absolute and of the endpoints' Graph host; or Path ("/v1.0/users") and Query stand in its place.
	URL, Path string
	Query     url.Values
	Class     budget.Class
	Workload  budget.Workload
	// Units is the cost of a directory request in ResourceUnits; 0 is 1.
	Units int
	// Header is sent with every page. Authorization, Accept-Encoding and User-Agent are the client's.
	Header http.Header
	// Timeout is in place of ClientSettings.RequestTimeout; LogTimeout for first pages of logs.
	Timeout time.Duration
}

// LogTimeout is for the first page of a log's window: big tenants take long (graph.md §2.1).
const LogTimeout = 300 * time.Second

// Response is a 2xx answer.
type Response struct {
	Status int
	Header http.Header
	// Date is the server's; the zero time if it sent none.
	Date time.Time
	Body []byte
}

// Get asks until it has an answer, by one policy: 429, 502, 503, 504 and network failures are tried again,
// after Retry-After or with exponential back-off and full jitter; a 401 once, with a fresh token. Any other
// failure, and the last, is an *Error; a done ctx is ctx's error, wrapped.
func (c *Client) Get(ctx context.Context, r Request) (*Response, error) { return nil, nil }

// Page is a page of a collection. Its slices share Body's memory.
type Page struct {
	// Value are the elements, as they came.
	Value [][]byte
	// NextLink leads to the next page; empty on the last. DeltaLink ends a delta.
	NextLink, DeltaLink string
	Date                time.Time
	Body                []byte
}

// Pages walks a collection to its end: it follows each nextLink verbatim until there is none; a page may be
// empty. An error ends the walk: those of Get, foreign_host, link_loop, response_invalid.
func (c *Client) Pages(ctx context.Context, r Request) iter.Seq2[*Page, error] {
	return func(func(*Page, error) bool) {}
}

// Claims returns what the current token says; for diagnosis only.
func (c *Client) Claims(ctx context.Context) (Claims, error) { return Claims{}, nil }
