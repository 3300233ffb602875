-- Dead letters: DeadLetter of entraflow.event.v1, what services gave up on and why. One row for each
-- failed delivery, the latest of its failures; without partitions, since a failure's time is no key.
CREATE TABLE IF NOT EXISTS {{local "dead_letters"}}{{on_cluster}} (
    id String CODEC(ZSTD(1)),
    failed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    stored_at DateTime64(3, 'UTC') COMMENT 'when the sink took it, retention counts from here' CODEC(Delta, ZSTD(1)),
    dead_sequence UInt64 COMMENT 'sequence in the stream DEAD' CODEC(Delta, ZSTD(1)),
    service LowCardinality(String),
    origin LowCardinality(String),
    tenant_id LowCardinality(String),
    integration LowCardinality(String),
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    attempts UInt32,
    raw String COMMENT 'the bytes as they came, empty if they are in raw_blob' CODEC(ZSTD(1)),
    raw_blob String COMMENT 'object of the bucket blobs that holds the bytes',

    hub_namespace LowCardinality(String),
    hub LowCardinality(String),
    hub_consumer_group LowCardinality(String),
    hub_partition LowCardinality(String),
    hub_sequence_number Nullable(Int64),
    hub_offset String,
    hub_record_index Nullable(Int64) COMMENT 'the place of the record in its message, -1 for the whole message',
    hub_enqueued_at Nullable(DateTime64(3, 'UTC')),

    stream LowCardinality(String),
    stream_sequence Nullable(UInt64),
    stream_subject String,
    stream_durable LowCardinality(String),
    `stream_headers.name` Array(LowCardinality(String)),
    `stream_headers.value` Array(String)
)
ENGINE = {{replacing "dead_letters" "failed_at"}}
ORDER BY id
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, min_bytes_for_wide_part = 268435456;
{{distributed "dead_letters" "sipHash64(id)"}}
