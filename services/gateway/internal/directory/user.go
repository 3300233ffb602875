package directory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"

	population "github.com/entraflow/entraflow/pkg/clickhouse/directory"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/caller"
)

// atOnce bounds the statements of one GetUser that run at the same time.
const atOnce = 4

const userQuery = "SELECT " + userColumns + " FROM users WHERE " + inTenants +
	" AND (id = {user:String} OR user_key = {user:String}) LIMIT 2"

// GetUser returns a user with all that belongs to it.
func (s *Server) GetUser(ctx context.Context, req *controlv1.GetUserRequest) (*controlv1.GetUserResponse, error) {
	tenants, err := caller.Tenants(ctx, named(req.GetTenantId()))
	if err != nil {
		return nil, err
	}
	found, err := s.users(ctx, statement{name: "user", sql: userQuery, params: []any{
		clickhouse.Named("tenants", emptied(tenants)), clickhouse.Named("user", strings.ToLower(req.GetUser())),
	}})
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(found))
	for _, u := range found {
		ids = append(ids, u.GetTenantId())
	}
	if _, err := one(ids, nil); err != nil {
		return nil, err
	}
	about := &profile{server: s, user: found[0], answer: &controlv1.GetUserResponse{User: found[0].DirectoryUser}}
	return about.answer, about.fill(ctx)
}

// named is a list of the name, or of nothing.
func named(tenant string) []string {
	if tenant == "" {
		return nil
	}
	return []string{tenant}
}

// profile puts together what belongs to a user.
type profile struct {
	server *Server
	user   user
	answer *controlv1.GetUserResponse
}

func (p *profile) fill(ctx context.Context) error {
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, fill := range []func(context.Context) error{
		p.fillClasses, p.fillRoles, p.fillGroups, p.fillAuthentication, p.fillOwned, p.fillAssignments,
		// Which devices are the user's is known from the sign-ins, too.
		func(ctx context.Context) error {
			if err := p.fillSignIns(ctx); err != nil {
				return err
			}
			return p.fillDevices(ctx)
		},
	} {
		group.Go(func() error { return fill(asking) })
	}
	return group.Wait()
}

// ask sends a statement about the user.
func (p *profile) ask(ctx context.Context, name, sql string, each func(driver.Rows) error, more ...any) error {
	return p.server.query(ctx, statement{name: name, sql: sql, params: append(more,
		clickhouse.Named("tenant", p.user.GetTenantId()), clickhouse.Named("user_id", p.user.GetId()),
		clickhouse.Named("limit", maxList))}, each)
}

func (p *profile) fillClasses(ctx context.Context) error {
	return p.server.classify(ctx, []string{p.user.GetTenantId()}, []user{p.user})
}

const groupsOfUser = `SELECT g.id, d.display_name, g.depth, d.is_assignable_to_role
	FROM groups_of AS g
	LEFT JOIN (SELECT id, display_name, is_assignable_to_role FROM groups WHERE tenant_id = {tenant:String}) AS d ON d.id = g.id
	ORDER BY g.depth, d.display_name, g.id LIMIT {limit:UInt64}`

func (p *profile) fillGroups(ctx context.Context) error {
	params := population.Groups(p.user.GetTenantId(), p.user.GetId())
	return p.ask(ctx, "groups_of", population.GroupsSQL+groupsOfUser, func(rows driver.Rows) error {
		var (
			g          = &controlv1.GroupMembership{}
			depth      uint8
			assignable *bool
		)
		err := rows.Scan(&g.GroupId, &g.DisplayName, &depth, &assignable)
		g.Depth, g.IsAssignableToRole = uint32(depth), assignable != nil && *assignable
		p.answer.Groups = append(p.answer.Groups, g)
		return err
	}, params...)
}

