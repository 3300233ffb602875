package search

import (
	"context"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
)

// querier is what a search needs of a ClickHouse connection.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (driver.Rows, error)
}

// key names a row of the search: an event, whatever its version.
type key struct {
	cursor
	tenant string
}

// boundsQuery is answered from the parts' metadata, as the month of occurred_at is the partition key.
func boundsQuery(f *Filter) string {
	return "SELECT toUnixTimestamp64Milli(min(occurred_at)), toUnixTimestamp64Milli(max(occurred_at)), count() FROM " +
		f.table + " GROUP BY toYYYYMM(occurred_at) ORDER BY toYYYYMM(occurred_at) DESC"
}

// keysQuery finds events of which some version matches the filter: at least all whose newest version
// does. FINAL would find just those, at the price of merging every row of the window, which no skip
// index and no order saves: 30 times slower for a user with few sign-ins.
//
// It orders by an expression: of a column ClickHouse would compare each row with the newest found so far before it
// looks at the filter, which takes five times as long where few rows match.
func keysQuery(f *Filter) string {
	return "SELECT toUnixTimestamp64Milli(occurred_at), id, tenant_id FROM " + f.table +
		" WHERE occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')" +
		" AND occurred_at <= fromUnixTimestamp64Milli({at:Int64}, 'UTC')" +
		" AND (occurred_at < fromUnixTimestamp64Milli({at:Int64}, 'UTC') OR id < {id:String})" +
		" AND " + f.SQL() +
		" ORDER BY toUnixTimestamp64Milli(occurred_at) DESC, id DESC LIMIT {limit:UInt64}"
}

func keysParams(f *Filter, w window, limit int) []any {
	return f.bind(
		clickhouse.Named("from", w.from), clickhouse.Named("at", w.after.at), clickhouse.Named("id", w.after.id),
		clickhouse.Named("limit", limit))
}

// rowsQuery reads the newest version of events by their keys, and whether it matches the filter.
func rowsQuery(f *Filter) string {
	return "SELECT " + tables.StoredColumns + ", ifNull(" + f.SQL() + ", false) FROM " + f.table +
		" WHERE tenant_id IN {row_tenants:Array(String)}" +
		" AND occurred_at IN {row_times:Array(DateTime64(3, 'UTC'))}" +
		" AND id IN {row_ids:Array(String)}" +
		" ORDER BY occurred_at DESC, id DESC, version DESC LIMIT 1 BY occurred_at, id"
}

func rowsParams(f *Filter, keys []key) []any {
	tenants, ids := make([]string, 0, len(keys)), make([]string, 0, len(keys))
	times := make([]string, 0, len(keys))
	for _, k := range keys {
		tenants, ids = append(tenants, k.tenant), append(ids, k.id)
		times = append(times, time.UnixMilli(k.at).UTC().Format("'2006-01-02 15:04:05.000'"))
	}
	return f.bind(
		clickhouse.Named("row_tenants", sorted(tenants)), clickhouse.Named("row_ids", ids),
		// As text: clickhouse-go would write the times of an array as numbers, which no array parses.
		clickhouse.Named("row_times", "["+strings.Join(times, ",")+"]"))
}
