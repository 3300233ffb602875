package entra

import (
	"slices"
	"time"

	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// DataType is the id of a kind of data that Graph holds.
type DataType string

// Data types: the logs first, then the directory.
const (
	SignInInteractive      DataType = "signin.interactive"
	SignInNonInteractive   DataType = "signin.non_interactive"
	SignInServicePrincipal DataType = "signin.service_principal"
	SignInManagedIdentity  DataType = "signin.managed_identity"
	Audit                  DataType = "audit"
	Provisioning           DataType = "provisioning"
	RiskDetection          DataType = "risk_detection"
	RiskyUser              DataType = "risky_user"

	Users                   DataType = "users"
	Groups                  DataType = "groups"
	Devices                 DataType = "devices"
	Applications            DataType = "applications"
	ServicePrincipals       DataType = "service_principals"
	DirectoryRoles          DataType = "directory_roles"
	ConditionalAccess       DataType = "conditional_access"
	AuthMethodsRegistration DataType = "auth_methods_registration"
	IntuneDevices           DataType = "intune_devices"
)

// Licence is what a tenant must have bought for a data type.
type Licence string

// Licences. P2 includes P1.
const (
	LicenceFree   Licence = ""
	LicenceP1     Licence = "P1"
	LicenceP2     Licence = "P2"
	LicenceIntune Licence = "Intune"
)

// DataTypeInfo is a row of graph.md §2, §3.3 and §4.1.
type DataTypeInfo struct {
	ID    DataType
	Title string
	// Version is v1.0 or beta, Path what follows it. FallbackVersion is "" or the version to use when Version
	// is refused; it may lack fields.
	Version, Path, FallbackVersion string
	// Log says that it is a log read by time windows on Cursor; the others are read whole or by delta.
	Log bool
	// Cursor is the property that a window filters, LowerOp and UpperOp the operators that it knows.
	Cursor, LowerOp, UpperOp string
	// Filter is and-ed to the window: the sign-in event type. Empty if there is none.
	Filter string
	// PageSize is the largest $top; 0 if the endpoint takes none.
	PageSize int
	// Prefer is the Prefer header; empty if there is none.
	Prefer string
	// Permissions are sufficient each by itself, the least privileged first. Also lists those that add to the
	// data without being necessary.
	Permissions, Also []string
	Licence           Licence
	Workload          budget.Workload
	// Units is what a page costs of Directory's ResourceUnits.
	Units int
	// Retention is how far back the service keeps it with its licence; 0 is for ever.
	Retention time.Duration
	// MissingClouds names clouds without it.
	MissingClouds []string
}

const (
	day = 24 * time.Hour
	// FreeRetention is how far back audits go without a licence (graph.md §2.1).
	FreeRetention = 7 * day

	pathSignIns = "/auditLogs/signIns"
	// unknownMembers keeps enum members that are newer than the client from arriving as unknownFutureValue.
	unknownMembers = "include-unknown-enum-members"

	permAuditLog  = "AuditLog.Read.All"
	permDirectory = "Directory.Read.All"
	permPolicy    = "Policy.Read.All"
)

// LookupDataType finds a data type.
func LookupDataType(id DataType) (DataTypeInfo, bool) {
	all := DataTypes()
	i := slices.IndexFunc(all, func(d DataTypeInfo) bool { return d.ID == id })
	if i < 0 {
		return DataTypeInfo{}, false
	}
	return all[i], true
}

// DataTypes returns every data type, logs first. The slice is the caller's.
func DataTypes() []DataTypeInfo { return append(logTypes(), directoryTypes()...) }

// logTypes are read by windows.
func logTypes() []DataTypeInfo {
	// v1.0 has interactive sign-ins only, and not all of their fields (graph.md §2.1).
	signIn := func(id DataType, title, filter, fallback string) DataTypeInfo {
		return DataTypeInfo{
			ID: id, Title: title, Version: "beta", Path: pathSignIns, FallbackVersion: fallback,
			Log: true, Cursor: "createdDateTime", LowerOp: "ge", UpperOp: "le", Filter: filter, PageSize: 1000, Prefer: unknownMembers,
			Permissions: []string{permAuditLog}, Also: []string{permDirectory, permPolicy},
			Licence: LicenceP1, Workload: budget.Reports, Retention: 30 * day,
		}
	}
	eventType := func(name string) string { return "signInEventTypes/any(t: t eq '" + name + "')" }
	return []DataTypeInfo{
		signIn(SignInInteractive, "Interactive sign-ins", "", "v1.0"),
		signIn(SignInNonInteractive, "Non-interactive sign-ins", eventType("nonInteractiveUser"), ""),
		signIn(SignInServicePrincipal, "Service principal sign-ins", eventType("servicePrincipal"), ""),
		signIn(SignInManagedIdentity, "Managed identity sign-ins", eventType("managedIdentity"), ""),
		{
			ID: Audit, Title: "Directory audits", Version: "v1.0", Path: "/auditLogs/directoryAudits",
			Log: true, Cursor: "activityDateTime", LowerOp: "ge", UpperOp: "le", PageSize: 1000,
			Permissions: []string{permAuditLog, permDirectory}, Workload: budget.Reports, Retention: 30 * day,
		},
		{
			ID: Provisioning, Title: "Provisioning logs", Version: "v1.0", Path: "/auditLogs/provisioning",
			Log: true, Cursor: "activityDateTime", LowerOp: "gt", UpperOp: "lt", PageSize: 1000,
			Permissions: []string{"ProvisioningLog.Read.All", permAuditLog, permDirectory},
			Licence:     LicenceP1, Workload: budget.Reports, Retention: 30 * day,
		},
		{
			// By the last change and not by detection: a detection's state changes later under the same id.
			ID: RiskDetection, Title: "Risk detections", Version: "v1.0", Path: "/identityProtection/riskDetections",
			Log: true, Cursor: "lastUpdatedDateTime", LowerOp: "ge", UpperOp: "le", PageSize: 500, Prefer: unknownMembers,
			Permissions: []string{"IdentityRiskEvent.Read.All", "IdentityRiskEvent.ReadWrite.All"},
			Licence:     LicenceP2, Workload: budget.IdentityProtection, Retention: 90 * day,
		},
		{
			ID: RiskyUser, Title: "Risky users", Version: "v1.0", Path: "/identityProtection/riskyUsers",
			Log: true, Cursor: "riskLastUpdatedDateTime", LowerOp: "ge", UpperOp: "le", PageSize: 500, Prefer: unknownMembers,
			Permissions: []string{"IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"},
			Licence:     LicenceP2, Workload: budget.IdentityProtection,
		},
	}
}

// directoryTypes are read whole, or by delta where there is one.
func directoryTypes() []DataTypeInfo {
	const topDirectory, topReport = 999, 1000
	return []DataTypeInfo{
		{
			ID: Users, Title: "Users", Version: "v1.0", Path: "/users", PageSize: topDirectory, Units: 2,
			Permissions: []string{"User.Read.All", permDirectory, "User.ReadWrite.All", "Directory.ReadWrite.All"},
			Also:        []string{permAuditLog},
		},
		{
			ID: Groups, Title: "Groups", Version: "v1.0", Path: "/groups", PageSize: topDirectory,
			Permissions: []string{
				"Group.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All", permDirectory, "Directory.ReadWrite.All",
			},
		},
		{
			ID: Devices, Title: "Devices", Version: "v1.0", Path: "/devices", PageSize: topDirectory,
			Permissions: []string{"Device.Read.All", permDirectory, "Directory.ReadWrite.All"},
		},
		{
			ID: Applications, Title: "App registrations", Version: "v1.0", Path: "/applications", PageSize: topDirectory, Units: 2,
			Permissions: []string{"Application.Read.All", permDirectory, "Directory.ReadWrite.All"},
		},
		{
			ID: ServicePrincipals, Title: "Enterprise applications", Version: "v1.0", Path: "/servicePrincipals", PageSize: topDirectory,
			Permissions: []string{"Application.Read.All", permDirectory, "Directory.ReadWrite.All"},
		},
		{
			ID: DirectoryRoles, Title: "Directory roles", Version: "v1.0", Path: "/directoryRoles",
			Permissions: []string{"RoleManagement.Read.Directory", permDirectory, "Directory.ReadWrite.All"},
		},
		{
			ID: ConditionalAccess, Title: "Conditional Access policies", Version: "v1.0", Path: "/identity/conditionalAccess/policies",
			Permissions: []string{permPolicy}, Licence: LicenceP1, Workload: budget.IdentityProtection,
		},
		{
			ID: AuthMethodsRegistration, Title: "MFA registration", Version: "v1.0",
			Path: "/reports/authenticationMethods/userRegistrationDetails", PageSize: topReport,
			Permissions: []string{permAuditLog}, Licence: LicenceP1, Workload: budget.Reports,
		},
		{
			ID: IntuneDevices, Title: "Intune devices", Version: "v1.0", Path: "/deviceManagement/managedDevices", PageSize: topReport,
			Permissions: []string{
				"DeviceManagementManagedDevices.Read.All", "DeviceManagementConfiguration.Read.All",
				"DeviceManagementManagedDevices.ReadWrite.All",
			},
			Licence: LicenceIntune, Workload: budget.Intune,
		},
	}
}