const rolesOfUser = `SELECT p.template_id, if(p.role_name = p.template_id, '', p.role_name), p.tier, p.holdings, p.scope_id, p.via_group_id, g.display_name
	FROM privileged AS p
	LEFT JOIN (SELECT id, display_name FROM groups WHERE tenant_id = {tenant:String}) AS g ON g.id = p.via_group_id
	WHERE p.principal_id = {user_id:String}
	ORDER BY p.tier, p.role_name, p.via_group_id, p.scope_id LIMIT {limit:UInt64}`

// maxTier is the greatest tier there is; what is above is in none.
const maxTier = 2

func (p *profile) fillRoles(ctx context.Context) error {
	who := p.server.population([]string{p.user.GetTenantId()})
	who.AllRoles = true
	return p.ask(ctx, "roles_of", population.PopulationSQL+rolesOfUser, func(rows driver.Rows) error {
		var (
			r    = &controlv1.RoleHolding{}
			tier uint8
		)
		err := rows.Scan(&r.RoleTemplateId, &r.DisplayName, &tier, &r.Holdings, &r.Scope, &r.ViaGroupId, &r.ViaGroupName)
		if tier <= maxTier {
			r.Tier = new(uint32(tier))
		}
		p.answer.Roles = append(p.answer.Roles, r)
		return err
	}, who.Params()...)
}

const registrationOfUser = `SELECT methods, is_mfa_capable, is_mfa_registered, is_passwordless_capable, is_sspr_registered, last_updated_at
	FROM authentication_registrations WHERE tenant_id = {tenant:String} AND id = {user_id:String}`

func (p *profile) fillAuthentication(ctx context.Context) error {
	if len(p.user.certificates) > 0 {
		p.answer.Authentication = &controlv1.UserAuthentication{CertificateUserIds: p.user.certificates}
	}
	return p.ask(ctx, "registration", registrationOfUser, func(rows driver.Rows) error {
		var (
			a       = &controlv1.UserAuthentication{CertificateUserIds: p.user.certificates}
			updated *time.Time
		)
		err := rows.Scan(&a.Methods, &a.IsMfaCapable, &a.IsMfaRegistered, &a.IsPasswordlessCapable, &a.IsSsprRegistered, &updated)
		a.LastUpdatedAt = stamp(updated)
		p.answer.Authentication = a
		return err
	})
}

const ownedByUser = `SELECT o.owned_object, o.id, if(o.owned_object = 'application', a.app_id, s.app_id),
		if(o.owned_object = 'application', a.display_name, s.display_name) AS name
	FROM (SELECT owned_object, id FROM owners WHERE tenant_id = {tenant:String} AND has(owners.id, {user_id:String})) AS o
	LEFT JOIN (SELECT id, app_id, display_name FROM applications WHERE tenant_id = {tenant:String}) AS a ON a.id = o.id
	LEFT JOIN (SELECT id, app_id, display_name FROM service_principals WHERE tenant_id = {tenant:String}) AS s ON s.id = o.id
	ORDER BY name, o.owned_object, o.id LIMIT {limit:UInt64}`

func (p *profile) fillOwned(ctx context.Context) error {
	return p.ask(ctx, "owned", ownedByUser, func(rows driver.Rows) error {
		a := &controlv1.OwnedApplication{}
		err := rows.Scan(&a.Object, &a.Id, &a.AppId, &a.DisplayName)
		p.answer.OwnedApplications = append(p.answer.OwnedApplications, a)
		return err
	})
}

// assignmentsOfUser has those of groups that the user is in directly: nested members get nothing.
const assignmentsOfUser = `SELECT a.resource_id, a.resource_display_name AS name,
		arrayFirst((value, id) -> id = a.app_role_id, s.values, s.ids), if(a.principal_id = {user_id:String}, '', a.principal_id), a.created_at
	FROM (
		SELECT * FROM app_role_assignments WHERE tenant_id = {tenant:String} AND (principal_id = {user_id:String} OR principal_id IN (
			SELECT group_id FROM group_shards WHERE tenant_id = {tenant:String} AND has(member_ids, {user_id:String})))
	) AS a
	LEFT JOIN (
		SELECT id, app_roles.id AS ids, app_roles.value AS values FROM service_principals WHERE tenant_id = {tenant:String}
	) AS s ON s.id = a.resource_id
	ORDER BY name, a.resource_id, a.id LIMIT {limit:UInt64}`

