package clickhouse_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clickhouse/clickhousetest"
)

// Rows are replaced within a partition and a key only. occurred_at is in both, so a later version finds the
// earlier one wherever the month ends, whatever came first, as long as occurred_at stays what it was.
func TestGreatestVersionWins(t *testing.T) {
	store := clickhousetest.New(t)
	ctx := t.Context()
	require.NoError(t, store.Conn().Exec(ctx, `CREATE TABLE events (
		tenant_id LowCardinality(String), occurred_at DateTime64(3, 'UTC'), id String, version UInt64, stored_at DateTime64(3, 'UTC'), value String
	) ENGINE = ReplacingMergeTree(version) PARTITION BY toYYYYMM(occurred_at) ORDER BY (tenant_id, occurred_at, id)`))
	month := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	put := func(id string, occurred time.Time, version uint64, stored time.Time) {
		batch, err := store.Conn().PrepareBatch(ctx, "INSERT INTO events")
		require.NoError(t, err)
		require.NoError(t, batch.Append("t", occurred, id, version, stored, fmt.Sprint(version)))
		require.NoError(t, batch.Send())
	}
	want := map[string]string{}
	for side, occurred := range map[string]time.Time{
		"last moment": month.Add(-time.Millisecond), "first moment": month, "inside": month.Add(-72 * time.Hour),
	} {
		for order, versions := range map[string][]uint64{"newer last": {1, 2}, "newer first": {2, 1}, "twice": {2, 2}, "thrice": {1, 2, 1}} {
			id := side + ", " + order
			want[id] = "2"
			for i, version := range versions {
				// Each version is stored in another month, the first one before the boundary.
				put(id, occurred, version, month.AddDate(0, i, -15))
			}
		}
	}
	check := func() {
		rows, err := store.Conn().Query(ctx, "SELECT id, value FROM events FINAL")
		require.NoError(t, err)
		defer rows.Close()
		got := map[string]string{}
		for rows.Next() {
			var id, value string
			require.NoError(t, rows.Scan(&id, &value))
			require.NotContains(t, got, id, "twice")
			got[id] = value
		}
		require.NoError(t, rows.Err())
		require.Equal(t, want, got)
	}
	check()
	require.NoError(t, store.Conn().Exec(ctx, "OPTIMIZE TABLE events FINAL"))
	check()
	require.EqualValues(t, len(want), single[uint64](t, store, "SELECT count() FROM events"), "merged for good")
	require.EqualValues(t, 2, single[uint64](t, store, "SELECT uniqExact(partition) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'events'"))
}
