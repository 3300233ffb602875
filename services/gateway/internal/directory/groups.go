package directory

import (
	"context"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	population "github.com/entraflow/entraflow/pkg/clickhouse/directory"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
)

const groupsQuery = "SELECT tenant_id, id, display_name, description, mail, group_types, security_enabled, is_assignable_to_role," +
	" on_premises_sync_enabled, created_at, toUInt32(length(owners.id)), lowerUTF8(display_name) AS key FROM groups WHERE " + inTenants +
	" AND (tenant_id, key, id) > ({after_tenant:String}, {after_key:String}, {after_id:String})" +
	" AND ({text:String} = '' OR id = lowerUTF8({text:String}) OR positionCaseInsensitiveUTF8(display_name, {text:String}) > 0" +
	" OR positionCaseInsensitiveUTF8(mail, {text:String}) > 0)" +
	" AND (NOT {assignable:Bool} OR is_assignable_to_role = true)" +
	" ORDER BY tenant_id, key, id LIMIT {limit:UInt64}"

// countsQuery counts members; one may be in two shards while a group is split.
const countsQuery = "SELECT tenant_id, group_id, uniqExactArray(member_ids) FROM group_shards WHERE " + inTenants +
	" AND group_id IN {groups:Array(String)} GROUP BY tenant_id, group_id"

