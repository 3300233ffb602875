-- States of risk of users: RiskyUser of entraflow.event.v1, every one. Keys as in sign_ins.
CREATE TABLE IF NOT EXISTS {{local "risky_users"}}{{on_cluster}} (
    tenant_id LowCardinality(String),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    id String CODEC(ZSTD(1)),
    version UInt64 CODEC(ZSTD(1)),
    kind LowCardinality(String),
    data_type LowCardinality(String),
    category LowCardinality(String),
    source LowCardinality(String) COMMENT 'graph or event_hub',
    source_id String CODEC(ZSTD(1)),
    integration LowCardinality(String),
    observed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') COMMENT 'when the sink took it, retention counts from here' CODEC(Delta, ZSTD(1)),
    stream_sequence UInt64 COMMENT 'sequence in the stream EVENTS' CODEC(Delta, ZSTD(1)),
    notes Array(LowCardinality(String)),
    raw String COMMENT 'the record as it came' CODEC(ZSTD(1)),

    user_id String CODEC(ZSTD(1)),
    user_principal_name String CODEC(ZSTD(1)),
    user_key String COMMENT 'user_principal_name in lower case, to search by' CODEC(ZSTD(1)),
    user_display_name String CODEC(ZSTD(1)),
    risk_level LowCardinality(String),
    risk_state LowCardinality(String),
    risk_detail LowCardinality(String),
    risk_last_updated_at Nullable(DateTime64(3, 'UTC')),
    is_deleted Nullable(Bool),
    is_processing Nullable(Bool)
)
ENGINE = {{replacing "risky_users" "version"}}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant_id, occurred_at, id)
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, min_bytes_for_wide_part = 268435456;
{{distributed "risky_users" "sipHash64(id)"}}

-- The newest state of each user, by version. Without partitions, so that it is one row wherever in
-- time it lies; filled by the sink, because a materialized view would put it on the shard of the
-- event instead of the user's.
CREATE TABLE IF NOT EXISTS {{local "risky_users_current"}}{{on_cluster}} (
    tenant_id LowCardinality(String),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    id String CODEC(ZSTD(1)),
    version UInt64 CODEC(ZSTD(1)),
    kind LowCardinality(String),
    data_type LowCardinality(String),
    category LowCardinality(String),
    source LowCardinality(String) COMMENT 'graph or event_hub',
    source_id String CODEC(ZSTD(1)),
    integration LowCardinality(String),
    observed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') COMMENT 'when the sink took it, retention counts from here' CODEC(Delta, ZSTD(1)),
    stream_sequence UInt64 COMMENT 'sequence in the stream EVENTS' CODEC(Delta, ZSTD(1)),
    notes Array(LowCardinality(String)),
    raw String COMMENT 'the record as it came' CODEC(ZSTD(1)),

    user_id String CODEC(ZSTD(1)),
    user_principal_name String CODEC(ZSTD(1)),
    user_key String COMMENT 'user_principal_name in lower case, to search by' CODEC(ZSTD(1)),
    user_display_name String CODEC(ZSTD(1)),
    risk_level LowCardinality(String),
    risk_state LowCardinality(String),
    risk_detail LowCardinality(String),
    risk_last_updated_at Nullable(DateTime64(3, 'UTC')),
    is_deleted Nullable(Bool),
    is_processing Nullable(Bool)
)
ENGINE = {{replacing "risky_users_current" "version"}}
ORDER BY (tenant_id, user_id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "risky_users_current" "sipHash64(user_id)"}}
