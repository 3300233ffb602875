-- Events of categories without a model yet: Other of entraflow.event.v1. Keys as in sign_ins.
CREATE TABLE IF NOT EXISTS {{local "other_events"}}{{on_cluster}} (
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

    operation LowCardinality(String),
    result LowCardinality(String),
    result_description String CODEC(ZSTD(1)),
    ip IPv6 COMMENT 'ip_address as a number for ranges, IPv4 mapped, :: if there is none' CODEC(ZSTD(1)),
    ip_address String CODEC(ZSTD(1)),
    identity String CODEC(ZSTD(1)),
    correlation_id String CODEC(ZSTD(1)),
    resource_id LowCardinality(String),
    location LowCardinality(String),

    INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_correlation_id correlation_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_ip ip TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_ip_address ip_address TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_stored_at stored_at TYPE minmax GRANULARITY 1
)
ENGINE = {{replacing "other_events" "version"}}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant_id, occurred_at, id)
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, min_bytes_for_wide_part = 268435456;
{{distributed "other_events" "sipHash64(id)"}}