// ListGroups returns a page of groups.
func (s *Server) ListGroups(ctx context.Context, req *controlv1.ListGroupsRequest) (*controlv1.ListGroupsResponse, error) {
	tenants, err := caller.Tenants(ctx, req.GetTenantIds())
	if err != nil {
		return nil, err
	}
	cursor, err := s.open(req, tenants, 3)
	if err != nil {
		return nil, err
	}
	size := pageSize(req)
	answer := &controlv1.ListGroupsResponse{}
	var keys []string
	err = s.query(ctx, statement{name: "groups", sql: groupsQuery, params: []any{
		clickhouse.Named("tenants", emptied(tenants)),
		clickhouse.Named("after_tenant", cursor[0]), clickhouse.Named("after_key", cursor[1]), clickhouse.Named("after_id", cursor[2]),
		clickhouse.Named("text", req.GetText()), clickhouse.Named("assignable", req.GetAssignableToRole()), clickhouse.Named("limit", size+1),
	}}, func(rows driver.Rows) error {
		var (
			g       = &controlv1.DirectoryGroup{}
			created *time.Time
			key     string
		)
		err := rows.Scan(&g.TenantId, &g.Id, &g.DisplayName, &g.Description, &g.Mail, &g.GroupTypes, &g.SecurityEnabled,
			&g.IsAssignableToRole, &g.OnPremisesSyncEnabled, &created, &g.Owners, &key)
		g.CreatedAt = stamp(created)
		answer.Groups, keys = append(answer.Groups, g), append(keys, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	if n := cut(answer.GetGroups(), size, int(s.cfg.PageBytes)); n < len(keys) {
		answer.Groups = answer.GetGroups()[:n]
		last := answer.GetGroups()[n-1]
		if answer.NextPageToken, err = s.seal(req, tenants, []string{last.GetTenantId(), keys[n-1], last.GetId()}); err != nil {
			return nil, err
		}
	}
	return answer, s.countMembers(ctx, tenants, answer.GetGroups())
}

// countMembers fills in how many direct members groups have.
func (s *Server) countMembers(ctx context.Context, tenants []string, groups []*controlv1.DirectoryGroup) error {
	if len(groups) == 0 {
		return nil
	}
	byID, ids := map[[2]string]*controlv1.DirectoryGroup{}, make([]string, 0, len(groups))
	for _, g := range groups {
		byID[[2]string{g.GetTenantId(), g.GetId()}] = g
		ids = append(ids, g.GetId())
	}
	return s.query(ctx, statement{name: "counts", sql: countsQuery, params: []any{
		clickhouse.Named("tenants", emptied(tenants)), clickhouse.Named("groups", ids),
	}}, func(rows driver.Rows) error {
		var (
			id    [2]string
			count uint64
		)
		err := rows.Scan(&id[0], &id[1], &count)
		if g := byID[id]; g != nil {
			g.DirectMembers = count
		}
		return err
	})
}

const (
	groupQuery   = "SELECT tenant_id FROM groups WHERE " + inTenants + " AND id = {group_id:String} LIMIT 2"
	membersQuery = "SELECT id, kind, depth FROM members WHERE id > {after:String} ORDER BY id LIMIT {limit:UInt64}"
	namesQuery   = "SELECT id, any(name), any(upn), any(enabled) FROM (" +
		"SELECT id, display_name AS name, user_principal_name AS upn, account_enabled AS enabled FROM users" +
		" WHERE tenant_id = {tenant:String} AND id IN {ids:Array(String)}" +
		" UNION ALL SELECT id, display_name, '', NULL FROM groups WHERE tenant_id = {tenant:String} AND id IN {ids:Array(String)}" +
		" UNION ALL SELECT id, display_name, '', NULL FROM devices WHERE tenant_id = {tenant:String} AND id IN {ids:Array(String)}" +
		" UNION ALL SELECT id, display_name, '', NULL FROM service_principals WHERE tenant_id = {tenant:String} AND id IN {ids:Array(String)}" +
		") GROUP BY id"
)

// ListMembers returns a page of the members of a group.
func (s *Server) ListMembers(ctx context.Context, req *controlv1.ListMembersRequest) (*controlv1.ListMembersResponse, error) {
	tenants, err := caller.Tenants(ctx, named(req.GetTenantId()))
	if err != nil {
		return nil, err
	}
	cursor, err := s.open(req, tenants, 1)
	if err != nil {
		return nil, err
	}
	group := strings.ToLower(req.GetGroupId())
	tenant, err := one(s.texts(ctx, statement{name: "group", sql: groupQuery, params: []any{
		clickhouse.Named("tenants", emptied(tenants)), clickhouse.Named("group_id", group),
	}}))
	if err != nil {
		return nil, err
	}
	size := pageSize(req)
	answer := &controlv1.ListMembersResponse{}
	err = s.query(ctx, statement{name: "members", sql: population.MembersSQL + membersQuery, params: append(
		population.Members(tenant, group, !req.GetTransitive()), clickhouse.Named("after", cursor[0]), clickhouse.Named("limit", size+1),
	)}, func(rows driver.Rows) error {
		var (
			m     = &controlv1.DirectoryMember{}
			depth uint8
		)
		err := rows.Scan(&m.Id, &m.Kind, &depth)
		m.Depth = uint32(depth)
		answer.Members = append(answer.Members, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.nameMembers(ctx, tenant, answer.GetMembers()); err != nil {
		return nil, err
	}
	if n := cut(answer.GetMembers(), size, int(s.cfg.PageBytes)); n < len(answer.GetMembers()) {
		answer.Members = answer.GetMembers()[:n]
		answer.NextPageToken, err = s.seal(req, tenants, []string{answer.GetMembers()[n-1].GetId()})
	}
	return answer, err
}

// nameMembers fills in what members are called.
func (s *Server) nameMembers(ctx context.Context, tenant string, members []*controlv1.DirectoryMember) error {
	if len(members) == 0 {
		return nil
	}
	byID, ids := map[string]*controlv1.DirectoryMember{}, make([]string, 0, len(members))
	for _, m := range members {
		byID[m.GetId()] = m
		ids = append(ids, m.GetId())
	}
	return s.query(ctx, statement{name: "names", sql: namesQuery, params: []any{
		clickhouse.Named("tenant", tenant), clickhouse.Named("ids", ids),
	}}, func(rows driver.Rows) error {
		var (
			id string
			n  controlv1.DirectoryMember
		)
		err := rows.Scan(&id, &n.DisplayName, &n.UserPrincipalName, &n.AccountEnabled)
		if m := byID[id]; m != nil {
			m.DisplayName, m.UserPrincipalName, m.AccountEnabled = n.GetDisplayName(), n.GetUserPrincipalName(), n.AccountEnabled
		}
		return err
	})
}
