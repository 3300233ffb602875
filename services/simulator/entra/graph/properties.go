package graph

import (
	"maps"
	"strconv"

	"github.com/entraflow/entraflow/services/simulator/entra/odata"
)

// Filters by property; source: Graph's descriptions of the properties (graph.md §2).
var (
	eqOnly     = []odata.Op{odata.Eq}
	eqStarts   = []odata.Op{odata.Eq, odata.StartsWith}
	closedOnly = []odata.Op{odata.Eq, odata.Ge, odata.Le}
	ordered    = []odata.Op{odata.Eq, odata.Ge, odata.Le, odata.Gt, odata.Lt}
	openOnly   = []odata.Op{odata.Eq, odata.Gt, odata.Lt}
	equality   = []odata.Op{odata.Eq, odata.Ne}
)

func text(ops []odata.Op) odata.Property { return odata.Property{Kind: odata.String, Ops: ops} }

func when(ops []odata.Op) odata.Property { return odata.Property{Kind: odata.Time, Ops: ops} }

func flag() odata.Property { return odata.Property{Kind: odata.Bool, Ops: equality} }

var signInFilters = map[string]odata.Property{
	// gt and lt are accepted and do nothing, as observed (graph.md §2.1).
	"createdDateTime": {Kind: odata.Time, Ops: closedOnly, Ignored: []odata.Op{odata.Gt, odata.Lt}},
	"id":              text(eqOnly), "userId": text(eqOnly), "appId": text(eqOnly), "correlationId": text(eqOnly),
	"userDisplayName": text(eqStarts), "userPrincipalName": text(eqStarts), "appDisplayName": text(eqStarts),
	"ipAddress": text(eqStarts), "clientAppUsed": text(eqOnly), "conditionalAccessStatus": text(eqOnly),
	"isInteractive": {Kind: odata.Bool, Ops: eqOnly}, "resourceDisplayName": text(eqOnly), "resourceId": text(eqOnly),
	"riskDetail": text(eqOnly), "riskLevelAggregated": text(eqOnly), "riskLevelDuringSignIn": text(eqOnly), "riskState": text(eqOnly),
	"status/errorCode":     {Kind: odata.Number, Ops: eqOnly},
	"deviceDetail/browser": text(eqStarts), "deviceDetail/operatingSystem": text(eqStarts),
	"location/city": text(eqStarts), "location/state": text(eqStarts), "location/countryOrRegion": text(eqStarts),
	"riskEventTypes_v2/any": text(eqStarts),
}

// signInBetaFilters are what beta filters by beside signInFilters.
var signInBetaFilters = map[string]odata.Property{
	"signInEventTypes/any": text(eqOnly), "servicePrincipalId": text(eqOnly), "servicePrincipalName": text(eqStarts),
	"uniqueTokenIdentifier": text(eqOnly), "authenticationRequirement": text(eqOnly), "tokenIssuerType": text(eqOnly),
	"authenticationProtocol": text(eqOnly), "crossTenantAccessType": text(eqOnly), "homeTenantId": text(eqOnly),
	"resourceTenantId": text(eqOnly), "userType": text(eqOnly), "signInIdentifier": text(eqOnly), "userAgent": text(eqStarts),
	"originalRequestId": text(eqOnly), "sessionId": text(eqOnly), "autonomousSystemNumber": {Kind: odata.Number, Ops: eqOnly},
	"flaggedForReview": {Kind: odata.Bool, Ops: eqOnly},
}

var auditFilters = map[string]odata.Property{
	"activityDateTime": when(closedOnly), "id": text(eqOnly), "activityDisplayName": text(eqStarts), "category": text(eqOnly),
	"correlationId": text(eqOnly), "loggedByService": text(eqOnly), "operationType": text(eqOnly), "result": text(eqOnly),
	"initiatedBy/user/id": text(eqOnly), "initiatedBy/user/displayName": text(eqOnly),
	"initiatedBy/user/userPrincipalName": text(eqStarts), "initiatedBy/app/appId": text(eqOnly),
	"initiatedBy/app/displayName": text(eqOnly), "initiatedBy/app/servicePrincipalId": text(eqOnly),
	"targetResources/any/id": text(eqOnly), "targetResources/any/displayName": text(eqStarts),
	"targetResources/any/userPrincipalName": text(eqStarts),
}

