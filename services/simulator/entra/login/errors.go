package login

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Error is an AADSTS error as the token endpoint answers it.
type Error struct {
	// Code is the number behind AADSTS.
	Code int
	// Status is that of HTTP.
	Status int
	// Name is the OAuth error: invalid_client.
	Name string
	// Text is the description without the code and the trace at its end. It never has a secret.
	Text string
	// RetryAfter is in seconds; 0 is none.
	RetryAfter int
}

func (e *Error) Error() string { return fmt.Sprintf("AADSTS%d: %s", e.Code, e.Text) }

const (
	invalidClient      = "invalid_client"
	invalidRequest     = "invalid_request"
	invalidScope       = "invalid_scope"
	invalidGrant       = "invalid_grant"
	invalidResource    = "invalid_resource"
	unauthorizedClient = "unauthorized_client"
	accessDenied       = "access_denied"
	temporary          = "temporarily_unavailable"
)

// known are the errors of graph.md §1 and their kin, with status and error as Entra answers them. {app}, {tenant},
// {detail} are filled in.
var known = []Error{
	{50196, 400, invalidGrant, "The server terminated an operation because it encountered a client request loop. Please contact your app vendor.", 0},
	{50194, 400, invalidRequest, "Application '{app}' is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such apps created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant.", 0},
	{50011, 400, invalidRequest, "The redirect URI specified in the request does not match the redirect URIs configured for the application '{app}'.", 0},
	{50034, 400, invalidGrant, "The user account {detail} does not exist in the {tenant} directory. To sign into this application, the account must be added to the directory.", 0},
	{501481, 400, invalidGrant, "The Code_Verifier does not match the code_challenge supplied in the authorization request.", 0},
	{65004, 400, "authorization_declined", "User declined to consent to access the app.", 0},
	{9002325, 400, invalidRequest, "Proof Key for Code Exchange is required for cross-origin authorization code redemption.", 0},
	{53003, 400, accessDenied, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.", 0},
	{530032, 400, accessDenied, "Access has been blocked by the tenant's security policy.", 0},
	{70001, 400, unauthorizedClient, "Application with identifier '{app}' was not found in the directory '{tenant}' or is disabled.", 0},
	{70003, 400, "unsupported_grant_type", "The app requested an unsupported grant type '{detail}'.", 0},
	{70000, 400, invalidGrant, "Provided grant is invalid or malformed.", 0},
	{70008, 400, invalidGrant, "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.", 0},
	// Of the errors of the device flow Microsoft documents the names and these numbers, but not who has which.
	{70016, 400, "authorization_pending", "OAuth 2.0 device flow error. Authorization is pending. Continue polling.", 0},
	{70018, 400, "bad_verification_code", "The device code was not recognized. Verify that the client sends the correct device_code.", 0},
	{70019, 400, "expired_token", "Verification code expired. Have the user retry the sign-in.", 0},
	{70011, 400, invalidScope, "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {detail} is not valid.", 0},
	{700016, 400, unauthorizedClient, "Application with identifier '{app}' was not found in the directory '{tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", 0},
	{700021, 400, invalidRequest, "Client assertion application identifier doesn't match 'client_id' parameter. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .", 0},
	{700022, 400, invalidScope, "The provided value for the input parameter scope is not valid because it contains more than one resource. {detail}", 0},
	{700023, 400, invalidScope, "The provided value for the input parameter scope is not valid because it does not name a resource: '{detail}'.", 0},
	{700024, 401, invalidClient, "Client assertion is not within its valid time range. {detail} Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .", 0},
	{700027, 401, invalidClient, "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - {detail}, Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '{app}'. Review the documentation at https://docs.microsoft.com/en-us/graph/deployments to determine the corresponding service endpoint.]", 0},
	{700030, 401, invalidClient, "Invalid certificate - subject name in certificate is not authorized. SubjectNames/SubjectAlternativeNames (up to 10) in token certificate are: {detail}.", 0},
	{700211, 401, invalidClient, "No matching federated identity record found for presented assertion issuer '{detail}'. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion.", 0},
	{700212, 401, invalidClient, "No matching federated identity record found for presented assertion audience '{detail}'. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion.", 0},
	{700213, 401, invalidClient, "No matching federated identity record found for presented assertion subject '{detail}'. Please check your federated identity credential Subject, Audience and Issuer against the presented assertion.", 0},
	{1000502, 401, invalidClient, "The provided certificate is not within its specified validity period.", 0},
	{7000112, 400, unauthorizedClient, "Application '{app}'({detail}) is disabled.", 0},
	{7000215, 401, invalidClient, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{app}'.", 0},
	{7000218, 401, invalidClient, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.", 0},
	{7000222, 401, invalidClient, "The provided client secret keys for app '{app}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.", 0},
	{500011, 400, invalidResource, "The resource principal named {detail} was not found in the tenant named {tenant}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.", 0},
	{50013, 401, invalidClient, "Assertion failed signature validation. [Reason - {detail}]", 0},
	{50027, 401, invalidClient, "JWT token is invalid or malformed.", 0},
	{90002, 400, invalidRequest, "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", 0},
	{90006, 500, "server_error", "External server retryable error.", 0},
	{90012, 408, temporary, "The request has timed out. Please retry.", 0},
	{90014, 400, invalidRequest, "The required field '{detail}' is missing from the credential. Ensure that you have all the necessary parameters for the login request.", 0},
	{90024, 503, temporary, "A transient error has occurred. Please try again.", 0},
	{90033, 503, temporary, "A transient error has occurred. Please try again.", 0},
	{90038, 400, invalidRequest, "Tenant '{tenant}' request is being redirected to the National Cloud 'MicrosoftOnline.US'.", 0},
	{900382, 400, invalidRequest, "Confidential Client is not supported in Cross Cloud request.", 0},
	{900432, 400, invalidRequest, "Confidential Client is not supported in Cross Cloud request.", 0},
	{90055, 429, temporary, "The tenant has exceeded its quota of requests. Please retry later.", 10},
	{900023, 400, invalidRequest, "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.", 0},
	{900144, 400, invalidRequest, "The request body must contain the following parameter: '{detail}'.", 0},
	{9001023, 400, invalidRequest, "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.", 0},
	{90124, 400, invalidRequest, "Resource is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.", 0},
}

// maxDetail bounds what of a request is repeated in an error.
const maxDetail = 200

// failure returns an error by its number, with what the request was about.
func failure(code int, q request, detail string) *Error {
	i := slices.IndexFunc(known, func(e Error) bool { return e.Code == code })
	e := Error{code, http.StatusBadRequest, invalidRequest, "The request was refused.", 0} // any number can be forced
	if i >= 0 {
		e = known[i]
	}
	if len(detail) > maxDetail {
		detail = detail[:maxDetail]
	}
	e.Text = strings.NewReplacer("{app}", q.clientID, "{tenant}", q.tenant, "{detail}", detail).Replace(e.Text)
	return &e
}

// write answers with the error.
func (e *Error) write(w http.ResponseWriter, r *http.Request, now time.Time) {
	trace, correlation := newID(), r.Header.Get("client-request-id")
	if correlation == "" {
		correlation = newID()
	}
	stamp := now.UTC().Format("2006-01-02 15:04:05Z")
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(e.RetryAfter))
	}
	body, _ := json.Marshal(map[string]any{ // texts and numbers marshal
		"error": e.Name,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			e.Code, e.Text, trace, correlation, stamp),
		"error_codes": []int{e.Code}, "timestamp": stamp, "trace_id": trace, "correlation_id": correlation,
		"error_uri": fmt.Sprintf("%s/error?code=%d", baseURL(r), e.Code),
	})
	writeJSON(w, e.Status, body)
}

// newID is a random GUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
