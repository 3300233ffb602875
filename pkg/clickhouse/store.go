// Package clickhouse opens the store of Entraflow, migrates its schema and says what its errors mean for a
// batch of rows.
//
// It reaches one ClickHouse, through clickhouse-go alone: a cluster, a server, or the engine embedded
// in this process, all by the same code. It creates its database and what migrations say, and deletes
// nothing; rows are inserted by package tables.
package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
)

var errScheme = errors.New("unknown scheme")

// Settings are what the program sets of a store.
type Settings struct {
	// Users may reach the embedded engine through Store.Engine over HTTP. They play no part with a DSN.
	Users []embedded.User
	// Engine is an embedded engine that is open already. The store uses it in place of one of its own and
	// leaves it open.
	Engine *embedded.Engine
	// ReadOnly says that nothing is written: Open makes no database, and fails while it is not there.
	ReadOnly bool
}

// Store is an open ClickHouse. It may be used concurrently. Whoever opened it closes it.
type Store struct {
	cfg    Config
	conn   driver.Conn
	engine *embedded.Engine
	owned  bool // the engine was opened here
}

// Open connects to the ClickHouse of cfg, starting the embedded engine if that is meant, makes the
// database unless set.ReadOnly, and returns once a statement was answered. Migrating is the caller's
// next step. See embedded.Open for the errors of the embedded engine.
func Open(ctx context.Context, cfg Config, set Settings) (*Store, error) {
	if set.Engine != nil {
		return onEngine(ctx, cfg, set, set.Engine)
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking clickhouse configuration: %w", err)
	}
	if cfg.DSN.IsZero() {
		engine, err := embedded.Open(ctx, cfg.Embedded, embedded.Settings{Users: set.Users})
		if err != nil {
			return nil, err
		}
		store, err := onEngine(ctx, cfg, set, engine)
		if err != nil {
			return nil, errors.Join(err, engine.Close(ctx))
		}
		store.owned = true
		return store, nil
	}
	options, err := cfg.options()
	if err != nil {
		return nil, fmt.Errorf("reading dsn: %w", err)
	}
	conn, err := connect(ctx, cfg, set, options)
	if err != nil {
		return nil, err
	}
	return &Store{cfg: cfg, conn: conn}, nil
}

func onEngine(ctx context.Context, cfg Config, set Settings, engine *embedded.Engine) (*Store, error) {
	conn, err := connect(ctx, cfg, set, &ch.Options{
		Protocol: ch.HTTP,
		Addr:     []string{"embedded:0"}, // never dialed
		TransportFunc: func(*http.Transport) (http.RoundTripper, error) {
			return embedded.RoundTripper(engine), nil
		},
	})
	if err != nil {
		return nil, err
	}
	return &Store{cfg: cfg, conn: conn, engine: engine}, nil
}

// connect makes the database through a connection without one, as a session cannot begin in a database
// that is not there.
func connect(ctx context.Context, cfg Config, set Settings, options *ch.Options) (driver.Conn, error) {
	options.DialTimeout, options.ReadTimeout = cfg.DialTimeout, cfg.ReadTimeout
	options.MaxOpenConns, options.MaxIdleConns = cfg.MaxConnections, cfg.MaxConnections
	if !set.ReadOnly {
		options.Auth.Database = ""
		if err := createDatabase(ctx, cfg, options); err != nil {
			return nil, err
		}
	}
	options.Auth.Database = cfg.Database
	conn, err := ch.Open(options)
	if err != nil {
		return nil, fmt.Errorf("opening clickhouse: %w", err)
	}
	if err := conn.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reaching clickhouse: %w", err), conn.Close())
	}
	return conn, nil
}

func createDatabase(ctx context.Context, cfg Config, options *ch.Options) error {
	conn, err := ch.Open(options)
	if err != nil {
		return fmt.Errorf("opening clickhouse: %w", err)
	}
	statement := "CREATE DATABASE IF NOT EXISTS " + quoteName(cfg.Database)
	if cfg.Cluster != "" {
		statement += " ON CLUSTER " + quoteName(cfg.Cluster)
	}
	if err := conn.Exec(ctx, statement); err != nil {
		return errors.Join(fmt.Errorf("creating database %s: %w", cfg.Database, err), conn.Close())
	}
	return conn.Close()
}

// Conn returns the connection pool. It is closed with the store and by nobody else.
func (s *Store) Conn() driver.Conn { return s.conn }

// Database returns the name of the database that holds the tables.
func (s *Store) Database() string { return s.cfg.Database }

// Engine returns the embedded engine, to be served on a listener, or nil with a DSN.
func (s *Store) Engine() *embedded.Engine { return s.engine }

// Ping asks the store for an answer.
func (s *Store) Ping(ctx context.Context) error { return s.conn.Ping(ctx) }

// Close closes the connections and, if Open started it, the embedded engine. It waits for running
// statements until ctx ends, then kills them.
func (s *Store) Close(ctx context.Context) error {
	err := s.conn.Close()
	if s.owned {
		err = errors.Join(err, s.engine.Close(ctx))
	}
	return err
}
