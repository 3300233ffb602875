-- Roles and policies, newest states as in directory_current. Ids of different kinds of object may be equal.
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
-- object is role_definition or directory_role.
CREATE TABLE IF NOT EXISTS {{local "role_definitions_current"}}{{on_cluster}} ({{template "object"}}
    template_id LowCardinality(String) COMMENT 'the same in every tenant for a built-in role',
    is_built_in Nullable(Bool),
    is_enabled Nullable(Bool),
    is_privileged Nullable(Bool) COMMENT 'Microsoft\'s mark',
    allowed_actions Array(LowCardinality(String))
)
ENGINE = {{replacing "role_definitions_current" "version"}}
ORDER BY (tenant_id, object, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "role_definitions_current" "sipHash64(id)"}}

-- object is role_assignment (held), role_schedule (held for a time or by activation) or role_eligibility (may
-- be activated).
CREATE TABLE IF NOT EXISTS {{local "role_assignments_current"}}{{on_cluster}} ({{template "object"}}
    role_definition_id String CODEC(ZSTD(1)),
    principal_id String CODEC(ZSTD(1)),
    directory_scope_id String COMMENT '/ is the whole tenant' CODEC(ZSTD(1)),
    app_scope_id String CODEC(ZSTD(1)),
    assignment_type LowCardinality(String) COMMENT 'of a role_schedule: Assigned or Activated',
    member_type LowCardinality(String) COMMENT 'Direct, Group or Inherited',
    starts_at Nullable(DateTime64(3, 'UTC')),
    ends_at Nullable(DateTime64(3, 'UTC'))
)
ENGINE = {{replacing "role_assignments_current" "version"}}
ORDER BY (tenant_id, object, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "role_assignments_current" "sipHash64(id)"}}

-- object is conditional_access_policy, named_location, policy, authentication_strength or cross_tenant_partner.
CREATE TABLE IF NOT EXISTS {{local "policies_current"}}{{on_cluster}} ({{template "object"}}
    state LowCardinality(String) COMMENT 'enabled, disabled or enabledForReportingButNotEnforced',
    type LowCardinality(String),
    created_at Nullable(DateTime64(3, 'UTC')),
    modified_at Nullable(DateTime64(3, 'UTC')),
    raw String COMMENT 'the policy as Graph has it' CODEC(ZSTD(1))
)
ENGINE = {{replacing "policies_current" "version"}}
ORDER BY (tenant_id, object, id)
SETTINGS min_bytes_for_wide_part = 268435456;
{{distributed "policies_current" "sipHash64(id)"}}
