package decode

import (
	"strings"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Kinds of events that the decoder treats by name. A kind is part of every event id: a line here or in
// categories is never changed, only added.
const (
	KindSignIn                        = "signin"
	KindAudit                         = "audit"
	KindRiskDetection                 = "risk_detection"
	KindRiskyUser                     = "risky_user"
	KindProvisioning                  = "provisioning"
	KindServicePrincipalRiskDetection = "service_principal_risk_detection"
	KindRiskyServicePrincipal         = "risky_service_principal"
	KindCustomSecurityAttributeAudit  = "custom_security_attribute_audit"
	KindGraphActivity                 = "graph_activity"
	// kindUnknown is the kind of a record whose category is empty and whose looks tell nothing.
	kindUnknown = "unknown"
)

// maxKind is the length in bytes of the longest kind made from a category's name.
const maxKind = 64

// categoryRow is a row of the table of diagnostic categories.
type categoryRow struct {
	name   string
	kind   string
	signIn eventv1.SignInType
}

// categories are the diagnostic categories of Entra ID by their name in lower case.
var categories = map[string]categoryRow{
	"signinlogs":                   {"SignInLogs", KindSignIn, eventv1.SignInType_SIGN_IN_TYPE_INTERACTIVE},
	"noninteractiveusersigninlogs": {"NonInteractiveUserSignInLogs", KindSignIn, eventv1.SignInType_SIGN_IN_TYPE_NON_INTERACTIVE},
	"serviceprincipalsigninlogs":   {"ServicePrincipalSignInLogs", KindSignIn, eventv1.SignInType_SIGN_IN_TYPE_SERVICE_PRINCIPAL},
	"microsoftserviceprincipalsigninlogs": {
		"MicrosoftServicePrincipalSignInLogs", KindSignIn, eventv1.SignInType_SIGN_IN_TYPE_SERVICE_PRINCIPAL,
	},
	"managedidentitysigninlogs":        {"ManagedIdentitySignInLogs", KindSignIn, eventv1.SignInType_SIGN_IN_TYPE_MANAGED_IDENTITY},
	"adfssigninlogs":                   {"ADFSSignInLogs", KindSignIn, eventv1.SignInType_SIGN_IN_TYPE_ADFS},
	"auditlogs":                        {"AuditLogs", KindAudit, 0},
	"provisioninglogs":                 {"ProvisioningLogs", KindProvisioning, 0},
	"riskyusers":                       {"RiskyUsers", KindRiskyUser, 0},
	"userriskevents":                   {"UserRiskEvents", KindRiskDetection, 0},
	"riskyserviceprincipals":           {"RiskyServicePrincipals", KindRiskyServicePrincipal, 0},
	"serviceprincipalriskevents":       {"ServicePrincipalRiskEvents", KindServicePrincipalRiskDetection, 0},
	"customsecurityattributeauditlogs": {"CustomSecurityAttributeAuditLogs", KindCustomSecurityAttributeAudit, 0},
	"microsoftgraphactivitylogs":       {"MicrosoftGraphActivityLogs", KindGraphActivity, 0},
	"enrichedoffice365auditlogs":       {"EnrichedOffice365AuditLogs", "enriched_office365_audit", 0},
	"networkaccesstrafficlogs":         {"NetworkAccessTrafficLogs", "network_access_traffic", 0},
	"networkaccessalerts":              {"NetworkAccessAlerts", "network_access_alert", 0},
	"remotenetworkhealthlogs":          {"RemoteNetworkHealthLogs", "remote_network_health", 0},
	"b2crequestlogs":                   {"B2CRequestLogs", "b2c_request", 0},
}

// kindCategories names the category that a kind's records have where only the kind is known.
var kindCategories = map[string]string{
	KindSignIn:                        "SignInLogs",
	KindAudit:                         "AuditLogs",
	KindProvisioning:                  "ProvisioningLogs",
	KindRiskyUser:                     "RiskyUsers",
	KindRiskDetection:                 "UserRiskEvents",
	KindRiskyServicePrincipal:         "RiskyServicePrincipals",
	KindServicePrincipalRiskDetection: "ServicePrincipalRiskEvents",
	KindCustomSecurityAttributeAudit:  "CustomSecurityAttributeAuditLogs",
	KindGraphActivity:                 "MicrosoftGraphActivityLogs",
}

// signInCategories are the categories of sign-ins by their type, as Graph's signInEventTypes tell it.
var signInCategories = [...]string{
	eventv1.SignInType_SIGN_IN_TYPE_UNSPECIFIED:       "SignInLogs",
	eventv1.SignInType_SIGN_IN_TYPE_INTERACTIVE:       "SignInLogs",
	eventv1.SignInType_SIGN_IN_TYPE_NON_INTERACTIVE:   "NonInteractiveUserSignInLogs",
	eventv1.SignInType_SIGN_IN_TYPE_SERVICE_PRINCIPAL: "ServicePrincipalSignInLogs",
	eventv1.SignInType_SIGN_IN_TYPE_MANAGED_IDENTITY:  "ManagedIdentitySignInLogs",
	eventv1.SignInType_SIGN_IN_TYPE_ADFS:              "ADFSSignInLogs",
}

// lookUp finds a category in the table.
func lookUp(name string) (categoryRow, bool) {
	var buf [maxKey]byte
	c, ok := categories[string(lower(name, &buf))]
	return c, ok
}

// KindOf returns the kind of a diagnostic category: a fixed table, and for categories that are not in
// it their name in snake case, up to 64 bytes. It never changes for a category. A kind is its own kind.
func KindOf(category string) string {
	if c, ok := lookUp(category); ok {
		return c.kind
	}
	return snakeCase(category)
}

// snakeCase makes a token of a-z, 0-9 and single underscores: "FunctionAppLogs" is "function_app_logs",
// "AKSAudit" is "aks_audit".
func snakeCase(name string) string {
	isUpper := func(c byte) bool { return c >= 'A' && c <= 'Z' }
	isLower := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
	token := make([]byte, 0, maxKind)
	for i := 0; i < len(name) && len(token) < maxKind; i++ {
		c := name[i]
		begins := isUpper(c) && i > 0 &&
			(isLower(name[i-1]) || isUpper(name[i-1]) && i+1 < len(name) && isLower(name[i+1]))
		if (begins || !isUpper(c) && !isLower(c)) && len(token) > 0 && token[len(token)-1] != '_' {
			token = append(token, '_')
		}
		if isUpper(c) {
			c |= 0x20
		}
		if isLower(c) {
			token = append(token, c)
		}
	}
	if len(token) > maxKind {
		token = token[:maxKind]
	}
	if kind := strings.Trim(string(token), "_"); kind != "" {
		return kind
	}
	return kindUnknown
}

// DataType names the kind of data an event is, finer than its kind for sign-ins: "signin.interactive",
// "signin.non_interactive", "signin.service_principal", "signin.managed_identity", "signin.adfs"; for
// everything else, and for a sign-in that does not tell its type, the kind.
func DataType(e *eventv1.Event) string {
	if e.GetKind() != KindSignIn {
		return e.GetKind()
	}
	switch e.GetSignIn().GetType() {
	case eventv1.SignInType_SIGN_IN_TYPE_INTERACTIVE:
		return "signin.interactive"
	case eventv1.SignInType_SIGN_IN_TYPE_NON_INTERACTIVE:
		return "signin.non_interactive"
	case eventv1.SignInType_SIGN_IN_TYPE_SERVICE_PRINCIPAL:
		return "signin.service_principal"
	case eventv1.SignInType_SIGN_IN_TYPE_MANAGED_IDENTITY:
		return "signin.managed_identity"
	case eventv1.SignInType_SIGN_IN_TYPE_ADFS:
		return "signin.adfs"
	case eventv1.SignInType_SIGN_IN_TYPE_UNSPECIFIED:
	}
	return KindSignIn
}
