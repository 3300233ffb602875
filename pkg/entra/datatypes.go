package entra

import (
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

// DataTypes returns every data type, logs first.
func DataTypes() []DataTypeInfo { return nil }

// LookupDataType finds a data type.
func LookupDataType(id DataType) (DataTypeInfo, bool) { return DataTypeInfo{}, false }

// Window returns the request for the closed window from ≤ t ≤ to, newest first. Set Class yourself.
func (d DataTypeInfo) Window(from, to time.Time) Request { return Request{} }

// All returns the request for the whole collection. Set Class yourself.
func (d DataTypeInfo) All() Request { return Request{} }
