package search

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/decode"
	"github.com/entraflow/entraflow/pkg/telemetry"
	"github.com/entraflow/entraflow/services/gateway/internal/failure"
)

// heavy is a store with 10 million rows of which no statement may look at more than a span.
type heavy struct {
	first, last int64
	span        int64
	queries     int
}

func (h *heavy) Query(_ context.Context, query string, args ...any) (driver.Rows, error) {
	h.queries++
	if strings.HasPrefix(query, boundsQuery(NewFilter(decode.KindSignIn))) {
		return &fakeRows{rows: [][]any{{h.first, h.last, uint64(10_000_000)}}}, nil
	}
	params := map[string]any{}
	for _, arg := range args {
		named := arg.(driver.NamedValue) //nolint:errcheck // a fault of the test
		params[named.Name] = named.Value
	}
	from, at := params["from"].(int64), params["at"].(int64) //nolint:errcheck // a fault of the test
	if at-from > h.span {
		return nil, &clickhouse.Exception{Code: 241}
	}
	return &fakeRows{}, nil
}

// fakeRows are rows in memory.
type fakeRows struct {
	driver.Rows

	rows [][]any
	next int
}

func (r *fakeRows) Next() bool   { r.next++; return r.next <= len(r.rows) }
func (r *fakeRows) Err() error   { return nil }
func (r *fakeRows) Close() error { return nil }

func (r *fakeRows) Scan(dest ...any) error {
	for i, value := range r.rows[r.next-1] {
		switch to := dest[i].(type) {
		case *int64:
			*to = value.(int64) //nolint:errcheck // a fault of the test
		case *uint64:
			*to = value.(uint64) //nolint:errcheck // a fault of the test
		}
	}
	return nil
}

func newSearch(t *testing.T, store querier, timeout time.Duration) *search {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Timeout = timeout
	server := New(cfg, Settings{Store: store, Clock: clock.Real(), Metrics: NewMetrics(telemetry.NewMetrics(nil, "test"))})
	return &search{server: server, filter: NewFilter(decode.KindSignIn), size: 10}
}

// A window that is too much for the store is made smaller until it is not.
func TestASearchAsksForLess(t *testing.T) {
	last := time.Now().UnixMilli()
	day := 24 * time.Hour.Milliseconds()
	store := &heavy{first: last - 30*day, last: last, span: day}
	found, next, err := newSearch(t, store, time.Minute).run(t.Context())
	require.NoError(t, err)
	require.Nil(t, next)
	require.Empty(t, found)
	require.Less(t, store.queries, 100)
}

func TestASearchThatTakesTooLongGoesOnInTheNextPage(t *testing.T) {
	last := time.Now().UnixMilli()
	day := 24 * time.Hour.Milliseconds()
	store := &heavy{first: last - 2*day, last: last, span: 1 << 60}
	search := newSearch(t, store, time.Nanosecond)
	pages := 0
	for ; ; pages++ {
		require.Less(t, pages, 1000)
		_, next, err := search.run(t.Context())
		require.NoError(t, err)
		if next == nil {
			break
		}
		require.NotEqual(t, search.begin, *next, "a page must go on")
		search.after = next
	}
	require.GreaterOrEqual(t, pages, 2)
}

func TestASearchThatCannotBeSmallerIsRefused(t *testing.T) {
	last := time.Now().UnixMilli()
	store := &heavy{first: last - 1_000_000_000, last: last, span: 1}
	_, _, err := newSearch(t, store, time.Minute).run(t.Context())
	require.ErrorIs(t, err, failure.ErrTooLarge)
}
