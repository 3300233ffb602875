// Package directory answers DirectoryService from the tables of the directory.
//
// It reads ClickHouse, through statements that are constants of this package and of pkg/clickhouse/directory: what a
// client sends is bound to parameters and never becomes part of one. It writes nothing.
package directory

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	population "github.com/entraflow/entraflow/pkg/clickhouse/directory"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/telemetry"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
	"github.com/entraflow/entraflow/services/gateway/internal/token"
)

const (
	// defaultPageSize is that of a request without page_size.
	defaultPageSize = 50
	// maxList bounds the lists of a user.
	maxList = 1000
	// maxTop bounds the places, devices and applications of a summary.
	maxTop = 20
	// maxSignInDays bounds how far back a summary may look.
	maxSignInDays = 400
)

// Config bounds the answers about the directory.
type Config struct {
	// QueryTimeout and QueryMemory bound each of the statements that an answer is made of.
	QueryTimeout time.Duration `yaml:"query_timeout"`
	QueryMemory  config.Bytes  `yaml:"query_memory"`
	// PageBytes bounds a page; one object may be larger. gRPC clients take 4 MiB unless told otherwise.
	PageBytes config.Bytes `yaml:"page_bytes"`
	// SignInDays is how many days of a user's sign-ins GetUser counts.
	SignInDays int `yaml:"sign_in_days"`
	// Rules say which users are programs and which are kept for emergencies.
	Rules population.Rules `yaml:"rules"`
}

// DefaultConfig suits a tenant of some hundred thousand users.
func DefaultConfig() Config {
	return Config{
		QueryTimeout: 20 * time.Second, QueryMemory: config.GiB, PageBytes: 3 * config.MiB, SignInDays: 30,
		Rules: population.DefaultRules(),
	}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.QueryTimeout >= time.Second, "query_timeout", "must be at least 1s")
	p.Check(c.QueryMemory >= 64*config.MiB, "query_memory", "must be at least 64MiB")
	p.Check(c.PageBytes > 0, "page_bytes", "must be positive")
	p.Check(c.SignInDays >= 1 && c.SignInDays <= maxSignInDays, "sign_in_days", "must be between 1 and %d", maxSignInDays)
	p.Under("rules", c.Rules.Validate())
	return p.Err()
}

// Metrics count what answers cost.
type Metrics struct {
	Queries *prometheus.CounterVec
}

// NewMetrics makes the metrics.
func NewMetrics(m *telemetry.Metrics) Metrics {
	return Metrics{Queries: m.Counter("directory_queries", "Statements about the directory that were sent to the store.", "statement")}
}

// querier is what is needed of a ClickHouse connection.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (driver.Rows, error)
}

// Settings are what the service gives to its methods.
type Settings struct {
	Store   querier
	Tokens  *token.Codec
	Clock   clock.Clock
	Metrics Metrics
}

// Server is the DirectoryService.
type Server struct {
	controlv1.UnimplementedDirectoryServiceServer

	cfg Config
	set Settings
}

// NewServer returns the DirectoryService. cfg must be valid.
func NewServer(cfg Config, set Settings) *Server { return &Server{cfg: cfg, set: set} }

var (
	errNotFound = grpcserver.NewError(codes.NotFound, "OBJECT_NOT_FOUND",
		"the directory has no such object", "check the id and the tenant; what was deleted is in ListHistory alone")
	errAmbiguous = grpcserver.NewError(codes.FailedPrecondition, "TENANT_AMBIGUOUS",
		"several tenants have such an object", "name one with tenant_id")
)

// inTenants restricts to the tenants that a caller asked for and may see; none means every one.
const inTenants = "(empty({tenants:Array(String)}) OR tenant_id IN {tenants:Array(String)})"

// statement is one question to the store.
type statement struct {
	// name is its name in metrics.
	name, sql string
	params    []any
}

// query sends a statement within the bounds of one and hands each row to each.
func (s *Server) query(ctx context.Context, q statement, each func(driver.Rows) error) error {
	s.set.Metrics.Queries.WithLabelValues(q.name).Inc()
	asking, cancel := context.WithTimeout(ctx, s.cfg.QueryTimeout+time.Second) // the store's own limit tells more
	defer cancel()
	rows, err := s.set.Store.Query(asking, q.sql+clickhouse.Bounds(s.cfg.QueryTimeout, s.cfg.QueryMemory), q.params...)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", q.name, failure.OfStore(ctx, err))
	}
	defer rows.Close() //nolint:errcheck // Err tells
	for rows.Next() {
		if err := each(rows); err != nil {
			return fmt.Errorf("reading %s: %w", q.name, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("asking for %s: %w", q.name, failure.OfStore(ctx, err))
	}
	return nil
}

// texts returns the rows of a statement with one text.
func (s *Server) texts(ctx context.Context, q statement) ([]string, error) {
	var found []string
	err := s.query(ctx, q, func(rows driver.Rows) error {
		var text string
		err := rows.Scan(&text)
		found = append(found, text)
		return err
	})
	return found, err
}

// one returns the only one of tenants that have what was asked for.
func one(tenants []string, err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case len(tenants) == 0:
		return "", errNotFound
	case len(tenants) > 1:
		return "", errAmbiguous
	default:
		return tenants[0], nil
	}
}
