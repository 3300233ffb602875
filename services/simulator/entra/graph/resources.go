package graph

import (
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/odata"
	"github.com/entraflow/entraflow/services/simulator/entra/throttle"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

const (
	pathSignIns      = "auditLogs/signIns"
	pathProvisioning = "auditLogs/provisioning"
	day              = 24 * time.Hour
	// purgeGrace is how long a record stays beyond its retention: Microsoft promises a minimum.
	purgeGrace = day
	// oldestBound is how far back a filter's time may be, on the reports.
	oldestBound = 90 * day
	// resolution is that of times in records.
	resolution = 100 * time.Nanosecond
)

// resource is a collection: a log if logs is set, else objects of the directory.
type resource struct {
	// path is what follows the version; {id} in it stands for the id of an object of parent, {cast} for a type's name.
	path   string
	parent tenant.Collection
	// relation leads from that object to those of the resource; transitive says that groups among them are followed,
	// reverse that it leads from the objects of the resource to that one.
	relation            tenant.Relation
	transitive, reverse bool
	// beta says that v1.0 does not have it; singleton that it is one object and no list.
	beta, singleton bool
	// deltaPermissions are those of which one is needed for the changes; none: there is no delta.
	deltaPermissions []string
	// expands are what $expand may name, deltaLinks the relations in a delta without $select.
	expands, deltaLinks []tenant.Relation
	// logs are those of the tenant, the one returned without a filter first.
	logs       []string
	collection tenant.Collection
	typeName   string
	// cursor is the time that a log is ordered and filtered by.
	cursor string
	bucket string
	units  int
	// permissions are those of which one is needed, the least first.
	permissions []string
	// report says that a missing permission is answered as the reports do.
	report bool
	// licence is what the tenant needs; "" is Free.
	licence tenant.Licence
	// retention is how long the log is kept without and with a premium licence; 0 is for ever.
	retentionFree, retentionPremium time.Duration
	// defaultTop and maxTop are page sizes. A greater $top is cut, or refused if strictTop.
	defaultTop, maxTop int
	strictTop          bool
	// filters are v1.0's, betaFilters what beta has beside.
	filters, betaFilters map[string]odata.Property
	// defaults are what v1.0 returns without $select; nil is all.
	defaults []string
}

// resources are the collections. Sources: graph.md §2.1, §2.2, §3.2, §4.1.
var resources = []resource{
	{
		path: pathSignIns, typeName: "signIn", cursor: "createdDateTime", bucket: throttle.BucketReports, report: true,
		logs:        []string{tenant.Interactive, tenant.NonInteractive, tenant.ServicePrincipal, tenant.ManagedIdentity},
		permissions: []string{"AuditLog.Read.All"}, licence: tenant.P1,
		retentionFree: 7 * day, retentionPremium: 30 * day, defaultTop: 1000, maxTop: 1000,
		filters: signInFilters, betaFilters: signInBetaFilters, defaults: signInProperties,
	},
	{
		path: "auditLogs/directoryAudits", typeName: "directoryAudit", cursor: "activityDateTime", bucket: throttle.BucketReports,
		report: true, logs: []string{tenant.Audit}, permissions: []string{"AuditLog.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"},
		retentionFree: 7 * day, retentionPremium: 30 * day, defaultTop: 1000, maxTop: 1000, filters: auditFilters,
	},
	{
		path: pathProvisioning, typeName: "provisioningObjectSummary", cursor: "activityDateTime", bucket: throttle.BucketReports,
		report: true, logs: []string{tenant.Provisioning}, licence: tenant.P1,
		permissions:   []string{"ProvisioningLog.Read.All", "AuditLog.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"},
		retentionFree: 7 * day, retentionPremium: 30 * day, defaultTop: 1000, maxTop: 1000, filters: provisioningFilters,
	},
	{
		path: "identityProtection/riskDetections", typeName: "riskDetection", cursor: "detectedDateTime", bucket: throttle.BucketProtection,
		logs: []string{tenant.RiskDetection}, permissions: []string{"IdentityRiskEvent.Read.All", "IdentityRiskEvent.ReadWrite.All"},
		licence: tenant.P1, retentionFree: 7 * day, retentionPremium: 90 * day, defaultTop: 20, maxTop: 500, filters: detectionFilters,
	},
	{
		path: "identityProtection/riskyUsers", typeName: "riskyUser", cursor: "riskLastUpdatedDateTime", bucket: throttle.BucketProtection,
		logs: []string{tenant.RiskyUser}, permissions: []string{"IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"},
		licence: tenant.P2, defaultTop: 20, maxTop: 500, filters: riskyUserFilters,
	},
	{
		path: "organization", typeName: "organization", collection: tenant.Organizations, bucket: throttle.BucketDirectory, units: 1,
		permissions: []string{"Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "User.Read.All", "User.ReadWrite.All"},
		defaultTop:  100, maxTop: 999, strictTop: true,
	},
	{
		path: "subscribedSkus", typeName: "subscribedSku", collection: tenant.SubscribedSkus, bucket: throttle.BucketDirectory, units: 3,
		permissions: []string{"LicenseAssignment.Read.All", "Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"},
		defaultTop:  100, maxTop: 999, strictTop: true,
	},
	{
		path: "applications", typeName: "application", collection: tenant.Applications, bucket: throttle.BucketDirectory, units: 2,
		permissions: readApplications, deltaPermissions: readApplications, expands: []tenant.Relation{tenant.Owners},
		defaultTop: 100, maxTop: 999, strictTop: true, filters: applicationFilters,
	},
	{
		path: "servicePrincipals", typeName: "servicePrincipal", collection: tenant.ServicePrincipals, bucket: throttle.BucketDirectory, units: 1,
		permissions: readApplications, deltaPermissions: readApplications, expands: []tenant.Relation{tenant.Owners},
		defaultTop: 100, maxTop: 999, strictTop: true, filters: applicationFilters,
	},
	{
		path: "users", typeName: "user", collection: tenant.Users, bucket: throttle.BucketDirectory, units: 2,
		permissions: readUsers, deltaPermissions: readUsers, expands: []tenant.Relation{tenant.Manager},
		defaultTop: 100, maxTop: 999, strictTop: true, filters: userFilters, defaults: userDefaults,
	},
	{
		path: "groups", typeName: "group", collection: tenant.Groups, bucket: throttle.BucketDirectory, units: 1,
		permissions: readGroups, deltaPermissions: readGroups, expands: []tenant.Relation{tenant.Members, tenant.Owners},
		deltaLinks: []tenant.Relation{tenant.Members},
		defaultTop: 100, maxTop: 999, strictTop: true, filters: groupFilters,
	},
	links("groups/{id}/members", tenant.Groups, tenant.Members, 3, readMembers),
	links("groups/{id}/members/{cast}", tenant.Groups, tenant.Members, 3, readMembers),
	transitive(links("groups/{id}/transitiveMembers", tenant.Groups, tenant.Members, 5, readMembers)),
	transitive(links("groups/{id}/transitiveMembers/{cast}", tenant.Groups, tenant.Members, 5, readMembers)),
	links("groups/{id}/owners", tenant.Groups, tenant.Owners, 1, readMembers),
	reverse(links("groups/{id}/memberOf", tenant.Groups, tenant.Members, 1, readMembers)),
	reverse(links("users/{id}/memberOf", tenant.Users, tenant.Members, 2, readUsers)),
	transitive(reverse(links("users/{id}/transitiveMemberOf", tenant.Users, tenant.Members, 2, readUsers))),
	{
		path: "devices", typeName: "device", collection: tenant.Devices, bucket: throttle.BucketDirectory, units: 1,
		permissions: readDevices, expands: []tenant.Relation{tenant.RegisteredOwners},
		// Directory.Read.All is not enough here (graph.md §3.1).
		deltaPermissions: []string{"Device.Read.All", "Device.ReadWrite.All"},
		defaultTop:       100, maxTop: 999, strictTop: true, filters: deviceFilters,
	},
	links("devices/{id}/registeredOwners", tenant.Devices, tenant.RegisteredOwners, 1, readDevices),
	links("devices/{id}/registeredUsers", tenant.Devices, tenant.RegisteredOwners, 1, readDevices),
	reverse(links("users/{id}/registeredDevices", tenant.Users, tenant.RegisteredOwners, 1, readUsers)),
	reverse(links("users/{id}/ownedDevices", tenant.Users, tenant.RegisteredOwners, 1, readUsers)),
	links("applications/{id}/owners", tenant.Applications, tenant.Owners, 1, readApplications),
	links("servicePrincipals/{id}/owners", tenant.ServicePrincipals, tenant.Owners, 1, readApplications),
}

// The permissions of which one is needed, the least first (graph.md §4.1).
var (
	readUsers   = []string{"User.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "User.ReadWrite.All"}
	readDevices = []string{"Device.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Device.ReadWrite.All"}
	readGroups  = []string{
		"Group.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Group.ReadWrite.All",
	}
	readMembers = []string{
		"GroupMember.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Group.ReadWrite.All",
	}
	readApplications = []string{"Application.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", "Application.ReadWrite.All"}
)

// links is the resource of a relation of one object.
func links(path string, parent tenant.Collection, relation tenant.Relation, units int, permissions []string) resource {
	return resource{
		path: path, parent: parent, typeName: "directoryObject", relation: relation, bucket: throttle.BucketDirectory, units: units,
		permissions: permissions, defaultTop: 100, maxTop: 999, strictTop: true,
	}
}

func transitive(r resource) resource {
	r.transitive = true
	return r
}

func reverse(r resource) resource {
	r.reverse = true
	return r
}

// maxTopActivity is the page size of users with signInActivity.
const maxTopActivity = 500

func (r *resource) schema(beta bool) odata.Schema {
	properties := r.filters
	if beta && r.betaFilters != nil {
		properties = with(properties, r.betaFilters)
	}
	return odata.Schema{Type: "microsoft.graph." + r.typeName, Properties: properties}
}

// retention is how far back a log reaches with a licence; 0 is without an end.
func (r *resource) retention(licence tenant.Licence) time.Duration {
	if r.retentionFree == 0 {
		return 0
	}
	if licence == tenant.Free {
		return r.retentionFree + purgeGrace
	}
	return r.retentionPremium + purgeGrace
}
