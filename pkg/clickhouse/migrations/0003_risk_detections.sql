-- Risk detections: RiskDetection of entraflow.event.v1. Keys as in sign_ins.
CREATE TABLE IF NOT EXISTS {{local "risk_detections"}}{{on_cluster}} (
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

    risk_event_type LowCardinality(String),
    risk_level LowCardinality(String),
    risk_state LowCardinality(String),
    risk_detail LowCardinality(String),
    detection_timing LowCardinality(String),
    activity LowCardinality(String),
    detector LowCardinality(String),
    token_issuer_type LowCardinality(String),
    user_id String CODEC(ZSTD(1)),
    user_principal_name String CODEC(ZSTD(1)),
    user_key String COMMENT 'user_principal_name in lower case, to search by' CODEC(ZSTD(1)),
    user_display_name String CODEC(ZSTD(1)),
    service_principal_id String CODEC(ZSTD(1)),
    service_principal_display_name LowCardinality(String),
    app_id LowCardinality(String),
    ip IPv6 COMMENT 'ip_address as a number for ranges, IPv4 mapped, :: if there is none' CODEC(ZSTD(1)),
    ip_address String CODEC(ZSTD(1)),
    city LowCardinality(String),
    state LowCardinality(String),
    country LowCardinality(String),
    latitude Nullable(Float64),
    longitude Nullable(Float64),
    request_id String CODEC(ZSTD(1)),
    correlation_id String CODEC(ZSTD(1)),
    activity_at Nullable(DateTime64(3, 'UTC')),
    detected_at Nullable(DateTime64(3, 'UTC')),
    last_updated_at Nullable(DateTime64(3, 'UTC')),
    additional_info String CODEC(ZSTD(1)),
    key_ids Array(String) CODEC(ZSTD(1))
)
ENGINE = {{replacing "risk_detections" "version"}}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant_id, occurred_at, id)
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, min_bytes_for_wide_part = 268435456;
{{distributed "risk_detections" "sipHash64(id)"}}
