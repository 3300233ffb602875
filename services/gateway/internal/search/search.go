// Package search finds stored events of one kind, newest first, page by page: each id once, in its newest version.
//
// It reads ClickHouse, through statements that are constants of this package and of those that make filters: what a client
// sends is bound to parameters and never becomes part of one. It writes nothing. Planning (filter, window, page) is pure;
// run.go puts it together.
package search

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/telemetry"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

// defaultPageSize is that of a page without a size.
const defaultPageSize = 50

// Config bounds a search.
type Config struct {
	// Timeout bounds a search. What was found by then is a page, with a token to go on.
	Timeout time.Duration `yaml:"timeout"`
	// QueryTimeout and QueryMemory bound each of the statements a search is made of. One that needs
	// more is tried again on a shorter time.
	QueryTimeout time.Duration `yaml:"query_timeout"`
	QueryMemory  config.Bytes  `yaml:"query_memory"`
	// PageBytes bounds a page; one event may be larger. gRPC clients take 4 MiB unless told otherwise.
	PageBytes config.Bytes `yaml:"page_bytes"`
	// FetchRows is how many records are read at once.
	FetchRows int `yaml:"fetch_rows"`
}

// DefaultConfig suits people who wait for an answer.
func DefaultConfig() Config {
	return Config{
		Timeout: 20 * time.Second, QueryTimeout: 5 * time.Second, QueryMemory: 512 * config.MiB,
		PageBytes: 3 * config.MiB, FetchRows: 100,
	}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.Timeout > 0, "timeout", "must be positive")
	p.Check(c.QueryTimeout >= time.Second, "query_timeout", "must be at least 1s")
	p.Check(c.QueryMemory >= 64*config.MiB, "query_memory", "must be at least 64MiB")
	p.Check(c.PageBytes > 0, "page_bytes", "must be positive")
	p.Check(c.FetchRows >= 1 && c.FetchRows <= 1000, "fetch_rows", "must be between 1 and 1000")
	return p.Err()
}

// Metrics count what searches do.
type Metrics struct {
	Queries, Shrunk, Undecodable *prometheus.CounterVec
}

// NewMetrics makes the metrics.
func NewMetrics(m *telemetry.Metrics) Metrics {
	return Metrics{
		Queries:     m.Counter("search_queries", "Statements that searches sent to the store.", "statement"),
		Shrunk:      m.Counter("search_windows_shrunk", "Windows of searches that were too much for one statement."),
		Undecodable: m.Counter("undecodable_rows", "Stored records that the decoder does not read any more."),
	}
}

// Settings are what the service gives to its searches.
type Settings struct {
	Store   querier
	Tokens  *token.Codec
	Clock   clock.Clock
	Metrics Metrics
}

// Searcher finds events. It may be shared and needs no closing.
type Searcher struct {
	cfg   Config
	set   Settings
	pages pages
}

// New returns a Searcher. cfg must be valid.
func New(cfg Config, set Settings) *Searcher {
	return &Searcher{cfg: cfg, set: set, pages: pages{set.Tokens}}
}

// Page says which page of the answer is asked for.
type Page struct {
	// Size is the most events to return; 0: 50.
	Size int32
	// Token is that of the page before; empty: the first page.
	Token string
	// IncludeRaw keeps Event.raw.
	IncludeRaw bool
}

// Find returns a page of the events that f lets through, newest first, and the token of the next page: empty on the last
// one. It fails with an *failure.InvalidError if the page token is none or that of another filter, with
// failure.ErrTooLarge if not even the smallest step fits the bounds, with failure.ErrAway while the store is away, and
// with the cause of ctx when it ends.
func (s *Searcher) Find(ctx context.Context, f *Filter, page Page) ([]*eventv1.Event, string, error) {
	search := &search{server: s, filter: f, size: int(page.Size), includeRaw: page.IncludeRaw}
	if search.size == 0 {
		search.size = defaultPageSize
	}
	if page.Token != "" {
		after, err := s.pages.cursor(f, page.Token)
		if err != nil {
			return nil, "", err
		}
		search.after = &after
	}
	found, next, err := search.run(ctx)
	if err != nil || next == nil {
		return found, "", err
	}
	return found, s.pages.token(f, *next), nil
}
