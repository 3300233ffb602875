-- Devices of Entra ID and of Intune, newest states as in directory_current.
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
CREATE TABLE IF NOT EXISTS {{local "devices_current"}}{{on_cluster}} ({{template "object"}}
    device_id String COMMENT 'the id that sign-ins name' CODEC(ZSTD(1)),
    account_enabled Nullable(Bool),
    operating_system LowCardinality(String),
    operating_system_version LowCardinality(String),
    trust_type LowCardinality(String) COMMENT 'AzureAd (joined), ServerAd (hybrid joined) or Workplace (registered)',
    is_compliant Nullable(Bool),
    is_managed Nullable(Bool),
    is_rooted Nullable(Bool),
    management_type LowCardinality(String),
    profile_type LowCardinality(String),
    manufacturer LowCardinality(String),
    model LowCardinality(String),
    device_ownership LowCardinality(String),
    enrollment_type LowCardinality(String),
    on_premises_sync_enabled Nullable(Bool),
    registered_at Nullable(DateTime64(3, 'UTC')),
    approximate_last_sign_in_at Nullable(DateTime64(3, 'UTC')),
    compliance_expires_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = {{replacing "devices_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "devices_current" "sipHash64(id)"}}

CREATE TABLE IF NOT EXISTS {{local "managed_devices_current"}}{{on_cluster}} ({{template "object"}}
    azure_ad_device_id String COMMENT 'device_id in devices_current' CODEC(ZSTD(1)),
    device_name String CODEC(ZSTD(1)),
    user_id String CODEC(ZSTD(1)),
    user_principal_name String CODEC(ZSTD(1)),
    operating_system LowCardinality(String),
    os_version LowCardinality(String),
    compliance_state LowCardinality(String),
    compliance_grace_period_expires_at Nullable(DateTime64(3, 'UTC')),
    management_agent LowCardinality(String),
    owner_type LowCardinality(String),
    jail_broken LowCardinality(String) COMMENT 'True, False or Unknown',
    is_encrypted Nullable(Bool),
    is_supervised Nullable(Bool),
    manufacturer LowCardinality(String),
    model LowCardinality(String),
    serial_number String CODEC(ZSTD(1)),
    enrolled_at Nullable(DateTime64(3, 'UTC')),
    last_sync_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = {{replacing "managed_devices_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "managed_devices_current" "sipHash64(id)"}}
