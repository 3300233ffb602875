package budget

// Class is how urgent a request is. The zero Class is Backfill.
type Class uint8

// Classes, the least urgent first. The most urgent request of a process goes first. Among processes, units
// twice as far ahead are open to Interactive ones, so that they find some however much is read elsewhere: for
// reports, within 4.2 s.
const (
	// Backfill is work that may take days: history, reconciles, sweeps.
	Backfill Class = iota
	// Tail keeps what is known up to date.
	Tail
	// Interactive is what a person waits for: health checks and remediation.
	Interactive

	classes = 3
)

// String returns the class's word in metrics.
func (c Class) String() string {
	switch c {
	case Interactive:
		return "interactive"
	case Tail:
		return "tail"
	default:
		return "backfill"
	}
}

// Workload says which limits cover a request. The zero Workload is Directory.
type Workload uint8

// Workloads with limits of their own, graph.md §2.3 and §3.5.
const (
	// Directory is users, groups, devices, applications, roles, organization: ResourceUnits, 3,500 to 8,000 in
	// 10 s for an application in a tenant.
	Directory Workload = iota
	// Reports is sign-ins, audits, provisioning and authentication methods: 5 requests in 10 s for an
	// application in a tenant, 122 in 10 s for an application in all tenants.
	Reports
	// SignInActivity is a read that selects signInActivity: 10 in a minute for an application in a tenant
	// and as many in all tenants, on top of Reports and Directory.
	SignInActivity
	// IdentityProtection is risk, Conditional Access and named locations: 1 request a second for a tenant,
	// whichever application asks.
	IdentityProtection
	// Intune is device management: 1,000 requests in 20 s for an application in a tenant, 2,000 for a tenant.
	Intune
)

// String returns the workload's word in metrics.
func (w Workload) String() string {
	switch w {
	case Reports:
		return "reports"
	case SignInActivity:
		return "sign_in_activity"
	case IdentityProtection:
		return "identity_protection"
	case Intune:
		return "intune"
	default:
		return "directory"
	}
}

// Request is what a request draws.
type Request struct {
	Workload Workload
	// AppID and TenantID are whose limits it draws from.
	AppID, TenantID string
	Class           Class
	// Units is what it costs of Directory's ResourceUnits; 0 is 1. Every other limit counts requests.
	Units int
}
