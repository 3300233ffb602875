// Package clickhousetest gives tests a database of their own on a real ClickHouse engine, which the tests
// of one process share. It keeps its data in a temporary folder and removes it at the end.
package clickhousetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
)

// closeTimeout bounds the end of the shared engine; tests have ended before it.
const closeTimeout = 20 * time.Second

// shared is the engine of this process. libchdb allows one, so it cannot belong to a test.
//
//nolint:gochecknoglobals // see above
var shared struct {
	sync.Mutex
	main   bool
	dir    string
	engine *embedded.Engine
	next   int
}

// TestMain runs the tests of a package, as *testing.M does.
type TestMain interface{ Run() int }

type testMain struct{ tests TestMain }

// Main wraps the tests of a package so that the shared engine ends with them:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(clickhousetest.Main(m)) }
func Main(m TestMain) TestMain { return testMain{tests: m} }

func (m testMain) Run() int {
	shared.Lock()
	shared.main = true
	shared.Unlock()
	code := m.tests.Run()
	if err := shutdown(); err != nil {
		fmt.Fprintln(os.Stderr, "closing shared engine:", err)
		return max(code, 1)
	}
	return code
}

func shutdown() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.engine == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout) // draining: there is no caller
	defer cancel()
	return errors.Join(shared.engine.Close(ctx), os.RemoveAll(shared.dir))
}

// New returns a store on a new, empty database, which goes with the test. The package's TestMain must
// use Main. Tests may run in parallel.
func New(tb testing.TB) *clickhouse.Store {
	tb.Helper()
	engine, number := acquire(tb)
	cfg := clickhouse.DefaultConfig()
	cfg.Database = fmt.Sprintf("test_%d", number)
	store, err := clickhouse.Open(tb.Context(), cfg, clickhouse.Settings{Engine: engine})
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), closeTimeout)
		defer cancel()
		require.NoError(tb, store.Conn().Exec(ctx, "DROP DATABASE "+cfg.Database))
		require.NoError(tb, store.Close(ctx))
	})
	return store
}

func acquire(tb testing.TB) (*embedded.Engine, int) {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	require.True(tb, shared.main, "TestMain must call goleak.VerifyTestMain(clickhousetest.Main(m))")
	shared.next++
	if shared.engine != nil {
		return shared.engine, shared.next
	}
	dir, err := os.MkdirTemp("", "clickhousetest-") //nolint:usetesting // outlives the test
	require.NoError(tb, err)
	cfg := embedded.DefaultConfig()
	cfg.DataDir = dir
	engine, err := embedded.Open(tb.Context(), cfg, embedded.Settings{})
	require.NoError(tb, err)
	shared.dir, shared.engine = dir, engine
	return engine, shared.next
}
