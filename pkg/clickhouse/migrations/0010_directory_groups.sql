-- Groups, and their members in shards. Newest states as in directory_current.
{{define "object"}}
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
{{end}}
CREATE TABLE IF NOT EXISTS {{local "groups_current"}}{{on_cluster}} ({{template "object"}}
    description String CODEC(ZSTD(1)),
    mail String CODEC(ZSTD(1)),
    mail_nickname String CODEC(ZSTD(1)),
    mail_enabled Nullable(Bool),
    security_enabled Nullable(Bool),
    group_types Array(LowCardinality(String)) COMMENT 'Unified, DynamicMembership',
    is_assignable_to_role Nullable(Bool),
    membership_rule String CODEC(ZSTD(1)),
    membership_rule_processing_state LowCardinality(String),
    visibility LowCardinality(String),
    on_premises_sync_enabled Nullable(Bool),
    on_premises_sam_account_name String CODEC(ZSTD(1)),
    created_at Nullable(DateTime64(3, 'UTC')),
    expires_at Nullable(DateTime64(3, 'UTC')),
    licence_sku_ids Array(LowCardinality(String)),
    classification LowCardinality(String),
    `owners.id` Array(String) CODEC(ZSTD(1)),
    `owners.kind` Array(LowCardinality(String))
)
ENGINE = {{replacing "groups_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "groups_current" "sipHash64(id)"}}

-- One row for each shard: the direct members of a group are those of all its shards, each once.
CREATE TABLE IF NOT EXISTS {{local "group_members_current"}}{{on_cluster}} ({{template "object"}}
    group_id String CODEC(ZSTD(1)),
    shard UInt32,
    shards UInt32 COMMENT 'in how many shards the members are; only shard 0 says it',
    splitting_to UInt32 COMMENT 'in how many they will be; a member may be in two shards meanwhile',
    `members.id` Array(String) CODEC(ZSTD(1)),
    `members.kind` Array(LowCardinality(String)) COMMENT 'user, group, device, service_principal, contact or other',
    member_groups Array(String) MATERIALIZED arrayFilter((id, kind) -> kind = 'group', `members.id`, `members.kind`)
        COMMENT 'groups among the members: few, so that nested groups are followed without reading all members' CODEC(ZSTD(1))
)
ENGINE = {{replacing "group_members_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "group_members_current" "sipHash64(id)"}}
