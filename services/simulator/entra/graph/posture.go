package graph

import (
	"github.com/entraflow/entraflow/services/simulator/entra/odata"
	"github.com/entraflow/entraflow/services/simulator/entra/throttle"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// The permissions of which one is needed, the least first (graph.md §4.1, entra-lists.md §9).
var (
	readRoles  = []string{"RoleManagement.Read.Directory", "RoleManagement.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "RoleManagement.ReadWrite.Directory"}
	readGrants = []string{"Directory.Read.All", "Directory.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All"}
	readPolicy = []string{"Policy.Read.All"}
	// Directory.Read.All is not enough for what can be activated.
	readEligible  = []string{"RoleEligibilitySchedule.Read.Directory", "RoleManagement.Read.Directory", "RoleManagement.Read.All", "RoleManagement.ReadWrite.Directory"}
	readActive    = []string{"RoleAssignmentSchedule.Read.Directory", "RoleManagement.Read.Directory", "RoleManagement.Read.All", "RoleManagement.ReadWrite.Directory"}
	readDomains   = []string{"Domain.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"}
	readMailboxes = []string{"MailboxSettings.Read", "MailboxSettings.ReadWrite"}
	readMethods   = []string{"UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"}
	readManaged   = []string{"DeviceManagementManagedDevices.Read.All", "DeviceManagementConfiguration.Read.All", "DeviceManagementManagedDevices.ReadWrite.All"}
	readConfigs   = []string{"DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All"}
	readApps      = []string{"DeviceManagementApps.Read.All", "DeviceManagementApps.ReadWrite.All"}
)

// postureResources are roles, consents, policies, reports, mailboxes and Intune. Sources: graph.md §2.3, §3.3, §4.1 and
// entra-lists.md §8, §9.
var postureResources = []resource{
	{
		path: "directoryRoles", typeName: "directoryRole", collection: tenant.DirectoryRoles, bucket: throttle.BucketDirectory, units: 1,
		permissions: readRoles, deltaPermissions: readRoles, expands: []tenant.Relation{tenant.Members},
		deltaLinks: []tenant.Relation{tenant.Members}, defaultTop: 100, maxTop: 999, strictTop: true,
		filters: map[string]odata.Property{"roleTemplateId": text(eqOnly), "displayName": text(eqOnly)},
	},
	links("directoryRoles/{id}/members", tenant.DirectoryRoles, tenant.Members, 1, readRoles),
	betaOnly(roleList(tenant.RoleDefinitions, "unifiedRoleDefinition", readRoles), "isPrivileged"),
	roleList(tenant.RoleAssignments, "unifiedRoleAssignment", readRoles),
	governed(roleList(tenant.RoleAssignmentInstances, "unifiedRoleAssignmentScheduleInstance", readActive)),
	governed(roleList(tenant.RoleEligibilities, "unifiedRoleEligibilityScheduleInstance", readEligible)),
	{
		path: "oauth2PermissionGrants", typeName: "oAuth2PermissionGrant", collection: tenant.OAuth2PermissionGrants,
		bucket: throttle.BucketDirectory, units: 2, permissions: readGrants, deltaPermissions: readGrants,
		defaultTop: 100, maxTop: 999, strictTop: true,
		filters: map[string]odata.Property{"clientId": text(eqOnly), "consentType": text(eqOnly), "principalId": text(eqOnly)},
	},
	details("servicePrincipals/{id}/appRoleAssignments", tenant.ServicePrincipals, tenant.AppRolesHeld, "appRoleAssignment", 2, readApplications),
	details("servicePrincipals/{id}/appRoleAssignedTo", tenant.ServicePrincipals, tenant.AppRolesGiven, "appRoleAssignment", 1, readApplications),
	{
		path: "domains", typeName: "domain", collection: tenant.Domains, bucket: throttle.BucketDirectory, units: 1,
		permissions: readDomains, defaultTop: 100, maxTop: 999, strictTop: true,
	},
	policyList(tenant.AccessPolicies, "conditionalAccessPolicy", throttle.BucketProtection),
	policyList(tenant.NamedLocations, "namedLocation", throttle.BucketProtection),
	policyList(tenant.Strengths, "authenticationStrengthPolicy", throttle.BucketDirectory),
	policyList(tenant.CrossTenantPartners, "crossTenantAccessPolicyConfigurationPartner", throttle.BucketDirectory),
	singleton(policyList(tenant.CrossTenantDefaults, "crossTenantAccessPolicyConfigurationDefault", throttle.BucketDirectory)),
	singleton(policyList(tenant.SecurityDefaults, "identitySecurityDefaultsEnforcementPolicy", throttle.BucketDirectory)),
	singleton(policyList(tenant.AuthorizationPolicies, "authorizationPolicy", throttle.BucketDirectory)),
	singleton(policyList(tenant.MethodsPolicies, "authenticationMethodsPolicy", throttle.BucketDirectory)),
	{
		path: "reports/authenticationMethods/userRegistrationDetails", typeName: "userRegistrationDetails", collection: tenant.Users,
		bucket: throttle.BucketReports, report: true, permissions: []string{"AuditLog.Read.All"}, licence: tenant.P1,
		row: registrationRow, defaultTop: 1000, maxTop: 1000, filters: registrationFilters,
	},
	{
		path: "reports/servicePrincipalSignInActivities", typeName: "servicePrincipalSignInActivity", collection: tenant.ServicePrincipals,
		beta: true, bucket: throttle.BucketReports, report: true, permissions: []string{"AuditLog.Read.All"}, licence: tenant.P1,
		row: activityRow, defaultTop: 1000, maxTop: 1000, filters: map[string]odata.Property{"appId": text(eqOnly)},
	},
	mailbox("users/{id}/mailboxSettings", tenant.MailboxSettings, "mailboxSettings", true),
	mailbox("users/{id}/mailFolders/inbox/messageRules", tenant.MessageRules, "messageRule", false),
	{
		path: "users/{id}/authentication/methods", parent: tenant.Users, detail: tenant.Methods, typeName: "authenticationMethod",
		bucket: throttle.BucketReports, permissions: readMethods, defaultTop: 100, maxTop: 999,
	},
	{
		path: "directory/deletedItems/{cast}", typeName: "directoryObject", bucket: throttle.BucketDirectory, units: 1, serve: (*Graph).deletedPage,
		permissions: []string{"User.Read.All", "Group.Read.All", "Application.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "User.ReadWrite.All"},
		defaultTop:  100, maxTop: 999, strictTop: true,
	},
	usage("D7"), usage("D30"), usage("D90"), usage("D180"),
	managed(tenant.ManagedDevices, "managedDevice", readManaged),
	managed(tenant.DetectedApps, "detectedApp", readManaged),
	managed(tenant.DeviceConfigurations, "deviceConfiguration", readConfigs),
	managed(tenant.CompliancePolicies, "deviceCompliancePolicy", readConfigs),
	managed(tenant.MobileApps, "mobileApp", readApps),
}

func roleList(c tenant.Collection, typeName string, permissions []string) resource {
	return resource{
		path: string(c), typeName: typeName, collection: c, bucket: throttle.BucketDirectory, units: 1, permissions: permissions,
		defaultTop: 100, maxTop: 999, strictTop: true,
		filters: map[string]odata.Property{
			"principalId": text(eqOnly), "roleDefinitionId": text(eqOnly), "isBuiltIn": flag(), "displayName": text(eqStarts),
			"templateId": text(eqOnly), "assignmentType": text(eqOnly),
		},
	}
}

func betaOnly(r resource, properties ...string) resource {
	r.betaOnly = properties
	return r
}

func governed(r resource) resource {
	r.governance = true
	return r
}

func policyList(c tenant.Collection, typeName, bucket string) resource {
	return resource{
		path: string(c), typeName: typeName, collection: c, bucket: bucket, units: 1, permissions: readPolicy, defaultTop: 100, maxTop: 999,
		strictTop: true,
	}
}

func singleton(r resource) resource {
	r.singleton = true
	return r
}

func details(path string, parent tenant.Collection, d tenant.Detail, typeName string, units int, permissions []string) resource {
	return resource{
		path: path, parent: parent, detail: d, typeName: typeName, bucket: throttle.BucketDirectory, units: units, permissions: permissions,
		defaultTop: 100, maxTop: 999, strictTop: true,
	}
}

// mailbox is Outlook's: its limit of 10,000 requests in 10 minutes a mailbox is beyond reach of the global one.
func mailbox(path string, d tenant.Detail, typeName string, one bool) resource {
	return resource{
		path: path, parent: tenant.Users, detail: d, one: one, typeName: typeName, bucket: throttle.BucketOther, permissions: readMailboxes,
		defaultTop: 100, maxTop: 999,
	}
}

func managed(c tenant.Collection, typeName string, permissions []string) resource {
	return resource{
		path: string(c), typeName: typeName, collection: c, bucket: throttle.BucketIntune, permissions: permissions, intune: true,
		defaultTop: 1000, maxTop: 1000,
		filters: map[string]odata.Property{"id": text(eqOnly), "complianceState": text(eqOnly), "operatingSystem": text(eqOnly), "userId": text(eqOnly)},
	}
}

// usage is the report of mailboxes for a period.
func usage(period string) resource {
	return resource{
		path: "reports/getMailboxUsageDetail(period='" + period + "')", typeName: "report", bucket: throttle.BucketUsage,
		serve: (*Graph).mailboxUsage, permissions: []string{"Reports.Read.All"},
	}
}
