package graph

import (
	"slices"
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
	// detail is what the resource has of an object of parent; one says that it is no list.
	detail tenant.Detail
	one    bool
	// row makes the resource's object of one of the collection, nil if there is none.
	row func(c *call, ref tenant.Ref, object []byte) []byte
	// serve answers in place of what is done for other resources.
	serve func(*Graph, *call) (*answer, *apiError)
	// governance and intune say which product the tenant needs beside the licence.
	governance, intune bool
	// deltaPermissions are those of which one is needed for the changes; none: there is no delta.
	deltaPermissions []string
	// betaOnly are properties that v1.0 does not have.
	betaOnly []string
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
var resources = slices.Concat(logResources, objectResources, postureResources) //nolint:gochecknoglobals // a table

var logResources = []resource{
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
