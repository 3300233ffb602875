-- Users and what is known of each, newest states as in directory_current.
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
CREATE TABLE IF NOT EXISTS {{local "users_current"}}{{on_cluster}} ({{template "object"}}
    user_principal_name String CODEC(ZSTD(1)),
    user_key String COMMENT 'user_principal_name in lower case, to search by' CODEC(ZSTD(1)),
    given_name String CODEC(ZSTD(1)),
    surname String CODEC(ZSTD(1)),
    mail String CODEC(ZSTD(1)),
    other_mails Array(String) CODEC(ZSTD(1)),
    proxy_addresses Array(String) COMMENT 'with their protocol: SMTP:a@b' CODEC(ZSTD(1)),
    user_type LowCardinality(String) COMMENT 'Member or Guest',
    account_enabled Nullable(Bool),
    creation_type LowCardinality(String),
    external_user_state LowCardinality(String) COMMENT 'PendingAcceptance or Accepted, of invited guests',
    external_user_state_changed_at Nullable(DateTime64(3, 'UTC')),
    created_at Nullable(DateTime64(3, 'UTC')),
    deleted_at Nullable(DateTime64(3, 'UTC')),
    last_password_change_at Nullable(DateTime64(3, 'UTC')),
    sessions_valid_from Nullable(DateTime64(3, 'UTC')) COMMENT 'tokens from before are void',
    password_policies Array(LowCardinality(String)),
    on_premises_sync_enabled Nullable(Bool),
    on_premises_sam_account_name String CODEC(ZSTD(1)),
    on_premises_domain_name LowCardinality(String),
    on_premises_immutable_id String CODEC(ZSTD(1)),
    employee_id String CODEC(ZSTD(1)),
    employee_type LowCardinality(String),
    department LowCardinality(String),
    job_title LowCardinality(String),
    company_name LowCardinality(String),
    office_location LowCardinality(String),
    city LowCardinality(String),
    country LowCardinality(String),
    usage_location LowCardinality(String),
    preferred_language LowCardinality(String),
    mobile_phone String CODEC(ZSTD(1)),
    business_phones Array(String) CODEC(ZSTD(1)),
    licence_sku_ids Array(LowCardinality(String)),
    certificate_user_ids Array(String) COMMENT 'what certificates may name' CODEC(ZSTD(1)),
    manager_id String CODEC(ZSTD(1)),
    is_resource_account Nullable(Bool),
    mail_nickname String CODEC(ZSTD(1)),
    `identities.sign_in_type` Array(LowCardinality(String)),
    `identities.issuer` Array(LowCardinality(String)),
    `identities.issuer_assigned_id` Array(String) CODEC(ZSTD(1))
)
ENGINE = {{replacing "users_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "users_current" "sipHash64(id)"}}

-- When users signed in last. id is the user's.
CREATE TABLE IF NOT EXISTS {{local "user_activity_current"}}{{on_cluster}} ({{template "object"}}
    last_sign_in_at Nullable(DateTime64(3, 'UTC')) COMMENT 'failed ones too',
    last_non_interactive_sign_in_at Nullable(DateTime64(3, 'UTC')) COMMENT 'failed ones too',
    last_successful_sign_in_at Nullable(DateTime64(3, 'UTC')) COMMENT 'kept since December 2023, so NULL is not never'
)
ENGINE = {{replacing "user_activity_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "user_activity_current" "sipHash64(id)"}}

-- Which methods users registered. id is the user's; disabled users are missing.
CREATE TABLE IF NOT EXISTS {{local "authentication_registrations_current"}}{{on_cluster}} ({{template "object"}}
    user_principal_name String CODEC(ZSTD(1)),
    is_admin Nullable(Bool) COMMENT 'Microsoft\'s notion, not ours',
    is_mfa_capable Nullable(Bool) COMMENT 'registered and allowed',
    is_mfa_registered Nullable(Bool),
    is_passwordless_capable Nullable(Bool),
    is_sspr_capable Nullable(Bool),
    is_sspr_enabled Nullable(Bool),
    is_sspr_registered Nullable(Bool),
    is_system_preferred_enabled Nullable(Bool),
    methods Array(LowCardinality(String)) COMMENT 'registered methods; certificates are never among them',
    system_preferred_methods Array(LowCardinality(String)),
    preferred_secondary_method LowCardinality(String),
    last_updated_at Nullable(DateTime64(3, 'UTC')) COMMENT 'the report is hours old'
)
ENGINE = {{replacing "authentication_registrations_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "authentication_registrations_current" "sipHash64(id)"}}

-- Mailboxes: their settings (object mailbox) and the inbox rules that send mail elsewhere (mailbox_rules). id is the user's.
CREATE TABLE IF NOT EXISTS {{local "mailboxes_current"}}{{on_cluster}} ({{template "object"}}
    purpose LowCardinality(String) COMMENT 'user, shared, room, equipment, linked or others',
    time_zone LowCardinality(String),
    automatic_replies LowCardinality(String),
    `forwarding.id` Array(String) CODEC(ZSTD(1)),
    `forwarding.display_name` Array(String) CODEC(ZSTD(1)),
    `forwarding.is_enabled` Array(Nullable(Bool)),
    `forwarding.action` Array(LowCardinality(String)),
    `forwarding.addresses` Array(Array(String)) CODEC(ZSTD(1))
)
ENGINE = {{replacing "mailboxes_current" "version"}}
ORDER BY (tenant_id, object, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "mailboxes_current" "sipHash64(id)"}}
