package entractl

import controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"

// permission is an application permission of Microsoft Graph that the guide names.
type permission struct {
	name, purpose string
	licence       string // without which it is of no use; "" if none
	// covered names the permission that makes this one unnecessary; "" if it is necessary.
	covered string
	// strong says that it leads to the rights of a Global Administrator, so that the credential must be kept so.
	strong bool
}

// readPermissions are the read-only set (microsoft-graph-devx-content permissions.json of August 2026).
var readPermissions = []permission{
	{name: "AuditLog.Read.All", purpose: "sign-ins, directory audits, provisioning, MFA registration, last sign-in of users"},
	{name: "Directory.Read.All", purpose: "users, groups, devices, applications, roles, consents, domains, licences; sign-ins need it beside AuditLog.Read.All"},
	{name: "Policy.Read.All", purpose: "Conditional Access policies and their results in sign-ins, named locations, other policies"},
	{name: "UserAuthenticationMethod.Read.All", purpose: "which sign-in methods each user has"},
	{name: "MailboxSettings.Read", purpose: "which accounts are shared mailboxes and rooms; forwarding rules", licence: "Exchange Online"},
	{name: "IdentityRiskEvent.Read.All", purpose: "risk detections", licence: "P2"},
	{name: "IdentityRiskyUser.Read.All", purpose: "risky users", licence: "P2"},
	{name: "DeviceManagementManagedDevices.Read.All", purpose: "Intune devices and their apps", licence: "Intune"},
	{name: "DeviceManagementConfiguration.Read.All", purpose: "Intune configuration and compliance policies", licence: "Intune"},
	{name: "DeviceManagementApps.Read.All", purpose: "apps that Intune deploys", licence: "Intune"},
	{name: "User.Read.All", purpose: "users", covered: "Directory.Read.All"},
	{name: "Group.Read.All", purpose: "groups", covered: "Directory.Read.All"},
	{name: "GroupMember.Read.All", purpose: "members of groups", covered: "Directory.Read.All"},
	{name: "Reports.Read.All", purpose: "Microsoft 365 usage reports"},
}

// writePermissions are what the read-write set has beside readPermissions.
var writePermissions = []permission{
	{name: "User.ReadWrite.All", purpose: "log out a user, disable or enable, change the user type, delete and restore a guest", strong: true},
	{name: "UserAuthenticationMethod.ReadWrite.All", purpose: "reset MFA: delete a user's methods", strong: true},
	{name: "Directory.ReadWrite.All", purpose: "log out and change users; it does not allow deleting them", strong: true},
	{name: "User.ManageIdentities.All", purpose: "change how a user signs in (identities)"},
}

// extraReadPermissions are optional: each adds what its purpose says.
var extraReadPermissions = []permission{
	{name: "RoleManagement.Read.Directory", purpose: "eligible and time-bound roles (PIM); Directory.Read.All is not enough", licence: "P2"},
	{name: "PrivilegedEligibilitySchedule.Read.AzureADGroup", purpose: "roles through groups (PIM for Groups)", licence: "P2"},
	{name: "Application.Read.All", purpose: "federated credentials of applications"},
	{name: "Domain-InternalFederation.Read.All", purpose: "how federated domains sign in and whether they bring MFA"},
	{name: "Device.Read.All", purpose: "changes of devices instead of all of them each time"},
	{name: "IdentityRiskyServicePrincipal.Read.All", purpose: "risky applications", licence: "Workload ID Premium"},
	{name: "CustomSecAttributeAssignment.Read.All", purpose: "Conditional Access policies that choose applications by attribute"},
}

// extraWritePermissions are optional: each adds an action.
var extraWritePermissions = []permission{
	{name: "IdentityRiskyUser.ReadWrite.All", purpose: "confirm a user compromised, dismiss a risk", licence: "P2"},
	{
		name:    "User-PasswordProfile.ReadWrite.All",
		purpose: "reset a password; the application also needs the role User Administrator", strong: true,
	},
	{name: "Policy.ReadWrite.AuthenticationMethod", purpose: "per-user MFA", strong: true},
}

// permissionsOf returns the set and its optional extras.
func permissionsOf(set controlv1.PermissionSet) (needed, extras []permission) {
	if set != controlv1.PermissionSet_PERMISSION_SET_READ_WRITE {
		return readPermissions, extraReadPermissions
	}
	needed = append(append(needed, readPermissions...), writePermissions...)
	return needed, append(append(extras, extraReadPermissions...), extraWritePermissions...)
}

// portal is where a cloud's tenants are managed.
type portal struct{ cloud, address string }

// portals are the clouds with their portals (learn.microsoft.com, authentication-national-cloud).
var portals = []portal{
	{"global", "https://entra.microsoft.com"},
	{"us_gov", "https://portal.azure.us"},
	{"us_gov_dod", "https://portal.azure.us"},
	{"china", "https://portal.azure.cn"},
}

func cloudNames() []string {
	var all []string
	for _, p := range portals {
		all = append(all, p.cloud)
	}
	return all
}
