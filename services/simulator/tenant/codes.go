package tenant

// codeText is a sign-in's error code with the failure reason that Entra writes (entra-lists.md §1).
type codeText struct {
	code int
	text string
}

var codeTexts = [...]codeText{
	{0, "Other."},
	{16000, "Either multiple user identities are available for the current request or selected account is not supported for the scenario."},
	{50034, "The user account {identifier} does not exist in the {tenant} directory. To sign into this application, the account must be added to the directory."},
	{50053, "The account is locked, you've tried to sign in too many times with an incorrect user ID or password."},
	{50055, "Invalid password, entered expired password."},
	{50057, "User account is disabled. The account has been disabled by an administrator."},
	{50058, "Session information is not sufficient for single-sign-on."},
	{50074, "Strong Authentication is required."},
	{50076, "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource."},
	{50078, "Presented multi-factor authentication has expired due to policies configured by your administrator, you must refresh your multi-factor authentication to access the resource."},
	{50105, "Your administrator has configured the application to block users unless they are specifically granted ('assigned') access to the application."},
	{50125, "Sign-in was interrupted due to a password reset or password registration entry."},
	{50126, "Error validating credentials due to invalid username or password."},
	{50132, "The session is not valid due to password expiration or recent password change."},
	{50140, "This error occurred due to 'Keep me signed in' interrupt when the user was signing-in."},
	{50173, "The provided grant has expired due to it being revoked, a fresh auth token is needed."},
	{50199, "For security reasons, user confirmation is required for this request."},
	{53000, "Device is not in required device state. Conditional Access policy requires a compliant device, and the device is not compliant."},
	{53003, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."},
	{65001, "The user or administrator has not consented to use the application. Send an interactive authorization request for this user and resource."},
	{70008, "The provided authorization code or refresh token has expired due to inactivity."},
	{70016, "OAuth 2.0 device flow error. Authorization is pending. Continue polling."},
	{70043, "The refresh token has expired or is invalid due to sign-in frequency checks by Conditional Access."},
	{500011, "The resource principal was not found in the tenant."},
	{500121, "Authentication failed during strong authentication request."},
	{700027, "Client assertion failed signature validation."},
	{700082, "The refresh token has expired due to inactivity."},
	{7000215, "Invalid client secret is provided."},
	{7000222, "The provided client secret keys are expired."},
}

// reasonOf returns the failure reason of a code.
func reasonOf(code int) string {
	for i := range codeTexts {
		if codeTexts[i].code == code {
			return codeTexts[i].text
		}
	}
	return codeTexts[0].text
}

// share10k is an outcome and how often it happens in 10,000 sign-ins.
type share10k struct{ code, share int }

// The outcomes of ordinary sign-ins; what is left is success. What a check looks for on its own (50057,
// 7000222, bursts of 500121) comes from incidents alone.
var (
	interactiveCodes = [...]share10k{
		{50126, 300},
		{50140, 220},
		{50074, 250},
		{50076, 150},
		{50058, 100},
		{16000, 30},
		{50125, 30},
		{50055, 20},
		{50053, 15},
		{500121, 25},
		{53003, 30},
		{53000, 30},
		{50105, 20},
		{65001, 15},
		{50199, 20},
	}
	nonInteractiveCodes = [...]share10k{
		{50173, 60},
		{700082, 50},
		{70043, 100},
		{50076, 80},
		{50078, 50},
		{65001, 20},
		{50132, 30},
		{53003, 30},
		{70008, 40},
		{53000, 40},
		{500011, 10},
	}
	principalCodes = [...]share10k{{7000215, 100}, {700027, 30}, {500011, 20}}
)

// outcome picks a code.
func (r *rng) outcome(codes []share10k) int {
	n := r.below(10_000)
	for _, c := range codes {
		if n < c.share {
			return c.code
		}
		n -= c.share
	}
	return 0
}
