-- Provisioning: Provisioning of entraflow.event.v1. Keys as in sign_ins.
CREATE TABLE IF NOT EXISTS {{local "provisioning"}}{{on_cluster}} (
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

    action LowCardinality(String),
    status LowCardinality(String),
    error_code LowCardinality(String),
    error_category LowCardinality(String),
    error_reason String CODEC(ZSTD(1)),
    job_id LowCardinality(String),
    cycle_id String CODEC(ZSTD(1)),
    change_id String CODEC(ZSTD(1)),
    duration_ms Nullable(Int64),
    initiator_id String CODEC(ZSTD(1)),
    initiator_name LowCardinality(String),
    initiator_type LowCardinality(String),
    service_principal_id LowCardinality(String),
    service_principal_name LowCardinality(String),
    source_identity_id String CODEC(ZSTD(1)),
    source_identity_display_name String CODEC(ZSTD(1)),
    source_identity_type LowCardinality(String),
    target_identity_id String CODEC(ZSTD(1)),
    target_identity_display_name String CODEC(ZSTD(1)),
    target_identity_type LowCardinality(String),
    source_system LowCardinality(String),
    target_system LowCardinality(String),
    tenant_name LowCardinality(String),
    `modified_properties.name` Array(LowCardinality(String)),
    `modified_properties.old_value` Array(Nullable(String)) CODEC(ZSTD(1)),
    `modified_properties.new_value` Array(Nullable(String)) CODEC(ZSTD(1)),
    `steps.name` Array(LowCardinality(String)),
    `steps.type` Array(LowCardinality(String)),
    `steps.status` Array(LowCardinality(String)),
    `steps.description` Array(String) CODEC(ZSTD(1))
)
ENGINE = {{replacing "provisioning" "version"}}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant_id, occurred_at, id)
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, min_bytes_for_wide_part = 268435456;
{{distributed "provisioning" "sipHash64(id)"}}
