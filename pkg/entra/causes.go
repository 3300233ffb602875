package entra

import "time"

// Cause is why a request failed, one of a fixed set of words.
type Cause string

// Causes.
const (
	CauseUnknown              Cause = "unknown"
	CauseSecretWrong          Cause = "secret_wrong"
	CauseSecretExpired        Cause = "secret_expired"
	CauseAppNotFound          Cause = "app_not_found"
	CauseAppDisabled          Cause = "app_disabled"
	CauseTenantNotFound       Cause = "tenant_not_found"
	CauseTenantMalformed      Cause = "tenant_malformed"
	CauseWrongCloud           Cause = "wrong_cloud"
	CauseCertificateRejected  Cause = "certificate_rejected"
	CauseAssertionRejected    Cause = "assertion_rejected" // federated credential
	CauseCredentialMissing    Cause = "credential_missing"
	CauseScopeInvalid         Cause = "scope_invalid"
	CauseResourceMissing      Cause = "resource_missing"
	CauseConditionalAccess    Cause = "conditional_access_blocked"
	CauseLoginLoop            Cause = "login_loop"
	CauseTokenRejected        Cause = "token_rejected" // Graph's 401, also with a fresh token
	CauseThrottled            Cause = "throttled"
	CauseTransient            Cause = "transient"
	CauseGatewayHTML          Cause = "gateway_html" // an answer that is not Graph's
	CausePermissionMissing    Cause = "permission_missing"
	CauseConsentMissing       Cause = "consent_missing" // the token has no role at all
	CauseLicenceMissing       Cause = "licence_missing"
	CauseNotApplicable        Cause = "not_applicable" // the tenant has no Intune
	CauseBadRequest           Cause = "bad_request"
	CauseNotFound             Cause = "not_found"
	CauseSkipTokenInvalid     Cause = "skip_token_invalid" // restart the window
	CauseSyncStateExpired     Cause = "sync_state_expired" // restart the delta
	CauseNetworkDNS           Cause = "network_dns"
	CauseNetworkTLS           Cause = "network_tls"
	CauseNetworkRefused       Cause = "network_refused"
	CauseNetworkTimeout       Cause = "network_timeout"
	CauseNetwork              Cause = "network"
	CauseResponseTooLarge     Cause = "response_too_large"
	CauseResponseInvalid      Cause = "response_invalid" // Graph's, but not readable
	CauseForeignHost          Cause = "foreign_host"     // a link that leads elsewhere; nothing was sent
	CauseLinkLoop             Cause = "link_loop"        // a nextLink that was followed before
)

// Error is a failed token or Graph request. It holds no token, secret, URL query or response body. Its
// text is bounded and fit for a person.
type Error struct {
	Cause Cause
	// Code is Microsoft's: AADSTS7000215, Authorization_RequestDenied. Empty if there was none.
	Code string
	// Status is the HTTP status; 0 if there was no answer.
	Status int
	// Detail says what happened and Remedy what to do, each a sentence or two.
	Detail, Remedy string
	// RetryAfter is what the server asked for; 0 if nothing.
	RetryAfter time.Duration
	// RequestID is Graph's request-id or the token endpoint's trace id, for Microsoft's support.
	RequestID string
	// Permission are application permissions of which one is missing, the least privileged first.
	Permission []string
	// Licence is the missing one: P1, P2 or Intune.
	Licence string

	err error
}

// Error says cause, code and detail.
func (e *Error) Error() string { return string(e.Cause) }

// Unwrap returns the underlying error of a network failure.
func (e *Error) Unwrap() error { return e.err }

// Timeout reports whether the server or the network took too long: ask for less.
func (e *Error) Timeout() bool { return false }

// Temporary reports whether the same request may succeed later without anybody doing anything.
func (e *Error) Temporary() bool { return false }

// Classify returns err as an *Error: one that is wrapped in it, or a new one for an error of azidentity or
// of the network. Nil and a context's own cancellation are returned as nil.
func Classify(err error) *Error { return nil }

// Remedy returns what a person should do about a cause.
func (c Cause) Remedy() string { return "" }

// Causes returns every cause, in the order above.
func Causes() []Cause { return nil }
