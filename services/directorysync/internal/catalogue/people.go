package catalogue

import (
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// people are users, groups and devices, and what is known of each user beside.
func people() []Type {
	users := []string{"User.Read.All", readDirectory, "User.ReadWrite.All", writeDirectory}
	mailbox := []string{"MailboxSettings.Read", "MailboxSettings.ReadWrite"}
	return []Type{
		{
			ID: entra.Users, Title: "Users", Kind: "user", Version: "v1.0", Path: "/users", Delta: true, Top: topDirectory, Units: 2,
			Select: []string{
				"id", "accountEnabled", "assignedLicenses", "authorizationInfo", "businessPhones", "city", "companyName", "country",
				"createdDateTime", "creationType", "deletedDateTime", "department", "displayName", "employeeId", "employeeType",
				"externalUserState", "externalUserStateChangeDateTime", "givenName", "identities", "isResourceAccount", "jobTitle",
				"lastPasswordChangeDateTime", "mail", "mailNickname", "mobilePhone", "officeLocation", "onPremisesDomainName",
				"onPremisesImmutableId", "onPremisesSamAccountName", "onPremisesSyncEnabled", "otherMails", "passwordPolicies",
				"preferredLanguage", "proxyAddresses", "signInSessionsValidFromDateTime", "surname", "usageLocation",
				"userPrincipalName", "userType",
			},
			Relations: []string{"manager"}, Permissions: users,
		},
		{
			ID: entra.Groups, Title: "Groups and their members", Kind: "group", Version: "v1.0", Path: "/groups", Delta: true, Top: topDirectory,
			Select: []string{
				"id", "assignedLicenses", "classification", "createdDateTime", "description", "displayName", "expirationDateTime", "groupTypes",
				"isAssignableToRole", "mail", "mailEnabled", "mailNickname", "membershipRule", "membershipRuleProcessingState",
				"onPremisesSamAccountName", "onPremisesSyncEnabled", "securityEnabled", "visibility",
			},
			Relations:   []string{"members", "owners"},
			Permissions: []string{"GroupMember.Read.All", "Group.Read.All", readDirectory, "Group.ReadWrite.All", writeDirectory},
		},
		{
			ID: entra.Devices, Title: "Devices", Kind: "device", Version: "v1.0", Path: "/devices", Delta: true, Top: topDirectory,
			Permissions:      []string{"Device.Read.All", readDirectory, writeDirectory},
			DeltaPermissions: []string{"Device.Read.All"},
			Select: []string{
				"id", "accountEnabled", "approximateLastSignInDateTime", "complianceExpirationDateTime", "deviceId", "deviceOwnership",
				"displayName", "enrollmentType", "isCompliant", "isManaged", "isRooted", "managementType", "manufacturer", "model",
				"onPremisesSyncEnabled", "operatingSystem", "operatingSystemVersion", "profileType", "registrationDateTime", "trustType",
			},
		},
		{
			ID: "user_activity", Title: "Last sign-ins of users", Kind: "user_activity", Version: "v1.0", Path: "/users",
			Select: []string{"id", "signInActivity"}, Top: topActivity, Units: 2, Workload: budget.SignInActivity,
			Permissions: []string{readAudit}, Licence: entra.LicenceP1, Daily: true,
		},
		{
			ID: "mailboxes", Title: "Mailbox settings", Kind: "mailbox", Version: "v1.0", Path: "/users/{id}/mailboxSettings", Parent: "user",
			Single: ParentID, Permissions: mailbox, OptIn: true, Daily: true,
		},
		{
			// All rules of a mailbox are one object: they come in one page, and who asks wants to know of a user's.
			ID: "mailbox_rules", Title: "Inbox rules", Kind: "mailbox_rules", Version: "v1.0",
			Path: "/users/{id}/mailFolders/inbox/messageRules", Parent: "user",
			Single: ParentID, Permissions: mailbox, OptIn: true, Daily: true,
		},
	}
}

// reports are what Graph computes once in a while.
func reports() []Type {
	return []Type{
		{
			ID: entra.AuthMethodsRegistration, Title: "MFA registration", Kind: "authentication_registration", Version: "v1.0",
			Path: "/reports/authenticationMethods/userRegistrationDetails", Top: topReport,
			Permissions: []string{readAudit}, Licence: entra.LicenceP1, Workload: budget.Reports,
		},
		{
			ID: "service_principal_activity", Title: "Last sign-ins of applications", Kind: "service_principal_activity", Version: "beta",
			Path: "/reports/servicePrincipalSignInActivities", Permissions: []string{readAudit}, Licence: entra.LicenceP1,
			Workload: budget.Reports, Daily: true,
		},
		{
			// Only beta has it as JSON. It names users by their sign-in name, or by a hash if the tenant conceals names.
			ID: "mailbox_usage", Title: "Mailbox usage", Kind: "mailbox_usage", Version: "beta",
			Path: "/reports/getMailboxUsageDetail(period='D30')", Format: "application/json", Key: "userPrincipalName",
			Permissions: []string{"Reports.Read.All"}, Daily: true,
		},
	}
}

// intune is what the device management knows.
func intune() []Type {
	managed := []string{"DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All"}
	settings := []string{"DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All"}
	row := func(id, title, kind, path string, permissions []string) Type {
		return Type{
			ID: entra.DataType(id), Title: title, Kind: kind, Version: "v1.0", Path: path, Top: topReport,
			Permissions: permissions, Licence: entra.LicenceIntune, Workload: budget.Intune,
		}
	}
	apps := []string{"DeviceManagementApps.Read.All", "DeviceManagementApps.ReadWrite.All"}
	return []Type{
		row(string(entra.IntuneDevices), "Intune devices", "managed_device", "/deviceManagement/managedDevices", managed),
		row("device_configurations", "Intune configurations", "device_configuration", "/deviceManagement/deviceConfigurations", settings),
		row("compliance_policies", "Intune compliance policies", "compliance_policy", "/deviceManagement/deviceCompliancePolicies", settings),
		row("mobile_apps", "Intune apps", "mobile_app", "/deviceAppManagement/mobileApps", apps),
		row("detected_apps", "Apps that Intune found", "detected_app", "/deviceManagement/detectedApps", managed),
	}
}
