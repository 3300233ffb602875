package tenant

import (
	"slices"
	"time"
)

// The names of the logs. They are the data types of pkg/decode.
const (
	Interactive      = "signin.interactive"
	NonInteractive   = "signin.non_interactive"
	ServicePrincipal = "signin.service_principal"
	ManagedIdentity  = "signin.managed_identity"
	Audit            = "audit"
	Provisioning     = "provisioning"
	RiskDetection    = "risk_detection"
	RiskyUser        = "risky_user"
)

// The logs' indexes, in the order of Logs.
const (
	logInteractive = iota
	logNonInteractive
	logServicePrincipal
	logManagedIdentity
	logAudit
	logProvisioning
	logRiskDetection
	logRiskyUser
	logCount
)

// Logs lists the names of all logs, always in the same order.
func Logs() []string { return logNames() }

func logNames() []string {
	return []string{
		Interactive, NonInteractive, ServicePrincipal, ManagedIdentity,
		Audit, Provisioning, RiskDetection, RiskyUser,
	}
}

// logIndex returns the index of a log's name, or -1.
func logIndex(name string) int { return slices.Index(logNames(), name) }

// Record is one object of a log as Graph beta returns it.
type Record struct {
	// ID is the object's id, unique within the tenant over all logs: a GUID for sign-ins and
	// provisioning, "Directory_<GUID>_…" for audits, 64 hexadecimal digits for risk detections, and the
	// user's id for risky users.
	ID string
	// At is the value of the log's cursor property, to 100 ns: createdDateTime, activityDateTime,
	// detectedDateTime of risk detections, riskLastUpdatedDateTime.
	At time.Time
	// JSON is the object in one line. It belongs to the caller.
	JSON []byte
}

// Query chooses records of a log.
type Query struct {
	// From and To bound the cursor property, both inclusive. Zero is open.
	From, To time.Time
	// At is when the query is made: what is visible, and which form changed records have.
	// Records with a time after At are never visible. Zero means To, and without To the end of the
	// history.
	At time.Time
	// Hide is what the reader may not see.
	Hide Hide
}

// Hide is a set of what Graph withholds from a reader.
type Hide uint8

const (
	// HideRisk writes "hidden" into the risk fields of sign-ins, as without P2. A tenant without
	// P2 does so anyway.
	HideRisk Hide = 1 << iota
	// HidePolicies leaves appliedConditionalAccessPolicies empty, as without Policy.Read.All.
	HidePolicies
)
