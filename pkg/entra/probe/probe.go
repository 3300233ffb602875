// Package probe is the health check of an Entra integration: a new credential, its token, the licences,
// and one small read for each data type.
//
// It reads Graph and changes nothing. Its report holds no token and no secret.
package probe

import (
	"context"
	"net/http"
	"time"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra"
)

// Timeout bounds a probe.
const Timeout = 30 * time.Second

// Settings of a Probe.
type Settings struct {
	Credential entra.CredentialSpec
	Endpoints  entra.Endpoints
	// Budget is nil for no budget. Probes are Interactive.
	Budget entra.Budget
	// Transport is the caller's to close; nil is one for this probe.
	Transport http.RoundTripper
	Clock     clock.Clock
	UserAgent string
	// DataTypes are what to ask for; nil is all.
	DataTypes []entra.DataType
	// Timeout bounds the whole; 0 is 30 s.
	Timeout time.Duration
}

// Availability says whether a data type can be read.
type Availability string

// Availabilities.
const (
	Available         Availability = "available"
	LicenceMissing    Availability = "licence_missing"
	PermissionMissing Availability = "permission_missing"
	ConsentMissing    Availability = "consent_missing"
	Failed            Availability = "error"
)

// DataTypeResult is the answer for a data type.
type DataTypeResult struct {
	ID           entra.DataType
	Title        string
	Availability Availability
	// Permission are those of which one is missing, the least privileged first; Licence is the missing one.
	Permission []string
	Licence    entra.Licence
	// Detail and Remedy are sentences; empty if it is available.
	Detail, Remedy string
	// Cause is empty if it is available.
	Cause entra.Cause
}

// Action is a write action of remediation (graph.md §5).
type Action string

// Actions.
const (
	UpdateUserType     Action = "update_user_type"
	DeleteGuestUser    Action = "delete_guest_user"
	LogOutUser         Action = "log_out_user"
	ResetMFA           Action = "reset_mfa"
	DisableUser        Action = "disable_user"
	ConfirmCompromised Action = "confirm_compromised"
)

// ActionResult says whether the consent allows an action.
type ActionResult struct {
	ID      Action
	Title   string
	Allowed bool
	// Missing are permissions to add, all of them; Licence is what else is missing.
	Missing []string
	Licence entra.Licence
}

// Report is what a probe found. What was not reached is empty.
type Report struct {
	// Connected says that a sign-in log or the directory's users can be read.
	Connected bool
	// Headline is "Connected!" or what is wrong in a few words.
	Headline string
	// TenantID is the directory's GUID, also if the spec gave a domain.
	TenantID, TenantName, VerifiedDomain string
	// Licences are P1, P2 and Intune as far as the tenant's service plans show; LicencesKnown is false if they
	// could not be read.
	Licences      []entra.Licence
	LicencesKnown bool
	// Roles are the consented application permissions, sorted.
	Roles     []string
	DataTypes []DataTypeResult
	Actions   []ActionResult
	// Error is the first that matters to the whole; nil if there was none.
	Error *entra.Error
	// Date is the server's clock, Skew how far it is ahead of this one's.
	Date time.Time
	Skew time.Duration
	Took time.Duration
}

// Run checks an integration. It never fails: what went wrong is in the report.
func Run(ctx context.Context, set Settings) Report { return Report{} }
