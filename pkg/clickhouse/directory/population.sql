-- Common table expressions about who is who in a directory; each is set-based over all tenants asked for. Their
-- parameters are those of Population.Params. Relations, in the order of their dependence:
--
-- roles_held          who holds or may activate which role: one row for each principal, role and scope
-- reached             groups below each principal of a role and each group of the rules, and these themselves
-- expanded            their members, direct or nested, and these themselves
-- privileged          who holds a role of a tier up to max_tier, in person or by a group
-- classified          every user with its classes, and why it has each
WITH RECURSIVE
roles_held AS (
    SELECT
        a.tenant_id AS tenant_id,
        a.principal_id AS principal_id,
        if(any(d.template_id) != '', any(d.template_id), a.role_definition_id) AS template_id,
        a.role_definition_id AS role_definition_id,
        any(d.display_name) AS role_name,
        if(a.app_scope_id != '', a.app_scope_id, a.directory_scope_id) AS scope_id,
        multiIf(
            template_id IN {tier0_roles:Array(String)}, 0,
            template_id IN {tier1_roles:Array(String)}, 1,
            template_id IN {tier2_roles:Array(String)}, 2,
            any(d.is_privileged) = true, 1,
            any(d.is_built_in) = false AND arrayExists(
                action -> NOT endsWith(lower(action), '/read') AND match(lower(action), {writes:String}),
                any(d.allowed_actions)), 1,
            255) AS tier,
        -- A role_assignment does not say that it was activated, but its schedule does.
        if(countIf(a.object = 'role_schedule') > 0,
            arraySort(groupUniqArrayIf(a.holding, a.object != 'role_assignment')),
            arraySort(groupUniqArray(a.holding))) AS holdings
    FROM (
        SELECT *, multiIf(object = 'role_eligibility', 'eligible', starts_at > {now:DateTime64(3, 'UTC')}, 'scheduled',
            assignment_type = 'Activated', 'activated', 'active') AS holding
        FROM role_assignments
        WHERE (empty({tenants:Array(String)}) OR tenant_id IN {tenants:Array(String)})
            AND (ends_at IS NULL OR ends_at > {now:DateTime64(3, 'UTC')})
    ) AS a
    LEFT JOIN (
        SELECT * FROM role_definitions WHERE empty({tenants:Array(String)}) OR tenant_id IN {tenants:Array(String)}
    ) AS d ON d.tenant_id = a.tenant_id AND d.id = a.role_definition_id
    GROUP BY a.tenant_id, a.principal_id, a.role_definition_id, scope_id
),
reached AS (
    SELECT tenant_id, root, root AS node, toUInt8(0) AS depth FROM (
        SELECT tenant_id, principal_id AS root FROM roles_held
        UNION DISTINCT
        SELECT tenant_id, id AS root FROM groups
        WHERE (empty({tenants:Array(String)}) OR tenant_id IN {tenants:Array(String)}) AND id IN {non_human_groups:Array(String)}
    )
    UNION ALL
    -- A cycle comes round until the bound; what it finds then is what it had.
    SELECT DISTINCT r.tenant_id, r.root, e.member_id, toUInt8(r.depth + 1)
    FROM reached AS r
    JOIN group_edges AS e ON e.tenant_id = r.tenant_id AND e.group_id = r.node
    WHERE r.depth < {max_depth:UInt8}
),
expanded AS (
    SELECT tenant_id, root, found.1 AS principal_id, min(found.2) AS depth FROM (
        SELECT r.tenant_id AS tenant_id, r.root AS root, arrayJoin(arrayConcat([(r.node, r.depth)], arrayMap(id -> (id, toUInt8(r.depth + 1)),
            arrayFilter((id, kind) -> kind != 'group', s.member_ids, s.member_kinds)))) AS found
        FROM (
            SELECT * FROM group_shards WHERE empty({tenants:Array(String)}) OR tenant_id IN {tenants:Array(String)}
        ) AS s
        RIGHT JOIN (SELECT tenant_id, root, node, min(depth) AS depth FROM reached GROUP BY ALL) AS r
            ON r.tenant_id = s.tenant_id AND r.node = s.group_id
    )
    GROUP BY tenant_id, root, principal_id
),
privileged AS (
    SELECT e.tenant_id AS tenant_id, e.principal_id AS principal_id, h.template_id AS template_id,
        h.role_definition_id AS role_definition_id, if(h.role_name = '', h.template_id, h.role_name) AS role_name,
        h.tier AS tier, h.scope_id AS scope_id, h.holdings AS holdings,
        if(e.depth = 0, '', e.root) AS via_group_id, e.depth AS depth
    FROM expanded AS e
    JOIN roles_held AS h ON h.tenant_id = e.tenant_id AND h.principal_id = e.root
    WHERE h.tier <= {max_tier:UInt8}
),
classified AS (
    SELECT u.tenant_id AS tenant_id, u.id AS id,
        arrayConcat(
            if(u.user_type = 'Guest', [('guest', 'user type Guest')], [('member', if(u.user_type = '', 'no user type', concat('user type ', u.user_type)))]),
            arraySort(arrayMap(reason -> ('admin', reason), p.roles)),
            if(is_emergency, [('emergency_access', 'declared')], []),
            if(m.purpose = 'shared', [('shared_mailbox', 'purpose of the mailbox')], []),
            if(usage.recipient = 'shared', [('shared_mailbox', 'mailbox usage report')], []),
            if(m.purpose IN ('room', 'equipment'), [('resource', concat('mailbox of ', m.purpose))], []),
            if(u.is_resource_account = true, [('resource', 'resource account')], []),
            if(is_non_human, arrayMap(reason -> ('non_human', reason), arrayConcat(certain, signs)), []),
            if(u.account_enabled = false, [('disabled', 'account disabled')], []),
            if(u.on_premises_sync_enabled = true, [('synced', 'comes from an on-premises directory')], [])
        ) AS reasons,
        arrayDistinct(arrayMap(r -> r.1, reasons)) AS classes,
        u.id IN {emergency:Array(String)} OR u.user_key IN {emergency:Array(String)} AS is_emergency,
        arrayConcat(
            if(u.id IN {non_human:Array(String)} OR u.user_key IN {non_human:Array(String)}, ['declared'], []),
            arraySort(arrayMap(name -> concat('member of ', name), p.groups)),
            if(p.synchronises OR u.user_key LIKE 'sync\\_%' OR u.user_key LIKE 'adtoaadsyncserviceaccount%',
                ['synchronises an on-premises directory'], [])
        ) AS certain,
        arrayConcat(
            arrayMap(pattern -> concat('named ', pattern.1), arraySlice(arrayFilter(
                pattern -> u.user_key LIKE pattern.2 OR splitByChar('@', u.user_key)[1] LIKE pattern.2 OR lowerUTF8(u.display_name) LIKE pattern.2,
                arrayZip({non_human_names:Array(String)}, {non_human_patterns:Array(String)})), 1, 1)),
            if(u.manager_id = '' AND u.employee_id = '' AND u.department = '' AND (u.mail = '' OR empty(u.licence_sku_ids)),
                ['no manager, employee id, department, or mail and licence'], []),
            if(has(u.password_policies, 'DisablePasswordExpiration'), ['password never expires'], []),
            if(a.last_non_interactive_sign_in_at IS NOT NULL AND a.last_sign_in_at IS NULL, ['never signed in itself'], [])
        ) AS signs,
        -- Accounts for emergencies look just like those of services, and guests of other tenants have no manager here.
        NOT is_emergency AND (notEmpty(certain) OR (u.user_type != 'Guest' AND m.purpose NOT IN ('shared', 'room', 'equipment')
            AND usage.recipient != 'shared' AND length(signs) >= {non_human_signs:UInt8})) AS is_non_human
    FROM (
        SELECT * FROM users
        WHERE (empty({tenants:Array(String)}) OR tenant_id IN {tenants:Array(String)})
            AND (empty({user_ids:Array(String)}) OR id IN {user_ids:Array(String)})
    ) AS u
    LEFT JOIN (
        SELECT tenant_id, id, purpose FROM mailboxes
        WHERE object = 'mailbox' AND (empty({tenants:Array(String)}) OR tenant_id IN {tenants:Array(String)})
    ) AS m ON m.tenant_id = u.tenant_id AND m.id = u.id
    LEFT JOIN (
        -- The report knows users by their sign-in names.
        SELECT tenant_id, lower(id) AS user_key, lower(JSONExtractString(raw, 'recipientType')) AS recipient FROM directory_current FINAL
        WHERE object = 'mailbox_usage' AND NOT deleted AND (empty({tenants:Array(String)}) OR tenant_id IN {tenants:Array(String)})
    ) AS usage ON usage.tenant_id = u.tenant_id AND usage.user_key = u.user_key
    LEFT JOIN (
        SELECT tenant_id, id, last_sign_in_at, last_non_interactive_sign_in_at FROM user_activity
        WHERE empty({tenants:Array(String)}) OR tenant_id IN {tenants:Array(String)}
    ) AS a ON a.tenant_id = u.tenant_id AND a.id = u.id
    LEFT JOIN (
        SELECT e.tenant_id AS tenant_id, e.principal_id AS principal_id,
            groupUniqArrayIf(concat(if(h.role_name = '', h.template_id, h.role_name), ' (', arrayStringConcat(h.holdings, ', '),
                if(e.depth = 0, '', concat(', by ', g.name)), if(h.scope_id IN ('', '/'), '', ', scoped'), ')'),
                h.template_id != '' AND h.tier <= {max_tier:UInt8}) AS roles,
            groupUniqArrayIf(g.name, e.depth > 0 AND e.root IN {non_human_groups:Array(String)}) AS groups,
            max(h.template_id IN {sync_roles:Array(String)}) AS synchronises
        FROM expanded AS e
        LEFT JOIN roles_held AS h ON h.tenant_id = e.tenant_id AND h.principal_id = e.root
        LEFT JOIN (
            SELECT tenant_id, id, if(display_name = '', id, display_name) AS name FROM groups
            WHERE empty({tenants:Array(String)}) OR tenant_id IN {tenants:Array(String)}
        ) AS g ON g.tenant_id = e.tenant_id AND g.id = e.root
        GROUP BY tenant_id, principal_id
    ) AS p ON p.tenant_id = u.tenant_id AND p.principal_id = u.id
)
