-- members (id, kind, depth): the members of a group of a tenant, however nested, once each. depth 1 is a direct member.
WITH RECURSIVE
below AS (
    SELECT {group_id:String} AS node, toUInt8(0) AS depth
    UNION ALL
    SELECT DISTINCT e.member_id, toUInt8(b.depth + 1)
    FROM below AS b
    JOIN (SELECT group_id, member_id FROM group_edges WHERE tenant_id = {tenant:String}) AS e ON e.group_id = b.node
    WHERE b.depth < {max_depth:UInt8}
),
members AS (
    SELECT found.1 AS id, any(found.2) AS kind, toUInt8(min(depth + 1)) AS depth
    FROM (
        SELECT b.depth AS depth, arrayJoin(arrayZip(s.member_ids, s.member_kinds)) AS found
        FROM (SELECT group_id, member_ids, member_kinds FROM group_shards WHERE tenant_id = {tenant:String}) AS s
        JOIN (SELECT node, min(depth) AS depth FROM below GROUP BY node) AS b ON b.node = s.group_id
    )
    GROUP BY id
)
