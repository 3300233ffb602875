-- Applications, what they may do and who owns them, newest states as in directory_current.
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
CREATE TABLE IF NOT EXISTS {{local "applications_current"}}{{on_cluster}} ({{template "object"}}
    app_id String CODEC(ZSTD(1)),
    sign_in_audience LowCardinality(String),
    publisher_domain LowCardinality(String),
    created_at Nullable(DateTime64(3, 'UTC')),
    identifier_uris Array(String) CODEC(ZSTD(1)),
    redirect_uris Array(String) CODEC(ZSTD(1)),
    is_fallback_public_client Nullable(Bool),
    disabled_by_microsoft String COMMENT 'why; empty: it is not' CODEC(ZSTD(1)),
    `credentials.key_id` Array(String) CODEC(ZSTD(1)),
    `credentials.kind` Array(LowCardinality(String)) COMMENT 'secret or certificate',
    `credentials.display_name` Array(String) CODEC(ZSTD(1)),
    `credentials.hint` Array(String) COMMENT 'first three characters of a secret' CODEC(ZSTD(1)),
    `credentials.usage` Array(LowCardinality(String)) COMMENT 'Verify or Sign',
    `credentials.type` Array(LowCardinality(String)),
    `credentials.custom_key_identifier` Array(String) COMMENT 'equal in the entries of one SAML certificate' CODEC(ZSTD(1)),
    `credentials.starts_at` Array(Nullable(DateTime64(3, 'UTC'))),
    `credentials.ends_at` Array(Nullable(DateTime64(3, 'UTC'))) COMMENT 'NULL: Graph did not say',
    `requested.resource_app_id` Array(LowCardinality(String)) COMMENT 'permissions asked for; they need not be granted',
    `requested.roles` Array(Array(String)) CODEC(ZSTD(1)),
    `requested.scopes` Array(Array(String)) CODEC(ZSTD(1))
)
ENGINE = {{replacing "applications_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "applications_current" "sipHash64(id)"}}

CREATE TABLE IF NOT EXISTS {{local "service_principals_current"}}{{on_cluster}} ({{template "object"}}
    app_id String CODEC(ZSTD(1)),
    app_display_name String CODEC(ZSTD(1)),
    service_principal_type LowCardinality(String) COMMENT 'Application, ManagedIdentity, Legacy, SocialIdp, …',
    account_enabled Nullable(Bool),
    app_role_assignment_required Nullable(Bool),
    app_owner_organization_id LowCardinality(String),
    sign_in_audience LowCardinality(String),
    preferred_single_sign_on_mode LowCardinality(String),
    names Array(String) CODEC(ZSTD(1)),
    tags Array(LowCardinality(String)),
    created_at Nullable(DateTime64(3, 'UTC')),
    verified_publisher LowCardinality(String) COMMENT 'empty: not verified',
    disabled_by_microsoft String COMMENT 'why; empty: it is not' CODEC(ZSTD(1)),
    alternative_names Array(String) CODEC(ZSTD(1)),
    `credentials.key_id` Array(String) CODEC(ZSTD(1)),
    `credentials.kind` Array(LowCardinality(String)) COMMENT 'secret or certificate',
    `credentials.display_name` Array(String) CODEC(ZSTD(1)),
    `credentials.hint` Array(String) COMMENT 'first three characters of a secret' CODEC(ZSTD(1)),
    `credentials.usage` Array(LowCardinality(String)) COMMENT 'Verify or Sign',
    `credentials.type` Array(LowCardinality(String)),
    `credentials.custom_key_identifier` Array(String) COMMENT 'equal in the entries of one SAML certificate' CODEC(ZSTD(1)),
    `credentials.starts_at` Array(Nullable(DateTime64(3, 'UTC'))),
    `credentials.ends_at` Array(Nullable(DateTime64(3, 'UTC'))) COMMENT 'NULL: Graph did not say',
    `app_roles.id` Array(String) COMMENT 'application permissions that it offers' CODEC(ZSTD(1)),
    `app_roles.value` Array(String) CODEC(ZSTD(1)),
    `app_roles.display_name` Array(String) CODEC(ZSTD(1)),
    `app_roles.allowed_member_types` Array(Array(String)) CODEC(ZSTD(1))
)
ENGINE = {{replacing "service_principals_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "service_principals_current" "sipHash64(id)"}}

CREATE TABLE IF NOT EXISTS {{local "service_principal_activity_current"}}{{on_cluster}} ({{template "object"}}
    app_id String CODEC(ZSTD(1)),
    last_sign_in_at Nullable(DateTime64(3, 'UTC')),
    delegated_client_at Nullable(DateTime64(3, 'UTC')),
    delegated_resource_at Nullable(DateTime64(3, 'UTC')),
    application_client_at Nullable(DateTime64(3, 'UTC')),
    application_resource_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = {{replacing "service_principal_activity_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "service_principal_activity_current" "sipHash64(id)"}}

CREATE TABLE IF NOT EXISTS {{local "owners_current"}}{{on_cluster}} ({{template "object"}}
    owned_object LowCardinality(String) COMMENT 'application or service_principal; id is its own',
    `owners.id` Array(String) CODEC(ZSTD(1)),
    `owners.kind` Array(LowCardinality(String))
)
ENGINE = {{replacing "owners_current" "version"}}
ORDER BY (tenant_id, object, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "owners_current" "sipHash64(id)"}}

CREATE TABLE IF NOT EXISTS {{local "app_role_assignments_current"}}{{on_cluster}} ({{template "object"}}
    app_role_id String COMMENT 'all zeros: access without a role' CODEC(ZSTD(1)),
    principal_id String CODEC(ZSTD(1)),
    principal_type LowCardinality(String) COMMENT 'User, Group or ServicePrincipal',
    principal_display_name String CODEC(ZSTD(1)),
    resource_id String CODEC(ZSTD(1)),
    resource_display_name String CODEC(ZSTD(1)),
    created_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = {{replacing "app_role_assignments_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "app_role_assignments_current" "sipHash64(id)"}}

CREATE TABLE IF NOT EXISTS {{local "oauth2_grants_current"}}{{on_cluster}} ({{template "object"}}
    client_id String COMMENT 'the service principal that may act' CODEC(ZSTD(1)),
    consent_type LowCardinality(String) COMMENT 'AllPrincipals or Principal',
    principal_id String COMMENT 'the user it may act for; empty: any' CODEC(ZSTD(1)),
    resource_id String CODEC(ZSTD(1)),
    scopes Array(LowCardinality(String))
)
ENGINE = {{replacing "oauth2_grants_current" "version"}}
ORDER BY (tenant_id, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "oauth2_grants_current" "sipHash64(id)"}}
