package gateway_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clickhouse/directory"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/gateway"
)

// contoso is the directory of tenantA, as tests write it by hand.
type contoso struct {
	objects []*directoryv1.Object
}

// put adds a state of an object; later ones are newer.
func (c *contoso) put(object, id, name string, o *directoryv1.Object) *directoryv1.Object {
	o.Object, o.Id, o.DisplayName, o.Integration = object, id, name, "contoso"
	o.TenantId, o.Version = tenantA, uint64(len(c.objects)+1)
	o.ObservedAt = timestamppb.New(present().Add(time.Duration(o.GetVersion()) * time.Minute))
	o.Change = max(o.GetChange(), directoryv1.Change_CHANGE_CREATED)
	c.objects = append(c.objects, o)
	return o
}

func (c *contoso) user(id, upn string, change ...func(*directoryv1.User)) *directoryv1.Object {
	u := &directoryv1.User{UserPrincipalName: upn, DisplayName: "Name of " + id, UserType: "Member", ManagerId: "boss", AccountEnabled: new(true)}
	for _, ch := range change {
		ch(u)
	}
	return c.put("user", id, u.GetDisplayName(), &directoryv1.Object{Payload: &directoryv1.Object_User{User: u}})
}

func (c *contoso) group(id string, change func(*directoryv1.Group), members ...*directoryv1.Member) {
	g := &directoryv1.Group{SecurityEnabled: new(true)}
	if change != nil {
		change(g)
	}
	c.put("group", id, "Group "+id, &directoryv1.Object{Payload: &directoryv1.Object_Group{Group: g}})
	c.put("group_members", id+"-0", "", &directoryv1.Object{Payload: &directoryv1.Object_GroupMembers{
		GroupMembers: &directoryv1.GroupMembers{GroupId: id, Members: members},
	}})
}

func member(kind, id string) *directoryv1.Member { return &directoryv1.Member{Kind: kind, Id: id} }

// store stores the directory as the sink does.
func (c *contoso) store(tb testing.TB, w *world) {
	tb.Helper()
	set := tables.NewDirectory()
	byTable := map[*tables.Table[*directoryv1.Object]][]tables.Row[*directoryv1.Object]{}
	for _, o := range c.objects {
		for _, table := range set.For(o) {
			byTable[table] = append(byTable[table], tables.Row[*directoryv1.Object]{Message: o, StoredAt: time.Now()})
		}
	}
	for table, rows := range byTable {
		require.NoError(tb, tables.NewInserter(w.store.Conn(), table).Insert(tb.Context(), rows))
	}
}

// newContoso starts a gateway over a directory of a few objects.
func newContoso(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, func(c *gateway.Config) {
		c.Directory.Rules.EmergencyAccess = []string{"glass@example.com"}
	})
	c := &contoso{}
	c.user("ada", "Ada.Lund@example.com", func(u *directoryv1.User) {
		u.Department, u.JobTitle, u.Mail, u.CertificateUserIds = "IT", "Engineer", "ada@mail.example.com", []string{"x509:ada"}
	})
	c.user("bob", "bob@example.com", func(u *directoryv1.User) { u.AccountEnabled = new(false) })
	c.user("gil", "gil_other.com#EXT#@example.com", func(u *directoryv1.User) { u.UserType = "Guest" })
	c.user("glass", "glass@example.com")
	c.user("old", "old@example.com")
	c.put("user", "old", "Name of old", &directoryv1.Object{Change: directoryv1.Change_CHANGE_DELETED, Deleted: true})
	other := c.user("zoe", "zoe@fabrikam.com")
	other.TenantId = tenantB
	twin := c.user("twin", "twin@example.com")
	twin.TenantId = tenantB
	c.user("twin", "twin@example.com")
	c.group("outer", func(g *directoryv1.Group) {
		g.IsAssignableToRole, g.Owners = new(true), []*directoryv1.Member{member("user", "ada")}
	}, member("group", "inner"), member("service_principal", "sp-payroll"))
	c.group("inner", nil, member("user", "ada"), member("user", "bob"), member("device", "dev-object"), member("user", "unknown"))
	c.group("empty", nil)
	c.put("role_definition", directory.GlobalAdministrator, "Global Administrator", &directoryv1.Object{Payload: &directoryv1.Object_RoleDefinition{
		RoleDefinition: &directoryv1.RoleDefinition{TemplateId: directory.GlobalAdministrator, IsBuiltIn: new(true)},
	}})
	c.put("role_definition", "readers", "Directory Readers", &directoryv1.Object{Payload: &directoryv1.Object_RoleDefinition{
		RoleDefinition: &directoryv1.RoleDefinition{TemplateId: "readers", IsBuiltIn: new(true)},
	}})
	for id, a := range map[string]*directoryv1.RoleAssignment{
		"a1": {RoleDefinitionId: directory.GlobalAdministrator, PrincipalId: "outer", DirectoryScopeId: "/"},
		"a2": {RoleDefinitionId: "readers", PrincipalId: "ada", DirectoryScopeId: "/"},
	} {
		c.put("role_assignment", id, "", &directoryv1.Object{Payload: &directoryv1.Object_RoleAssignment{RoleAssignment: a}})
	}
	c.put("user_activity", "ada", "", &directoryv1.Object{Payload: &directoryv1.Object_UserActivity{UserActivity: &directoryv1.UserActivity{
		LastSignInAt: timestamppb.New(present()), LastSuccessfulSignInAt: timestamppb.New(present().Add(-time.Hour)),
	}}})
	c.put("authentication_registration", "ada", "", &directoryv1.Object{Payload: &directoryv1.Object_AuthenticationRegistration{
		AuthenticationRegistration: &directoryv1.AuthenticationRegistration{
			IsMfaCapable: new(true), Methods: []string{"fido2SecurityKey"}, LastUpdatedAt: timestamppb.New(present()),
		},
	}})
	c.put("managed_device", "intune-1", "", &directoryv1.Object{Payload: &directoryv1.Object_ManagedDevice{ManagedDevice: &directoryv1.ManagedDevice{
		AzureAdDeviceId: "DEV-1", DeviceName: "Laptop", UserId: "ada", OperatingSystem: "Windows", OsVersion: "11",
		ComplianceState: "compliant", LastSyncAt: timestamppb.New(present()),
	}}})
	c.put("device", "dev-object", "LAPTOP", &directoryv1.Object{Payload: &directoryv1.Object_Device{Device: &directoryv1.Device{
		DeviceId: "dev-1", TrustType: "AzureAd", IsCompliant: new(true),
	}}})
	applications(c)
	c.store(t, w)
	return w
}

