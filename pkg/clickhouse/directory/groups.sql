-- groups_of (id, depth): the groups that an object of a tenant is a member of, however nested, once each. depth 1 is
-- direct.
WITH RECURSIVE
above AS (
    SELECT group_id AS node, toUInt8(1) AS depth FROM group_shards
    WHERE tenant_id = {tenant:String} AND has(member_ids, {member_id:String})
    UNION ALL
    SELECT DISTINCT e.group_id, toUInt8(a.depth + 1)
    FROM above AS a
    JOIN (SELECT group_id, member_id FROM group_edges WHERE tenant_id = {tenant:String}) AS e ON e.member_id = a.node
    WHERE a.depth < {max_depth:UInt8}
),
groups_of AS (SELECT node AS id, min(depth) AS depth FROM above GROUP BY node)
