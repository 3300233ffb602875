package entra

// Cause is why a request failed, one of a fixed set of words.
type Cause string

// Causes.
const (
	CauseSecretWrong         Cause = "secret_wrong"
	CauseSecretExpired       Cause = "secret_expired"
	CauseAppNotFound         Cause = "app_not_found"
	CauseAppDisabled         Cause = "app_disabled"
	CauseTenantNotFound      Cause = "tenant_not_found"
	CauseTenantMalformed     Cause = "tenant_malformed"
	CauseWrongCloud          Cause = "wrong_cloud"
	CauseCertificateRejected Cause = "certificate_rejected"
	CauseAssertionRejected   Cause = "assertion_rejected" // a federated credential's token
	CauseCredentialMissing   Cause = "credential_missing"
	CauseScopeInvalid        Cause = "scope_invalid"
	CauseResourceMissing     Cause = "resource_missing"
	CauseConditionalAccess   Cause = "conditional_access_blocked"
	CauseLoginLoop           Cause = "login_loop"
	CauseTokenRejected       Cause = "token_rejected" // Graph's 401, with a fresh token too
	CauseThrottled           Cause = "throttled"
	CauseTransient           Cause = "transient"
	CauseGatewayHTML         Cause = "gateway_html" // an answer that is not Microsoft's
	CausePermissionMissing   Cause = "permission_missing"
	CauseConsentMissing      Cause = "consent_missing" // the token has no role at all
	CauseLicenceMissing      Cause = "licence_missing"
	CauseNotApplicable       Cause = "not_applicable" // the tenant has no Intune
	CauseBadRequest          Cause = "bad_request"
	CauseNotFound            Cause = "not_found"
	CauseSkipTokenInvalid    Cause = "skip_token_invalid" // restart the window
	CauseSyncStateExpired    Cause = "sync_state_expired" // restart the delta
	CauseNetworkDNS          Cause = "network_dns"
	CauseNetworkTLS          Cause = "network_tls"
	CauseNetworkRefused      Cause = "network_refused"
	CauseNetworkTimeout      Cause = "network_timeout"
	CauseNetwork             Cause = "network"
	CauseResponseTooLarge    Cause = "response_too_large"
	CauseResponseInvalid     Cause = "response_invalid" // Graph's, but not readable
	CauseForeignHost         Cause = "foreign_host"     // a link leads elsewhere; nothing was sent
	CauseLinkLoop            Cause = "link_loop"        // a nextLink that was followed before, or too many
	CauseUnknown             Cause = "unknown"
)

// causeText is what a person reads about a cause: a headline, and what to do.
type causeText struct {
	cause            Cause
	headline, remedy string
}

