package clickhouse

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// Schema is what migrations are rendered with. The same files make plain tables on a single server and
// replicated ones under a distributed table on a cluster, by these functions:
//
//	{{local "t"}}                   name of the table that holds the rows of one server
//	{{on_cluster}}                  " ON CLUSTER c", or nothing
//	{{replacing "t" "version"}}     ReplacingMergeTree(version), replicated on a cluster
//	{{engine "t" "MergeTree"}}      any MergeTree engine, with its arguments
//	{{distributed "t" "key"}}       statement that makes the table over all shards, or nothing
//	{{setting "name"}}              one of Settings; one that is not set is an error
//
// Every version of a row must give the same key to distributed, or FINAL finds them on different
// shards.
type Schema struct {
	// Database holds the tables.
	Database string
	// Cluster is the cluster's name; empty for a single server.
	Cluster string
	// Settings are settings of the schema, such as the days of a TTL.
	Settings map[string]string
}

// Schema returns the schema of the store with the given settings.
func (s *Store) Schema(settings map[string]string) Schema {
	return Schema{Database: s.cfg.Database, Cluster: s.cfg.Cluster, Settings: settings}
}

func (s Schema) functions() template.FuncMap {
	return template.FuncMap{
		"local":       s.local,
		"on_cluster":  s.onCluster,
		"engine":      s.engine,
		"replacing":   func(table, version string) string { return s.engine(table, "ReplacingMergeTree", version) },
		"distributed": s.distributed,
		"setting":     s.setting,
	}
}

func (s Schema) local(table string) string {
	if s.Cluster == "" {
		return quoteName(table)
	}
	return quoteName(table + "_local")
}

func (s Schema) onCluster() string {
	if s.Cluster == "" {
		return ""
	}
	return " ON CLUSTER " + quoteName(s.Cluster)
}

func (s Schema) engine(table, family string, arguments ...string) string {
	if s.Cluster != "" {
		family = "Replicated" + family
		path := "'/clickhouse/tables/{shard}/" + s.Database + "/" + table + "'"
		arguments = append([]string{path, "'{replica}'"}, arguments...)
	}
	return family + "(" + strings.Join(arguments, ", ") + ")"
}

func (s Schema) distributed(table, key string) string {
	if s.Cluster == "" {
		return ""
	}
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s AS %s ENGINE = Distributed(%s, %s, %s, %s);",
		quoteName(table), s.onCluster(), s.local(table),
		quoteName(s.Cluster), quoteName(s.Database), s.local(table), key)
}

func (s Schema) setting(name string) (string, error) {
	value, ok := s.Settings[name]
	if !ok {
		return "", fmt.Errorf("schema setting %s is not set", name)
	}
	return value, nil
}

// historyTable returns the statement that makes schema_migrations. On a cluster every server has all of it.
func (s Schema) historyTable() string {
	engine := "MergeTree"
	if s.Cluster != "" {
		engine = "ReplicatedMergeTree('/clickhouse/tables/all/" + s.Database + "/" + historyTable + "', '{shard}-{replica}')"
	}
	return "CREATE TABLE IF NOT EXISTS " + historyTable + s.onCluster() + ` (
	name String COMMENT 'file name of the migration',
	checksum String COMMENT 'SHA-256 of its text, or of its rendered text if it repeats',
	applied_at DateTime64(3, 'UTC')
) ENGINE = ` + engine + " ORDER BY (name, applied_at)"
}

// migration is one file.
type migration struct {
	number   int // 0 for one that repeats
	name     string
	checksum string
	sql      string
}

func (m migration) repeats() bool { return m.number == 0 }

const repeatPrefix = "repeat_"

// readMigrations renders the files of folder: the numbered ones in their order, then those that repeat.
func readMigrations(folder fs.FS, schema Schema) ([]migration, error) {
	names, err := fs.Glob(folder, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("listing migrations: %w", err)
	}
	var numbered, repeating []migration
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, fmt.Errorf("reading migration: %w", err)
		}
		m, err := newMigration(path.Base(name), string(text), schema)
		if err != nil {
			return nil, err
		}
		if m.repeats() {
			repeating = append(repeating, m)
			continue
		}
		numbered = append(numbered, m)
	}
	slices.SortFunc(numbered, func(a, b migration) int { return cmp.Compare(a.number, b.number) })
	for i := 1; i < len(numbered); i++ {
		if numbered[i].number == numbered[i-1].number {
			return nil, fmt.Errorf("migrations %s and %s have the same number", numbered[i-1].name, numbered[i].name)
		}
	}
	return append(numbered, repeating...), nil
}

func newMigration(name, text string, schema Schema) (migration, error) {
	number, repeats, err := parseName(name)
	if err != nil {
		return migration{}, err
	}
	parsed, err := template.New(name).Funcs(schema.functions()).Parse(text)
	if err != nil {
		return migration{}, fmt.Errorf("parsing migration: %w", err)
	}
	var sql bytes.Buffer
	if err := parsed.Execute(&sql, nil); err != nil {
		return migration{}, fmt.Errorf("rendering migration: %w", err)
	}
	m := migration{number: number, name: name, checksum: checksumOf(text), sql: sql.String()}
	if repeats {
		m.checksum = checksumOf(m.sql)
	}
	return m, nil
}

var errMigrationName = errors.New("migration must be named NNNN_name.sql or repeat_name.sql")

func parseName(name string) (number int, repeats bool, err error) {
	if strings.HasPrefix(name, repeatPrefix) {
		return 0, true, nil
	}
	digits, _, ok := strings.Cut(name, "_")
	number, err = strconv.Atoi(digits)
	if !ok || err != nil || len(digits) != 4 || number < 1 {
		return 0, false, fmt.Errorf("%w: %s", errMigrationName, name)
	}
	return number, false, nil
}

func quoteName(name string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(name) + "`"
}
