-- What is there now: the tables of newest states without tombstones, and what checks ask of them in every
-- other line. Made anew when this text changes; a migration that adds a column changes it too, since a view
-- knows the columns of its day.
{{define "live"}}CREATE OR REPLACE VIEW {{.}}{{on_cluster}} AS SELECT * EXCEPT (deleted) FROM {{.}}_current FINAL WHERE NOT deleted{{end}}
{{template "live" "users"}};
{{template "live" "user_activity"}};
{{template "live" "authentication_registrations"}};
{{template "live" "mailboxes"}};
{{template "live" "groups"}};
{{template "live" "devices"}};
{{template "live" "managed_devices"}};
{{template "live" "applications"}};
{{template "live" "service_principals"}};
{{template "live" "service_principal_activity"}};
{{template "live" "owners"}};
{{template "live" "app_role_assignments"}};
{{template "live" "oauth2_grants"}};
{{template "live" "role_definitions"}};
{{template "live" "role_assignments"}};
{{template "live" "policies"}};

-- Shards of the members of groups. A group that was deleted has no members, even if it can be restored; one that is
-- not known yet may have.
{{define "there"}}WHERE NOT deleted AND (tenant_id, group_id) GLOBAL NOT IN (SELECT tenant_id, id FROM groups_current FINAL WHERE deleted){{end}}
CREATE OR REPLACE VIEW group_shards{{on_cluster}} AS
SELECT tenant_id, group_id, shard, `members.id` AS member_ids, `members.kind` AS member_kinds
FROM group_members_current FINAL
{{template "there"}};

-- Who is a direct member of what, each member once: one may be in two shards while a group is split.
CREATE OR REPLACE VIEW memberships{{on_cluster}} AS
SELECT DISTINCT tenant_id, group_id, member_id, member_kind
FROM group_members_current FINAL
ARRAY JOIN `members.id` AS member_id, `members.kind` AS member_kind
{{template "there"}};

-- Those of memberships whose member is a group.
CREATE OR REPLACE VIEW group_edges{{on_cluster}} AS
SELECT DISTINCT tenant_id, group_id, member_id
FROM group_members_current FINAL
ARRAY JOIN member_groups AS member_id
{{template "there"}};

-- Secrets and certificates of applications and service principals. One SAML certificate is several: they have the
-- same custom_key_identifier and end.
{{define "keys"}}
    `credentials.key_id` AS key_id, `credentials.kind` AS kind, `credentials.display_name` AS credential_name,
    `credentials.hint` AS hint, `credentials.usage` AS usage, `credentials.type` AS type,
    `credentials.custom_key_identifier` AS custom_key_identifier,
    `credentials.starts_at` AS starts_at, `credentials.ends_at` AS ends_at{{end}}
CREATE OR REPLACE VIEW credentials{{on_cluster}} AS
SELECT tenant_id, object, id AS owner_id, app_id, display_name, '' AS service_principal_type, '' AS app_owner_organization_id,
    key_id, kind, credential_name, hint, usage, type, custom_key_identifier, starts_at, ends_at
FROM applications_current FINAL
ARRAY JOIN{{template "keys"}}
WHERE NOT deleted
UNION ALL
SELECT tenant_id, object, id AS owner_id, app_id, display_name, service_principal_type, app_owner_organization_id,
    key_id, kind, credential_name, hint, usage, type, custom_key_identifier, starts_at, ends_at
FROM service_principals_current FINAL
ARRAY JOIN{{template "keys"}}
WHERE NOT deleted;
