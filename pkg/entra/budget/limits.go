package budget

import (
	"strings"
	"time"
)

// limit is a documented limit: so many units in a window, for whoever shares the key.
type limit struct {
	name   string
	units  float64
	window time.Duration
	// byApp and byTenant say what the key is made of.
	byApp, byTenant bool
	// local limits are so wide that each process keeps to a fixed part of them without asking.
	local bool
	// counted says that a request costs its Units and not 1.
	counted bool
}

// localPart is what a process takes of a local limit: eight may run before the limit could be met.
const localPart = 1.0 / 8

// Tenant sizes of the directory's limit: up to 50 users, up to 500, and more (graph.md §3.5).
const (
	smallTenant, mediumTenant        = 50, 500
	smallUnits, mediumUnits, largeRU = 3500, 5000, 8000
)

// limitsOf returns the limits that cover a workload (graph.md §2.3, §3.5), the narrowest first.
func limitsOf(w Workload, users int) []limit {
	global := limit{name: "global", units: 130_000, window: 10 * time.Second, byApp: true, local: true}
	reports := []limit{
		{name: "reports", units: 5, window: 10 * time.Second, byApp: true, byTenant: true},
		{name: "reports_app", units: 122, window: 10 * time.Second, byApp: true},
		global,
	}
	directory := []limit{
		{name: "directory", units: directoryUnits(users), window: 10 * time.Second, byApp: true, byTenant: true, counted: true},
		{name: "directory_app", units: 150_000, window: 20 * time.Second, byApp: true, local: true, counted: true},
	}
	switch w {
	case Reports:
		return reports
	case SignInActivity:
		// There is one of as many for an application in a tenant, which this one keeps too.
		return append(append([]limit{
			{name: "sign_in_activity_app", units: 10, window: time.Minute, byApp: true},
		}, reports...), directory...)
	case IdentityProtection:
		return []limit{{name: "identity_protection", units: 1, window: time.Second, byTenant: true}, global}
	case Intune:
		return []limit{
			{name: "intune", units: 1000, window: 20 * time.Second, byApp: true, byTenant: true},
			{name: "intune_tenant", units: 2000, window: 20 * time.Second, byTenant: true},
			global,
		}
	default:
		return append(directory, global)
	}
}

func directoryUnits(users int) float64 {
	switch {
	case users < smallTenant:
		return smallUnits
	case users <= mediumTenant:
		return mediumUnits
	default:
		return largeRU
	}
}

// key names the bucket of a limit, and its key in the KV bucket.
func (l limit) key(appID, tenantID string) string {
	key := l.name
	if l.byApp {
		key += "." + keyToken(appID)
	}
	if l.byTenant {
		key += "." + keyToken(tenantID)
	}
	return key
}

// keyToken keeps what NATS allows in a key; ids are GUIDs or domains.
func keyToken(id string) string {
	const most = 100
	token := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		default:
			return '_'
		}
	}, id)
	if token == "" {
		return "none"
	}
	return token[:min(len(token), most)]
}
