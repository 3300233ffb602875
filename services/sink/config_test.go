package sink_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/sink"
)

func TestConfigNamesEveryFault(t *testing.T) {
	cfg := sink.DefaultConfig()
	require.EqualError(t, cfg.Validate(), "clickhouse.embedded.data_dir: must be set")
	cfg.ClickHouse.Embedded.DataDir = "data"
	require.NoError(t, cfg.Validate())

	cfg.NATS.URL = ""
	cfg.Batch = sink.BatchConfig{}
	cfg.Retry = sink.RetryConfig{First: 2, Max: 1}
	cfg.Retention = sink.RetentionConfig{EventDays: 0, DeadLetterDays: 20_001, AuditDays: -1}
	cfg.RecentIDs = -1
	require.EqualError(t, cfg.Validate(), `nats.url: must be set
batch.max_rows: must be between 1 and 1000000
batch.max_bytes: must be between 1MiB and 1GiB
batch.max_delay: must be positive
batch.in_flight: must be between 1 and 64
batch.insert_timeout: must be positive
retry.max: must not be less than retry.first
retention.event_days: must be between 1 and 20000
retention.dead_letter_days: must be between 1 and 20000
retention.audit_days: must be between 1 and 20000
recent_ids: must be between 0 and 268435456`)

	_, err := sink.New(cfg, sink.Settings{})
	require.ErrorContains(t, err, "checking sink configuration: nats.url: must be set")
}
