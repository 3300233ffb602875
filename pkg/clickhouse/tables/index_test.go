package tables_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
)

// Each skip index must leave out most of the table for what it is there for. With 2 million rows of
// 50,000 users (400 granules) the indexes left 23 granules for a user, 1 for an address, 1 to 8 for an
// id. Of a country, a code or an application the indexes are there for those that nobody has, or few.
func TestSkipIndexesLeaveOutMostGranules(t *testing.T) {
	conn := migrated(t)
	crowd(t, conn)
	value := func(column string) string {
		var text string
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT toString("+column+") FROM sign_ins LIMIT 1 OFFSET 70000").Scan(&text))
		return text
	}
	conditions := map[string]string{"stored_at": "stored_at >= (SELECT max(stored_at) - 1 FROM sign_ins)"}
	for _, column := range []string{
		"id", "source_id", "user_id", "user_key", "ip", "ip_address", "correlation_id", "session_id", "unique_token_identifier",
	} {
		conditions[column] = column + " = '" + value(column) + "'"
	}
	// Indexes of expressions are used where a search says the same, to the letter.
	conditions["country"], conditions["error_code"] = "country IN ['LI']", "error_code IN [53003]"
	const networks = "[tupleElement(IPv6CIDRToRange(ip, 48), 1), tupleElement(IPv6CIDRToRange(ip, 64), 1)," +
		" tupleElement(IPv6CIDRToRange(ip, 112), 1), tupleElement(IPv6CIDRToRange(ip, 120), 1)]"
	conditions["network"] = "has(" + networks + ", toIPv6('10.0.77.0'))"
	conditions["no such network"] = "has(" + networks + ", toIPv6('10.9.0.0'))"
	conditions["app"] = "(lower(app_id) = 'rare' OR lower(app_service_principal_id) = 'rare' OR lower(service_principal_id) = 'rare')"
	user := value("user_key")
	conditions["user"] = fmt.Sprintf("(user_key = '%[1]s' OR lower(user_id) = '%[1]s')", user)
	for name, condition := range conditions {
		read, total := granules(t, conn, condition)
		require.Greater(t, total, 15, name)
		require.LessOrEqual(t, read, total/4, name)
	}
}

// crowd fills sign_ins with 160,000 rows in which a user and an address are rare, in one part.
func crowd(t *testing.T, conn driver.Conn) {
	t.Helper()
	require.NoError(t, conn.Exec(t.Context(), `INSERT INTO sign_ins (tenant_id, occurred_at, stored_at, id, source_id,
			user_key, user_id, ip_address, ip, correlation_id, session_id, unique_token_identifier,
			country, error_code, app_id, service_principal_id)
		SELECT 'tenant', occurred_at, occurred_at + 90, lower(hex(MD5(toString(number)))), toString(generateUUIDv4()),
			user_key, lower(hex(MD5(user_key))), ip_address, toIPv6(ip_address),
			toString(generateUUIDv4(1)), toString(generateUUIDv4(2)), toString(generateUUIDv4(3)),
			if(number = 70000, 'LI', 'DE'), if(number = 70001, 53003, 0), if(number = 70002, 'Rare', 'common'), if(number = 9, 'Rare', '')
		FROM (SELECT number,
			fromUnixTimestamp64Milli(toInt64(1793491200000 + 1000 * number), 'UTC') AS occurred_at,
			'user.' || toString(number % 80000) AS user_key,
			'10.0.' || toString(intDiv(number, 640) % 256) || '.' || toString(intDiv(number, 3) % 256) AS ip_address
			FROM numbers(160000))`))
	require.NoError(t, conn.Exec(t.Context(), "OPTIMIZE TABLE sign_ins FINAL"))
}

func granules(t *testing.T, conn driver.Conn, condition string) (read, total int) {
	t.Helper()
	return granulesOf(t, conn, "sign_ins", condition)
}

// granulesOf returns how many granules a query of a table reads, of how many.
func granulesOf(t *testing.T, conn driver.Conn, table, condition string) (read, total int) {
	t.Helper()
	rows, err := conn.Query(t.Context(), "EXPLAIN indexes = 1 SELECT count() FROM "+table+" WHERE "+condition)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		// The last line is what all indexes together leave.
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "Granules: "); ok {
			var of int
			_, err := fmt.Sscanf(text, "%d/%d", &read, &of)
			require.NoError(t, err)
			total = max(total, of)
		}
	}
	require.NoError(t, rows.Err())
	return read, total
}
