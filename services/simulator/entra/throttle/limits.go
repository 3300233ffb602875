package throttle

import "time"

// Names of the buckets in counters.
const (
	BucketLogin      = "login"
	BucketReports    = "reports"
	BucketActivity   = "sign_in_activity"
	BucketProtection = "identity_protection"
	BucketDirectory  = "directory"
	BucketIntune     = "intune"
	// BucketUsage has the usage reports, each with a limit of its own.
	BucketUsage = "usage_reports"
	// BucketOther has requests that no other limit than the global one covers.
	BucketOther = "other"

	bucketGlobal = "global"
)

// reportWindow is that of the identity and access reports and of directory objects.
const reportWindow = 10 * time.Second

// Documented limits of the workloads; their source is graph.md §2.3 and §3.5. Microsoft publishes no limit of the token
// endpoint: loginRequests is ours.
const (
	reportsPerTenant    = 5
	reportsPerApp       = 122
	activityPerMinute   = 10
	protectionPerSecond = 1
	globalPerApp        = 130_000
	intunePerApp        = 1_000
	intunePerTenant     = 2_000
	usagePerApp         = 14
	usageWindow         = 10 * time.Minute
	resourceUnitsPerApp = 150_000
	loginRequests       = 100

	smallTenant, mediumTenant            = 50, 500
	smallUnits, mediumUnits, largeUnits  = 3_500, 5_000, 8_000
	resourceUnitWindow, activityInterval = 20 * time.Second, time.Minute
)

func global() Charge {
	return Charge{Limit{Bucket: bucketGlobal, Amount: globalPerApp, Window: reportWindow, PerApp: true}, 1}
}

// Login is the charge of a token request.
func Login() []Charge {
	return []Charge{{Limit{Bucket: BucketLogin, Amount: loginRequests, Window: reportWindow, PerTenant: true, PerApp: true}, 1}}
}

// Reports is the charge of a request for an identity and access report.
func Reports() []Charge {
	return []Charge{
		{Limit{Bucket: BucketReports, Amount: reportsPerTenant, Window: reportWindow, PerTenant: true, PerApp: true}, 1},
		{Limit{Bucket: BucketReports, Amount: reportsPerApp, Window: reportWindow, PerApp: true}, 1},
		global(),
	}
}

// Activity is the charge of a request that selects signInActivity, beside Directory's.
func Activity() []Charge {
	return []Charge{
		{Limit{Bucket: BucketActivity, Amount: activityPerMinute, Window: activityInterval, PerTenant: true, PerApp: true}, 1},
		{Limit{Bucket: BucketActivity, Amount: activityPerMinute, Window: activityInterval, PerApp: true}, 1},
	}
}

// Protection is the charge of a request for risk data. Its refusals do not tell when to come back.
func Protection() []Charge {
	return []Charge{
		{Limit{Bucket: BucketProtection, Amount: protectionPerSecond, Window: time.Second, PerTenant: true, NoRetryAfter: true}, 1},
		global(),
	}
}

// Directory is the charge of a request for directory objects of a tenant with so many users, in resource units.
func Directory(users, units int) []Charge {
	amount := float64(largeUnits)
	switch {
	case users < smallTenant:
		amount = smallUnits
	case users <= mediumTenant:
		amount = mediumUnits
	}
	return []Charge{
		{Limit{Bucket: BucketDirectory, Amount: amount, Window: reportWindow, PerTenant: true, PerApp: true}, float64(units)},
		{Limit{Bucket: BucketDirectory, Amount: resourceUnitsPerApp, Window: resourceUnitWindow, PerApp: true}, float64(units)},
		global(),
	}
}

// Intune is the charge of a read of Microsoft Intune.
func Intune() []Charge {
	return []Charge{
		{Limit{Bucket: BucketIntune, Amount: intunePerApp, Window: resourceUnitWindow, PerTenant: true, PerApp: true}, 1},
		{Limit{Bucket: BucketIntune, Amount: intunePerTenant, Window: resourceUnitWindow, PerTenant: true}, 1},
		global(),
	}
}

// Usage is the charge of one of the usage reports.
func Usage(report string) []Charge {
	return []Charge{
		{Limit{Bucket: BucketUsage + " " + report, Amount: usagePerApp, Window: usageWindow, PerTenant: true, PerApp: true}, 1},
		global(),
	}
}

// Other is the charge of any other request.
func Other() []Charge { return []Charge{global()} }