var provisioningFilters = map[string]odata.Property{
	"activityDateTime": when(openOnly), "id": text(eqOnly), "tenantId": text(eqOnly), "jobId": text(eqOnly), "cycleId": text(eqOnly),
	"changeId": text(eqOnly), "provisioningAction": text(eqOnly), "durationInMilliseconds": {Kind: odata.Number, Ops: openOnly},
	"provisioningStatusInfo/status": text(eqOnly), "statusInfo/status": text(eqOnly),
	"sourceSystem/displayName": text(eqOnly), "targetSystem/displayName": text(eqOnly),
	"sourceIdentity/id": text(eqOnly), "targetIdentity/id": text(eqOnly),
	"sourceIdentity/displayName": text(eqOnly), "targetIdentity/displayName": text(eqOnly),
	"servicePrincipal/id": text(eqOnly), "servicePrincipal/displayName": text(eqOnly),
	"initiatedBy/id": text(eqOnly), "initiatedBy/displayName": text(eqOnly),
}

var detectionFilters = map[string]odata.Property{
	"detectedDateTime": when(ordered), "lastUpdatedDateTime": when(ordered), "activityDateTime": when(ordered),
	"id": text(equality), "requestId": text(equality), "correlationId": text(equality), "riskType": text(equality),
	"riskEventType": text(equality), "riskState": text(equality), "riskLevel": text(equality), "riskDetail": text(equality),
	"source": text(equality), "detectionTimingType": text(equality), "activity": text(equality), "tokenIssuerType": text(equality),
	"ipAddress": text(equality), "userId": text(equality), "userDisplayName": text(eqStarts), "userPrincipalName": text(eqStarts),
}

var riskyUserFilters = map[string]odata.Property{
	"riskLastUpdatedDateTime": when(ordered), "id": text(equality), "isDeleted": flag(), "isProcessing": flag(),
	"riskLevel": text(equality), "riskState": text(equality), "riskDetail": text(equality),
	"userDisplayName": text(eqStarts), "userPrincipalName": text(eqStarts),
}

var applicationFilters = map[string]odata.Property{
	"id": text(eqOnly), "appId": text(eqOnly), "displayName": text(eqStarts), "accountEnabled": flag(),
	"servicePrincipalType": text(equality), "createdDateTime": when(ordered),
}

var groupFilters = map[string]odata.Property{
	"id": text(eqOnly), "displayName": text(eqStarts), "mail": text(eqStarts), "mailEnabled": flag(), "securityEnabled": flag(),
	"groupTypes/any": text(eqOnly), "isAssignableToRole": flag(), "onPremisesSyncEnabled": flag(), "createdDateTime": when(ordered),
}

var deviceFilters = map[string]odata.Property{
	"id": text(eqOnly), "deviceId": text(eqOnly), "displayName": text(eqStarts), "accountEnabled": flag(), "trustType": text(equality),
	"operatingSystem": text(eqStarts), "isManaged": flag(), "isCompliant": flag(), "approximateLastSignInDateTime": when(ordered),
}

var userFilters = map[string]odata.Property{
	"id": text(eqOnly), "userPrincipalName": text(eqStarts), "mail": text(eqStarts), "displayName": text(eqStarts),
	"accountEnabled": flag(), "userType": text(equality), "createdDateTime": when(ordered),
	"signInActivity/lastSignInDateTime": when(ordered),
}

func with(base, more map[string]odata.Property) map[string]odata.Property {
	all := maps.Clone(base)
	maps.Copy(all, more)
	return all
}