func (p *profile) fillAssignments(ctx context.Context) error {
	return p.ask(ctx, "assignments", assignmentsOfUser, func(rows driver.Rows) error {
		var (
			a       = &controlv1.AppAssignment{}
			created *time.Time
		)
		err := rows.Scan(&a.ResourceId, &a.ResourceDisplayName, &a.AppRole, &a.ViaGroupId, &created)
		a.CreatedAt = stamp(created)
		p.answer.AppAssignments = append(p.answer.AppAssignments, a)
		return err
	})
}

const (
	managedOfUser = `SELECT lower(azure_ad_device_id), if(device_name = '', display_name, device_name), operating_system, os_version,
		compliance_state, last_sync_at
		FROM managed_devices WHERE tenant_id = {tenant:String} AND user_id = {user_id:String} ORDER BY id LIMIT {limit:UInt64}`
	devicesByID = `SELECT lower(device_id), display_name, operating_system, operating_system_version, trust_type, is_compliant, is_managed
		FROM devices WHERE tenant_id = {tenant:String} AND lower(device_id) IN {devices:Array(String)}`
)

// fillDevices adds the devices that Intune says are the user's, and those of sign-ins.
func (p *profile) fillDevices(ctx context.Context) error {
	found, err := p.managed(ctx)
	if err != nil {
		return err
	}
	byID := map[string]*controlv1.UserDevice{}
	for _, d := range found {
		byID[d.GetDeviceId()] = d
	}
	for _, counted := range p.answer.GetSignIns().GetDevices() {
		id := strings.ToLower(counted.GetId())
		d, ok := byID[id]
		if !ok {
			d = &controlv1.UserDevice{DeviceId: id, DisplayName: counted.GetDisplayName()}
			byID[id], found = d, append(found, d)
		}
		d.LastSignInAt = counted.GetLastAt()
	}
	delete(byID, "")
	ids := make([]string, 0, len(byID))
	for id := range byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	p.answer.Devices = found
	return p.ask(ctx, "devices", devicesByID, func(rows driver.Rows) error {
		var e controlv1.UserDevice
		err := rows.Scan(&e.DeviceId, &e.DisplayName, &e.OperatingSystem, &e.OperatingSystemVersion, &e.TrustType, &e.IsCompliant, &e.IsManaged)
		if d := byID[e.GetDeviceId()]; d != nil {
			d.TrustType, d.IsCompliant, d.IsManaged = e.GetTrustType(), e.IsCompliant, e.IsManaged
			d.DisplayName = cmp.Or(d.GetDisplayName(), e.GetDisplayName())
			d.OperatingSystem = cmp.Or(d.GetOperatingSystem(), e.GetOperatingSystem())
			d.OperatingSystemVersion = cmp.Or(d.GetOperatingSystemVersion(), e.GetOperatingSystemVersion())
		}
		return err
	}, clickhouse.Named("devices", ids))
}

func (p *profile) managed(ctx context.Context) ([]*controlv1.UserDevice, error) {
	var found []*controlv1.UserDevice
	err := p.ask(ctx, "managed_devices", managedOfUser, func(rows driver.Rows) error {
		var (
			d      = &controlv1.UserDevice{}
			synced *time.Time
		)
		err := rows.Scan(&d.DeviceId, &d.DisplayName, &d.OperatingSystem, &d.OperatingSystemVersion, &d.ComplianceState, &synced)
		d.LastSyncAt = stamp(synced)
		found = append(found, d)
		return err
	})
	return found, err
}
