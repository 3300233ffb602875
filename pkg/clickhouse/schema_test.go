package clickhouse

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const clusterMigration = `CREATE TABLE IF NOT EXISTS {{local "t"}}{{on_cluster}} (a UInt64, v UInt64)
ENGINE = {{replacing "t" "v"}} ORDER BY a;
{{distributed "t" "cityHash64(a)"}}
ALTER TABLE {{local "t"}}{{on_cluster}} ADD COLUMN x String;`

func TestSchemaOfClusterAndServer(t *testing.T) {
	files := fstest.MapFS{"0001_t.sql": {Data: []byte(clusterMigration)}}
	for name, tc := range map[string]struct {
		schema Schema
		want   []string
	}{
		"server": {Schema{Database: "d"}, []string{
			"CREATE TABLE IF NOT EXISTS `t` (a UInt64, v UInt64)\nENGINE = ReplacingMergeTree(v) ORDER BY a",
			"ALTER TABLE `t` ADD COLUMN x String",
		}},
		"cluster": {Schema{Database: "d", Cluster: "c"}, []string{
			"CREATE TABLE IF NOT EXISTS `t_local` ON CLUSTER `c` (a UInt64, v UInt64)\n" +
				"ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/d/t', '{replica}', v) ORDER BY a",
			"CREATE TABLE IF NOT EXISTS `t` ON CLUSTER `c` AS `t_local` ENGINE = Distributed(`c`, `d`, `t_local`, cityHash64(a))",
			"ALTER TABLE `t_local` ON CLUSTER `c` ADD COLUMN x String",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			migrations, err := readMigrations(files, tc.schema)
			require.NoError(t, err)
			require.Len(t, migrations, 1)
			require.Equal(t, tc.want, splitStatements(migrations[0].sql))
			require.Equal(t, checksumOf(clusterMigration), migrations[0].checksum, "the same on both")
		})
	}
	require.Contains(t, Schema{Database: "d", Cluster: "c"}.historyTable(), "ON CLUSTER `c`")
}

func TestSplitStatements(t *testing.T) {
	for sql, want := range map[string][]string{
		"":                                     nil,
		" ; ;; -- only ; comments\n /* ; */ ;": nil,
		"SELECT 1":                             {"SELECT 1"},
		"SELECT 1;\nSELECT 2;":                 {"SELECT 1", "SELECT 2"},
		"SELECT ';', \"a;b\", `c;d`; x":        {"SELECT ';', \"a;b\", `c;d`", "x"},
		`SELECT 'it\'s; ', 'it''s;'; y`:        {`SELECT 'it\'s; ', 'it''s;'`, "y"},
		"a -- b; c\n d; e":                     {"a -- b; c\n d", "e"},
		"a /* ; */ b; 'open ; string":          {"a /* ; */ b", "'open ; string"},
		"a - 1; b / 2":                         {"a - 1", "b / 2"},
	} {
		require.Equal(t, want, splitStatements(sql), sql)
	}
}

func FuzzSplitStatements(f *testing.F) {
	f.Add("SELECT ';'; -- x\nSELECT `a;`")
	f.Fuzz(func(t *testing.T, sql string) {
		rest := sql
		for _, statement := range splitStatements(sql) {
			_, after, ok := strings.Cut(rest, statement)
			require.True(t, ok, "statements are parts of the text, in order")
			rest = after
		}
	})
}