// signInProperties are those of v1.0.
var signInProperties = []string{
	"id", "createdDateTime", "userDisplayName", "userPrincipalName", "userId", "appId", "appDisplayName", "ipAddress",
	"clientAppUsed", "correlationId", "conditionalAccessStatus", "isInteractive", "riskDetail", "riskLevelAggregated",
	"riskLevelDuringSignIn", "riskState", "riskEventTypes", "riskEventTypes_v2", "resourceDisplayName", "resourceId", "status",
	"deviceDetail", "location", "appliedConditionalAccessPolicies",
}

// userDefaults are what v1.0 returns of a user without $select.
var userDefaults = []string{
	"id", "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage",
	"surname", "userPrincipalName",
}

// futureValues are those of an evolvable enumeration, as JSON, that a client must ask for.
type futureValues struct {
	key string
	// prefix is how the member begins in compact JSON, up to the value's first quote.
	prefix []byte
	values []string
}

func newFuture(key string, values ...string) futureValues {
	f := futureValues{key: key, prefix: []byte(key + `":"`)}
	for _, v := range values {
		f.values = append(f.values, strconv.Quote(v))
	}
	return f
}

// future are the enumerations with members that a client must ask for by Prefer: include-unknown-enum-members; without
// it they arrive as unknownFutureValue. At most 8: shape.copy has room for so many.
var future = []futureValues{
	newFuture("incomingTokenType", "remoteDesktopToken", "refreshToken"),
	newFuture("authenticationProtocol", "authenticationTransfer", "nativeAuth"),
	newFuture("crossTenantAccessType", "passthrough"),
	newFuture("tokenIssuerType", "AzureADBackupAuth", "ADFederationServicesMFAAdapter", "NPSExtension"),
	newFuture("activity", "servicePrincipal"),
	newFuture("riskDetail", "m365DAdminDismissedDetection", "adminConfirmedServicePrincipalCompromised",
		"adminDismissedAllRiskForServicePrincipal", "userChangedPasswordOnPremises", "adminDismissedRiskForSignIn",
		"adminConfirmedAccountSafe", "microsoftRevokedSessions"),
}

// signInBetaProperties are what beta has beside v1.0.
var signInBetaProperties = []string{
	"agent", "alternateSignInName", "appOwnerTenantId", "appTokenProtectionStatus", "appliedEventListeners",
	"authenticationAppDeviceDetails", "authenticationAppPolicyEvaluationDetails", "authenticationContextClassReferences",
	"authenticationDetails", "authenticationMethodsUsed", "authenticationProcessingDetails", "authenticationProtocol",
	"authenticationRequirement", "authenticationRequirementPolicies", "autonomousSystemNumber", "azureResourceId",
	"clientCredentialType", "conditionalAccessAudiences", "crossTenantAccessType", "federatedCredentialId", "flaggedForReview",
	"globalSecureAccessIpAddress", "homeTenantId", "homeTenantName", "incomingTokenType", "ipAddressFromResourceProvider",
	"isTenantRestricted", "isThroughGlobalSecureAccess", "managedServiceIdentity", "networkLocationDetails",
	"originalRequestId", "originalTransferMethod", "privateLinkDetails", "processingTimeInMilliseconds",
	"resourceOwnerTenantId", "resourceServicePrincipalId", "resourceTenantId", "servicePrincipalCredentialKeyId",
	"servicePrincipalCredentialThumbprint", "servicePrincipalId", "servicePrincipalName", "sessionId",
	"sessionLifetimePolicies", "signInEventTypes", "signInIdentifier", "signInIdentifierType", "signInTokenProtectionStatus",
	"sourceAppClientId", "ssoExtensionVersion", "tokenIssuerName", "tokenIssuerType", "tokenProtectionStatusDetails",
	"uniqueTokenIdentifier", "userAgent", "userType",
}
