package sink

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/migrations"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/lifecycle"
)

// open opens the store and brings its schema up to date. A server that is away is waited for; an
// embedded engine that does not start is an error.
func (s *Sink) open(ctx context.Context, conn *bus.Conn) (*clickhouse.Store, error) {
	var store *clickhouse.Store
	err := s.patiently(ctx, "open", func() error {
		var err error
		store, err = clickhouse.Open(ctx, s.cfg.ClickHouse, s.storeSettings())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	err = s.patiently(ctx, "migrate", func() error { return s.migrate(ctx, conn, store) })
	if err != nil {
		_ = s.close(ctx, store)
		return nil, fmt.Errorf("migrating schema: %w", err)
	}
	return store, nil
}

// migrate brings the schema up to date while no other sink does.
func (s *Sink) migrate(ctx context.Context, conn *bus.Conn, store *clickhouse.Store) error {
	set := lease.Settings{Name: "migrations", Holder: holder()}
	return lease.Run(ctx, conn, set, func(ctx context.Context, _ *lease.Lease) error {
		return clickhouse.Migrate(ctx, store.Conn(), migrations.Files, clickhouse.MigrateOptions{
			Schema: store.Schema(migrations.Settings(s.cfg.Retention).Map()),
			Logger: s.set.Logger,
		})
	})
}

// holder names this process to people who look at the lease.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + " " + strconv.Itoa(os.Getpid())
}

func (s *Sink) storeSettings() clickhouse.Settings {
	if s.set.Engine == nil || !s.cfg.ClickHouse.DSN.IsZero() {
		return clickhouse.Settings{}
	}
	return clickhouse.Settings{Engine: s.set.Engine()}
}

// patiently calls try until it works, ctx is done, or it fails for a reason that does not pass by
// itself. It logs the first failure.
func (s *Sink) patiently(ctx context.Context, stage string, try func() error) error {
	delay := s.cfg.Retry.First
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil || ctx.Err() != nil || !s.passes(err) {
			return err
		}
		if attempt == 1 {
			s.set.Logger.WarnContext(ctx, "waiting for the store", slog.String("stage", stage), slog.Any("err", err))
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		delay = min(2*delay, s.cfg.Retry.Max)
	}
}

// passes reports whether an error may pass by itself: a server may come back, an embedded engine that
// does not start will not.
func (s *Sink) passes(err error) bool {
	return !s.cfg.ClickHouse.DSN.IsZero() && clickhouse.Classify(err) == clickhouse.FaultTransient
}

// close gives running statements the drain budget.
func (s *Sink) close(ctx context.Context, store *clickhouse.Store) error {
	drain, cancel := lifecycle.Draining(ctx)
	defer cancel()
	if err := store.Close(drain); err != nil {
		return fmt.Errorf("closing store: %w", err)
	}
	return nil
}
