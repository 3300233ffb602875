package entra

import (
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/entraflow/entraflow/pkg/config"
)

// CredentialKind is how the application proves itself.
type CredentialKind string

// Credential kinds.
const (
	KindSecret      CredentialKind = "secret"
	KindCertificate CredentialKind = "certificate"
	KindFederated   CredentialKind = "federated"
)

// CredentialSpec says how to get a token.
type CredentialSpec struct {
	// TenantID is a GUID or a domain, never common or organizations.
	TenantID, ClientID string
	Kind               CredentialKind
	// Secret is the secret's value, for KindSecret.
	Secret config.Secret
	// Certificate is a PEM (certificate and key) or PFX file's content, for KindCertificate; PFX may be base64.
	// Password opens it; empty if it has none.
	Certificate, Password config.Secret
	Federated             Federated
}

// Federated says where the token of another identity provider comes from. Exactly one field is set.
type Federated struct {
	// TokenFile holds the token and is read for each request: others renew it.
	TokenFile string
	// ManagedIdentity is "system", or a user-assigned identity's client id.
	ManagedIdentity string
	// WorkloadIdentity takes the file that AZURE_FEDERATED_TOKEN_FILE names.
	WorkloadIdentity bool
}

// Validate joins all faults of the spec as one Error of cause credential_missing, tenant_malformed,
// app_not_found (the id is no GUID) or certificate_rejected. It sends nothing.
func (s CredentialSpec) Validate() error { return nil }

// NewCredential returns a credential that asks the endpoints' authority. It keeps tokens; a health check
// makes a new one each time. Its errors become an *Error by Classify. The transport is used for tokens
// and is the caller's to close; nil is one of its own. azidentity's retries are off.
func NewCredential(spec CredentialSpec, e Endpoints, transport http.RoundTripper) (azcore.TokenCredential, error) {
	return nil, nil
}

// Claims are what a token says. Nobody has verified them: they serve diagnosis, never authorization.
type Claims struct {
	// Roles are the application permissions that the tenant consented to; empty if there is no consent.
	Roles                     []string
	TenantID, AppID, ObjectID string
	Expires                   time.Time
}

// DecodeClaims reads a token's claims without verifying it. ok is false if it is no JWT.
func DecodeClaims(token string) (claims Claims, ok bool) { return Claims{}, false }
