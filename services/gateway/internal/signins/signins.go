// Package signins answers SearchSignIns from the table sign_ins.
//
// It reads ClickHouse, through statements that are constants of this package: what a client sends is
// bound to parameters and never becomes part of one. It writes nothing. Planning (filter, window,
// page) is pure; search.go puts it together.
package signins

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/telemetry"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

// defaultPageSize is that of a request without page_size.
const defaultPageSize = 50

// Config bounds a search.
type Config struct {
	// Timeout bounds a search. What was found by then is a page, with a token to go on.
	Timeout time.Duration `yaml:"timeout"`
	// QueryTimeout and QueryMemory bound each of the statements a search is made of. One that needs
	// more is tried again on a shorter time.
	QueryTimeout time.Duration `yaml:"query_timeout"`
	QueryMemory  config.Bytes  `yaml:"query_memory"`
	// PageBytes bounds a page; one sign-in may be larger. gRPC clients take 4 MiB unless told otherwise.
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

// bounds are the settings of a statement. They stand in its text: from a context with a deadline clickhouse-go makes a
// max_execution_time of its own, some seconds longer, whatever the context's settings say.
func (c Config) bounds() string {
	return fmt.Sprintf(" SETTINGS max_execution_time = %d, max_memory_usage = %d", c.QueryTimeout/time.Second, int64(c.QueryMemory))
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

// Server is the SignInService.
type Server struct {
	controlv1.UnimplementedSignInServiceServer

	cfg   Config
	set   Settings
	pages pages
}

// NewServer returns the SignInService. cfg must be valid.
func NewServer(cfg Config, set Settings) *Server {
	return &Server{cfg: cfg, set: set, pages: pages{set.Tokens}}
}

// SearchSignIns returns a page of sign-ins, newest first.
func (s *Server) SearchSignIns(
	ctx context.Context, req *controlv1.SearchSignInsRequest,
) (*controlv1.SearchSignInsResponse, error) {
	search, err := s.plan(ctx, req)
	if err != nil {
		return nil, err
	}
	found, next, err := search.run(ctx)
	if err != nil {
		return nil, err
	}
	answer := &controlv1.SearchSignInsResponse{SignIns: found}
	if next != nil {
		answer.NextPageToken = s.pages.token(&search.filter, *next)
	}
	return answer, nil
}

// plan checks the request.
func (s *Server) plan(ctx context.Context, req *controlv1.SearchSignInsRequest) (*search, error) {
	tenants, err := caller.Tenants(ctx, req.GetFilter().GetTenantIds())
	if err != nil {
		return nil, err
	}
	wanted := &controlv1.SignInFilter{}
	proto.Merge(wanted, req.GetFilter())
	wanted.TenantIds = tenants
	compiled, err := compile(wanted)
	if err != nil {
		return nil, err
	}
	search := &search{server: s, filter: compiled, size: int(req.GetPageSize()), includeRaw: req.GetIncludeRaw()}
	if search.size == 0 {
		search.size = defaultPageSize
	}
	if req.GetPageToken() != "" {
		after, err := s.pages.cursor(&compiled, req.GetPageToken())
		if err != nil {
			return nil, err
		}
		search.after = &after
	}
	return search, nil
}
