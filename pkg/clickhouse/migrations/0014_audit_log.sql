-- The audit log: AuditEntry of entraflow.control.v1, a call of the API each. An entry never changes, so rows of
-- one key are one entry that was stored more than once. Most questions are about the newest, whatever the tenant.
CREATE TABLE IF NOT EXISTS {{local "audit_log"}}{{on_cluster}} (
    time DateTime64(3, 'UTC') COMMENT 'when the call began' CODEC(Delta, ZSTD(1)),
    id String COMMENT 'the request id that the caller got' CODEC(ZSTD(1)),
    stored_at DateTime64(3, 'UTC') COMMENT 'when the sink took it, retention counts from here' CODEC(Delta, ZSTD(1)),
    stream_sequence UInt64 COMMENT 'sequence in the stream AUDIT' CODEC(Delta, ZSTD(1)),

    action LowCardinality(String) COMMENT 'service and method, as in IntegrationService-CreateIntegration',
    actor LowCardinality(String) COMMENT 'empty if nobody the gateway knows',
    actor_display_name LowCardinality(String),
    credential LowCardinality(String) COMMENT 'bootstrap_token, oidc, api_token or certificate, empty if there was none',
    api_token LowCardinality(String),
    role LowCardinality(String) COMMENT 'read_only, help_desk or admin, empty if none let the caller in',
    tenant_id LowCardinality(String) COMMENT 'empty for none, several or all',
    tenant_ids Array(LowCardinality(String)) COMMENT 'several tenants',
    target String COMMENT 'what was named' CODEC(ZSTD(1)),
    changed Array(LowCardinality(String)) COMMENT 'paths of an update mask',
    code LowCardinality(String) COMMENT 'how gRPC names the outcome, OK is one',
    reason LowCardinality(String),
    ip IPv6 COMMENT 'address as a number for ranges, IPv4 mapped, :: if there is none' CODEC(ZSTD(1)),
    address String CODEC(ZSTD(1)),
    transport LowCardinality(String) COMMENT 'grpc or rest',
    user_agent String CODEC(ZSTD(1)),
    request_id String COMMENT 'the one that the client gave' CODEC(ZSTD(1)),

    INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_actor lowerUTF8(actor) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_actor_display_name lowerUTF8(actor_display_name) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_target target TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_ip ip TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{replacing "audit_log" "stored_at"}}
PARTITION BY toYYYYMM(time)
ORDER BY (time, id)
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, min_bytes_for_wide_part = 268435456;
{{distributed "audit_log" "sipHash64(id)"}}
