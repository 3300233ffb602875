-- Every state of every object of the directory: Object of entraflow.directory.v1. A state that is delivered
-- twice is one row; its month is that of observed_at, which is part of the message. Retention as of events.
CREATE TABLE IF NOT EXISTS {{local "directory_history"}}{{on_cluster}} (
    tenant_id LowCardinality(String),
    object LowCardinality(String) COMMENT 'kind of object: user, group, …',
    id String COMMENT 'id in Graph; what Object.id says' CODEC(ZSTD(1)),
    version UInt64 COMMENT 'orders the states of an object' CODEC(ZSTD(1)),
    integration LowCardinality(String),
    observed_at DateTime64(3, 'UTC') COMMENT 'when the state was read from Graph' CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') COMMENT 'when the sink took it' CODEC(Delta, ZSTD(1)),
    stream_sequence UInt64 COMMENT 'sequence in the stream DIRECTORY' CODEC(Delta, ZSTD(1)),
    change LowCardinality(String) COMMENT 'created, updated, restored, deleted, purged or vanished',
    deleted Bool COMMENT 'the object is not there any more',
    display_name String COMMENT 'of a tombstone the last one' CODEC(ZSTD(1)),
    changed Array(LowCardinality(String)) COMMENT 'properties of Graph that differ from the state before',
    raw String COMMENT 'the object as Graph has it; empty for tombstones and shards of members' CODEC(ZSTD(1)),
    `members.id` Array(String) COMMENT 'of a shard of a group\'s members' CODEC(ZSTD(1)),
    `members.kind` Array(LowCardinality(String))
)
ENGINE = {{replacing "directory_history" "version"}}
PARTITION BY toYYYYMM(observed_at)
ORDER BY (tenant_id, object, id, version)
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, min_bytes_for_wide_part = 268435456;
{{distributed "directory_history" "sipHash64(id)"}}

-- The newest state of each object of a kind without a table of its own (organization, domain, …). Without
-- partitions, as all tables of newest states: a state is one row wherever in time it lies. A tombstone is a
-- row too, so that an older state that comes late does not bring the object back.
CREATE TABLE IF NOT EXISTS {{local "directory_current"}}{{on_cluster}} (
    tenant_id LowCardinality(String),
    object LowCardinality(String) COMMENT 'kind of object: user, group, …',
    id String COMMENT 'id in Graph; what Object.id says' CODEC(ZSTD(1)),
    version UInt64 COMMENT 'orders the states of an object' CODEC(ZSTD(1)),
    integration LowCardinality(String),
    observed_at DateTime64(3, 'UTC') COMMENT 'when the state was read from Graph' CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') COMMENT 'when the sink took it' CODEC(Delta, ZSTD(1)),
    stream_sequence UInt64 COMMENT 'sequence in the stream DIRECTORY' CODEC(Delta, ZSTD(1)),
    change LowCardinality(String) COMMENT 'created, updated, restored, deleted, purged or vanished',
    deleted Bool COMMENT 'the object is not there any more; the columns below are empty then',
    display_name String COMMENT 'of a tombstone the last one' CODEC(ZSTD(1)),
    raw String COMMENT 'the object as Graph has it' CODEC(ZSTD(1))
)
ENGINE = {{replacing "directory_current" "version"}}
ORDER BY (tenant_id, object, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "directory_current" "sipHash64(id)"}}
