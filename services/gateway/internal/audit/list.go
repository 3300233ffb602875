package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/telemetry"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

// defaultPageSize is that of a request without page_size.
const defaultPageSize = 50

// Config bounds the answers about the audit log.
type Config struct {
	// QueryTimeout and QueryMemory bound the statement that a page is made of.
	QueryTimeout time.Duration `yaml:"query_timeout"`
	QueryMemory  config.Bytes  `yaml:"query_memory"`
	// PageBytes bounds a page; one entry may be larger. gRPC clients take 4 MiB unless told otherwise.
	PageBytes config.Bytes `yaml:"page_bytes"`
}

// DefaultConfig suits people who wait for an answer.
func DefaultConfig() Config {
	return Config{QueryTimeout: 10 * time.Second, QueryMemory: 512 * config.MiB, PageBytes: 3 * config.MiB}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.QueryTimeout >= time.Second, "query_timeout", "must be at least 1s")
	p.Check(c.QueryMemory >= 64*config.MiB, "query_memory", "must be at least 64MiB")
	p.Check(c.PageBytes > 0, "page_bytes", "must be positive")
	return p.Err()
}

// ListMetrics count what lists cost.
type ListMetrics struct {
	Queries *prometheus.CounterVec
}

// NewListMetrics makes the metrics.
func NewListMetrics(m *telemetry.Metrics) ListMetrics {
	return ListMetrics{Queries: m.Counter("audit_queries", "Statements about the audit log that were sent to the store.")}
}

// querier is what is needed of a ClickHouse connection.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (driver.Rows, error)
}

// Settings are what the service gives to its method.
type Settings struct {
	Store querier
	// Tokens makes page tokens; its use is "audit page".
	Tokens  *token.Codec
	Metrics ListMetrics
}

// Server is the AuditService. It reads the table audit_log, through statements that are constants of this package: what
// a client sends is bound to parameters and never becomes part of one. It may be used concurrently. Who is an admin is
// checked by others, before it is called.
type Server struct {
	controlv1.UnimplementedAuditServiceServer

	cfg   Config
	set   Settings
	pages pages
}

// NewServer returns the AuditService. cfg must be valid.
func NewServer(cfg Config, set Settings) *Server {
	return &Server{cfg: cfg, set: set, pages: pages{set.Tokens}}
}

// ListAuditEntries returns a page of entries, newest first, of the tenants that the caller may see.
func (s *Server) ListAuditEntries(
	ctx context.Context, req *controlv1.ListAuditEntriesRequest,
) (*controlv1.ListAuditEntriesResponse, error) {
	tenants, err := caller.Tenants(ctx, req.GetTenantIds())
	if err != nil {
		return nil, err
	}
	compiled, err := compile(req, scopeOf(ctx, req, tenants))
	if err != nil {
		return nil, err
	}
	after := cursor{at: latest}
	if req.GetPageToken() != "" {
		if after, err = s.pages.cursor(&compiled, req.GetPageToken()); err != nil {
			return nil, err
		}
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	found, err := s.query(ctx, &compiled, after, size+1)
	if err != nil {
		return nil, err
	}
	answer := &controlv1.ListAuditEntriesResponse{AuditEntries: found}
	if n := cut(found, size, int(s.cfg.PageBytes)); n < len(found) {
		answer.AuditEntries = found[:n]
		answer.NextPageToken = s.pages.token(&compiled, cursorOf(found[n-1]))
	}
	return answer, nil
}

// scopeOf says which entries a caller gets that asked for tenants it may see.
func scopeOf(ctx context.Context, req *controlv1.ListAuditEntriesRequest, tenants []string) scope {
	var s scope
	if identity, _ := grpcserver.Caller(ctx); !identity.AllTenants {
		s.limited, s.visible = true, identity.Tenants
	}
	if len(req.GetTenantIds()) > 0 {
		s.wanted = tenants
	}
	return s
}

// query returns the first entries after a place.
func (s *Server) query(ctx context.Context, f *filter, after cursor, limit int) ([]*controlv1.AuditEntry, error) {
	s.set.Metrics.Queries.WithLabelValues().Inc()
	asking, cancel := context.WithTimeout(ctx, s.cfg.QueryTimeout+time.Second) // the store's own limit tells more
	defer cancel()
	rows, err := s.set.Store.Query(asking, listQuery(f)+clickhouse.Bounds(s.cfg.QueryTimeout, s.cfg.QueryMemory), listParams(f, after, limit)...)
	if err != nil {
		return nil, fmt.Errorf("listing audit entries: %w", failure.OfStore(ctx, err))
	}
	defer rows.Close() //nolint:errcheck // Err tells
	var found []*controlv1.AuditEntry
	for rows.Next() {
		entry, err := tables.ScanAuditEntry(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, entry)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing audit entries: %w", failure.OfStore(ctx, err))
	}
	return found, nil
}

// cut returns how many of all make the page: size at most, and not more than bytes, but one at least.
func cut(all []*controlv1.AuditEntry, size, bytes int) int {
	total := 0
	for i, entry := range all {
		total += proto.Size(entry)
		if i == size || i > 0 && total > bytes {
			return i
		}
	}
	return len(all)
}
