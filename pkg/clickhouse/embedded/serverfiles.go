package embedded

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/entraflow/entraflow/pkg/config"
)

// serverFiles are the engine's configuration, in the dialect of a ClickHouse server.
type serverFiles struct {
	config string
	users  string
}

// The grants are all that any statement may do. What reaches out of the tables is left out: files
// and programs of the host, URLs and other servers as sources, dictionaries, access management,
// backups, shutdown. Blocks of 65,409 rows, ClickHouse's default, take twice the CPU where rows hold
// 1 KB of text.
const usersTemplate = `<clickhouse>
  <profiles><default>
    <max_memory_usage>{{ .Config.MaxStatementMemory | int }}</max_memory_usage>
    <max_threads>{{ .Threads }}</max_threads>
    <max_block_size>8192</max_block_size>
    <constraints>
      <max_memory_usage><min>1</min><max>{{ .Config.MaxStatementMemory | int }}</max></max_memory_usage>
      <format_schema><const/></format_schema>
      <format_schema_source><const/></format_schema_source>
    </constraints>
  </default></profiles>
  <users><default>
    <password></password>
    <networks><ip>::/0</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
    <grants>
      <query>GRANT SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP, TRUNCATE, OPTIMIZE, SHOW, KILL QUERY, SYSTEM MERGES, SYSTEM TTL MERGES ON *.*</query>
      {{- range .Engines }}
      <query>GRANT TABLE ENGINE ON {{ . }}</query>
      {{- end }}
    </grants>
  </default></users>
  <quotas><default></default></quotas>
</clickhouse>
`

// The control group's memory would count the rest of this process, and its neighbours, as the engine's.
const configTemplate = `<clickhouse>
  <users_config>{{ xml .UsersPath }}</users_config>
  <access_control_improvements>
    <table_engines_require_grant>true</table_engines_require_grant>
  </access_control_improvements>
  <max_server_memory_usage>{{ .Config.MaxMemory | int }}</max_server_memory_usage>
  <memory_worker_use_cgroup>false</memory_worker_use_cgroup>
  <mark_cache_size>{{ .Config.MarkCache | int }}</mark_cache_size>
  <index_mark_cache_size>{{ .Config.MarkCache | int }}</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <background_pool_size>{{ .BackgroundThreads }}</background_pool_size>
  <background_schedule_pool_size>{{ .SchedulePoolSize }}</background_schedule_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <merge_tree>
    <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    {{- if .SyncWrites }}
    <fsync_after_insert>true</fsync_after_insert>
    <fsync_part_directory>true</fsync_part_directory>
    <min_rows_to_fsync_after_merge>1</min_rows_to_fsync_after_merge>
    {{- end }}
  </merge_tree>
</clickhouse>
`

// writeServerFiles writes the engine's configuration below the data folder and returns the path of
// its main file. They are written anew at each start, so they always say what Config says.
func writeServerFiles(cfg Config) (string, error) {
	dir := filepath.Join(cfg.DataDir, "etc")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making engine configuration folder: %w", err)
	}
	usersPath, configPath := filepath.Join(dir, "users.xml"), filepath.Join(dir, "config.xml")
	files, err := renderServerFiles(cfg, usersPath)
	if err != nil {
		return "", err
	}
	for path, content := range map[string]string{usersPath: files.users, configPath: files.config} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return "", fmt.Errorf("writing engine configuration: %w", err)
		}
	}
	return configPath, nil
}

func renderServerFiles(cfg Config, usersPath string) (serverFiles, error) {
	data := struct {
		Config
		Threads          int
		SchedulePoolSize int
		UsersPath        string
		Engines          []string
	}{cfg, cfg.threads(), max(4, 2*cfg.BackgroundThreads), usersPath, grantedEngines()}
	funcs := template.FuncMap{"xml": escapeXML, "int": func(b config.Bytes) int64 { return int64(b) }}
	render := func(text string) (string, error) {
		parsed, err := template.New("server").Funcs(funcs).Parse(text)
		if err != nil {
			return "", fmt.Errorf("parsing engine configuration template: %w", err)
		}
		var out bytes.Buffer
		if err := parsed.Execute(&out, data); err != nil {
			return "", fmt.Errorf("rendering engine configuration: %w", err)
		}
		return out.String(), nil
	}
	var files serverFiles
	var err error
	if files.config, err = render(configTemplate); err != nil {
		return serverFiles{}, err
	}
	if files.users, err = render(usersTemplate); err != nil {
		return serverFiles{}, err
	}
	return files, nil
}

// grantedEngines are the table engines that keep their data in the data folder or in memory.
func grantedEngines() []string {
	return []string{
		"MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree",
		"CollapsingMergeTree", "VersionedCollapsingMergeTree", "Memory", "Null",
		"View", "MaterializedView", "Merge", "Buffer",
	}
}

func escapeXML(text string) (string, error) {
	var out bytes.Buffer
	if err := xml.EscapeText(&out, []byte(text)); err != nil {
		return "", fmt.Errorf("escaping engine configuration: %w", err)
	}
	return out.String(), nil
}
