-- Audits: Audit of entraflow.event.v1. Keys as in sign_ins.
CREATE TABLE IF NOT EXISTS {{local "audits"}}{{on_cluster}} (
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

    activity LowCardinality(String),
    audit_category LowCardinality(String) COMMENT 'the category of the audit itself; category is the diagnostic one',
    operation_type LowCardinality(String),
    result LowCardinality(String),
    result_reason String CODEC(ZSTD(1)),
    logged_by_service LowCardinality(String),
    correlation_id String CODEC(ZSTD(1)),
    user_agent LowCardinality(String),

    initiator_user_id String CODEC(ZSTD(1)),
    initiator_user_principal_name String CODEC(ZSTD(1)),
    initiator_user_key String COMMENT 'initiator_user_principal_name in lower case, to search by' CODEC(ZSTD(1)),
    initiator_user_display_name String CODEC(ZSTD(1)),
    ip IPv6 COMMENT 'ip_address as a number for ranges, IPv4 mapped, :: if there is none' CODEC(ZSTD(1)),
    ip_address String CODEC(ZSTD(1)),
    initiator_app_id LowCardinality(String),
    initiator_service_principal_id LowCardinality(String),
    initiator_app_display_name LowCardinality(String),

    `targets.id` Array(String) CODEC(ZSTD(1)),
    `targets.display_name` Array(String) CODEC(ZSTD(1)),
    `targets.type` Array(LowCardinality(String)),
    `targets.user_principal_name` Array(String) CODEC(ZSTD(1)),
    `targets.user_key` Array(String) COMMENT 'in lower case, to search by' CODEC(ZSTD(1)),
    `targets.group_type` Array(LowCardinality(String)),
    `modified_properties.target_id` Array(String) CODEC(ZSTD(1)),
    `modified_properties.name` Array(LowCardinality(String)),
    `modified_properties.old_value` Array(Nullable(String)) CODEC(ZSTD(1)),
    `modified_properties.new_value` Array(Nullable(String)) CODEC(ZSTD(1)),
    `additional_details.key` Array(LowCardinality(String)),
    `additional_details.value` Array(String) CODEC(ZSTD(1)),

    INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_source_id source_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_correlation_id correlation_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_initiator_user_id initiator_user_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_initiator_user_key initiator_user_key TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_target_id `targets.id` TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_target_user_key `targets.user_key` TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_stored_at stored_at TYPE minmax GRANULARITY 1
)
ENGINE = {{replacing "audits" "version"}}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant_id, occurred_at, id)
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, min_bytes_for_wide_part = 268435456;
{{distributed "audits" "sipHash64(id)"}}