func applications(c *contoso) {
	at := func(days int) *timestamppb.Timestamp {
		return timestamppb.New(time.Now().Add(time.Duration(days)*24*time.Hour + time.Hour))
	}
	application := func(id, name string, credentials ...*directoryv1.Credential) {
		c.put("application", id, name, &directoryv1.Object{Payload: &directoryv1.Object_Application{
			Application: &directoryv1.Application{AppId: "app-" + id, Credentials: credentials},
		}})
	}
	application("payroll", "Payroll",
		&directoryv1.Credential{KeyId: "late", Kind: "secret", Hint: "abc", EndsAt: at(200)},
		&directoryv1.Credential{KeyId: "soon", Kind: "secret", DisplayName: "CI", Hint: "xyz", EndsAt: at(20)},
		&directoryv1.Credential{KeyId: "ancient", Kind: "secret", EndsAt: at(-700)})
	application("crm", "CRM", &directoryv1.Credential{KeyId: "cert", Kind: "certificate", Usage: "Verify", EndsAt: at(5)})
	application("expired", "Expired", &directoryv1.Credential{KeyId: "gone", Kind: "secret", EndsAt: at(-3)})
	application("endless", "Endless", &directoryv1.Credential{KeyId: "none", Kind: "secret"})
	application("bare", "Bare")
	principal := func(id, name, kind, owner string, credentials ...*directoryv1.Credential) {
		c.put("service_principal", id, name, &directoryv1.Object{Payload: &directoryv1.Object_ServicePrincipal{
			ServicePrincipal: &directoryv1.ServicePrincipal{
				AppId: "app-" + id, ServicePrincipalType: kind, AppOwnerOrganizationId: owner, Credentials: credentials,
				AppRoles: []*directoryv1.AppRole{{Id: "role-1", Value: "Payslips.Read"}},
			},
		}})
	}
	end := at(30)
	principal("sp-saml", "Travel", "Application", "", &directoryv1.Credential{KeyId: "verify", Kind: "certificate", Usage: "Verify", CustomKeyIdentifier: "mark", EndsAt: end},
		&directoryv1.Credential{KeyId: "sign", Kind: "certificate", Usage: "Sign", CustomKeyIdentifier: "mark", DisplayName: "CN=SSO", EndsAt: end},
		&directoryv1.Credential{KeyId: "sign", Kind: "secret", Usage: "Sign", CustomKeyIdentifier: "mark", Hint: "q", EndsAt: end})
	principal("sp-payroll", "Payroll", "Application", "")
	principal("sp-identity", "Identity", "ManagedIdentity", "", &directoryv1.Credential{KeyId: "managed", EndsAt: at(1)})
	principal("sp-graph", "Microsoft", "Application", "f8cdef31-a31e-4b4a-93e4-5f571e91255a", &directoryv1.Credential{KeyId: "theirs", EndsAt: at(1)})
	c.put("application_owners", "payroll", "", &directoryv1.Object{Payload: &directoryv1.Object_Owners{Owners: &directoryv1.Owners{
		Object: "application", Owners: []*directoryv1.Member{member("user", "ada"), member("service_principal", "sp-payroll")},
	}}})
	c.put("service_principal_activity", "sp-activity", "", &directoryv1.Object{Payload: &directoryv1.Object_ServicePrincipalActivity{
		ServicePrincipalActivity: &directoryv1.ServicePrincipalActivity{AppId: "app-payroll", LastSignInAt: timestamppb.New(present())},
	}})
	for id, principal := range map[string]string{"s1": "ada", "s2": "inner", "s3": "outer"} {
		c.put("app_role_assignment", id, "", &directoryv1.Object{Payload: &directoryv1.Object_AppRoleAssignment{AppRoleAssignment: &directoryv1.AppRoleAssignment{
			AppRoleId: map[string]string{"s1": "role-1"}[id], PrincipalId: principal, ResourceId: "sp-payroll", ResourceDisplayName: "Payroll " + id,
		}}})
	}
}