// causeTexts has a row for each cause.
var causeTexts = []causeText{
	{
		CauseSecretWrong, "The client secret is wrong",
		"Enter the secret again: its Value, not its Secret ID. Entra shows the Value only once; if it is lost, add a new secret under App registrations > Certificates & secrets.",
	},
	{
		CauseSecretExpired, "The client secret has expired",
		"Add a new secret under App registrations > Certificates & secrets and enter its Value here.",
	},
	{
		CauseAppNotFound, "The application is not known in this tenant",
		"Check that the application (client) id and the directory (tenant) id belong together, and that an administrator granted consent in that tenant.",
	},
	{
		CauseAppDisabled, "The application is disabled",
		"Enable it under Enterprise applications > Properties > Enabled for users to sign in.",
	},
	{
		CauseTenantNotFound, "The tenant was not found",
		"Check the directory (tenant) id on the Overview page of Entra, and the cloud.",
	},
	{
		CauseTenantMalformed, "The tenant id is malformed",
		"Enter the directory (tenant) id, a GUID, or a verified domain; not common or organizations.",
	},
	{
		CauseWrongCloud, "The tenant belongs to another cloud",
		"Choose the cloud of the tenant: global, us_gov, us_gov_dod or china.",
	},
	{
		CauseCertificateRejected, "The certificate was rejected",
		"Upload the certificate's public part under App registrations > Certificates & secrets, check that it is still valid, and that this machine's clock is right.",
	},
	{
		CauseAssertionRejected, "The federated token was rejected",
		"Compare issuer, subject and audience of the token with the application's federated credential, and check that the token is still valid.",
	},
	{
		CauseCredentialMissing, "The credential is missing",
		"Enter the secret or certificate, or give the source of the federated token.",
	},
	{
		CauseScopeInvalid, "The scope is invalid",
		"Choose the cloud of the tenant again; Graph's address must be the cloud's own.",
	},
	{
		CauseResourceMissing, "Microsoft Graph is not known in this tenant",
		"Choose the cloud of the tenant: Graph's address must be the cloud's own.",
	},
	{
		CauseConditionalAccess, "A Conditional Access policy blocks the application",
		"Exclude the application from the policy for workload identities, or allow this machine's addresses in it.",
	},
	{
		CauseLoginLoop, "Entra refuses repeated sign-ins of the same kind",
		"Wait some minutes. If it comes back, report it: tokens are not being kept.",
	},
	{
		CauseTokenRejected, "Microsoft Graph refuses the token",
		"Check that the cloud is right and this machine's clock too, then test the connection again.",
	},
	{
		CauseThrottled, "Microsoft limits the requests",
		"Nothing to do: it goes on by itself. If it stays so, another application uses up the tenant's limit.",
	},
	{
		CauseTransient, "Microsoft's service is unavailable for the moment",
		"Nothing to do: it is tried again. If it stays so, look at Microsoft's service health.",
	},
	{
		CauseGatewayHTML, "Something other than Microsoft answered",
		"If it stays so, check proxies and firewalls between here and Microsoft.",
	},
	{
		CausePermissionMissing, "A permission is missing",
		"Add the application permission under App registrations > API permissions and grant admin consent (Privileged Role Administrator or Global Administrator).",
	},
	{
		CauseConsentMissing, "No permission has been consented to",
		"Grant admin consent under App registrations > API permissions (Privileged Role Administrator or Global Administrator), wait a minute and test again.",
	},
	{
		CauseLicenceMissing, "The tenant has no licence for it",
		"It needs the licence that is named. Nothing else is affected; a licence bought later is noticed within a day.",
	},
	{
		CauseNotApplicable, "The tenant has no Intune",
		"It needs an Intune licence. Nothing else is affected; a licence bought later is noticed within a day.",
	},
	{
		CauseBadRequest, "Microsoft Graph does not accept the request",
		"Report it with the request id: it is a fault of this program or a change of Graph.",
	},
	{CauseNotFound, "It does not exist", "Nothing to do if it was deleted; otherwise check the id."},
	{CauseSkipTokenInvalid, "A page's link is no longer valid", "Nothing to do: the window is read again."},
	{CauseSyncStateExpired, "The state of the directory's changes has expired", "Nothing to do: the directory is read again."},
	{CauseNetworkDNS, "Microsoft's host name is not found", "Check the name server of this machine, and the cloud."},
	{
		CauseNetworkTLS, "The TLS certificate of the other side is not trusted",
		"If a proxy inspects TLS, add its CA certificate to the CA file of the settings; otherwise check this machine's clock.",
	},
	{CauseNetworkRefused, "The connection is refused", "Check firewalls and proxies: HTTPS (443) to Microsoft must be open."},
	{CauseNetworkTimeout, "The other side does not answer in time", "Check firewalls and proxies. It is tried again."},
	{CauseNetwork, "The connection broke off", "Check firewalls and proxies. It is tried again."},
	{CauseResponseTooLarge, "The answer is larger than allowed", "Ask for less, or allow larger bodies in the settings."},
	{CauseResponseInvalid, "Microsoft Graph's answer cannot be read", "If it stays so, check proxies, and report it with the request id."},
	{CauseForeignHost, "A link leads to another host", "Nothing was sent. Check proxies, and report it."},
	{CauseLinkLoop, "The pages do not end", "Report it: Graph sends the same links again."},
	{CauseUnknown, "The request failed for an unknown reason", "Try again; report the code and request id if it stays so."},
}

func (c Cause) text() causeText {
	for _, row := range causeTexts {
		if row.cause == c {
			return row
		}
	}
	return causeText{cause: c, headline: "The request failed for an unknown reason", remedy: "Try again; report the code and request id if it stays so."}
}

// Headline says the cause in a few words, without a full stop.
func (c Cause) Headline() string { return c.text().headline }

// Remedy returns what a person should do about a cause.
func (c Cause) Remedy() string { return c.text().remedy }

// Causes returns every cause.
func Causes() []Cause {
	all := make([]Cause, len(causeTexts))
	for i, row := range causeTexts {
		all[i] = row.cause
	}
	return all
}
