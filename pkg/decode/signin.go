package decode

import (
	"strings"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// signIn decodes a sign-in. Where Graph and Event Hubs write the same thing in two ways, it comes out in
// one way, so that the same sign-in has the same fields from both:
//
//   - user_type in lower case, incoming_token_type in Graph's spelling, country codes in upper case,
//     times in UTC, "", {} and null alike;
//   - is_compliant and is_managed are true or absent: hubs leave out false, and so does the decoder;
//   - conditions_satisfied as names, also where a hub writes a bit mask;
//   - latitude and longitude both 0 count as none, failure_reason "Other." of a success as empty.
func (r *record) signIn(e *eventv1.Event) {
	block := &struct {
		payload eventv1.Event_SignIn
		signIn  eventv1.SignIn
	}{}
	s := &block.signIn
	block.payload.SignIn = s
	e.Payload = &block.payload

	var p signInParts
	r.object(func(key []byte) {
		if field := signInText(s, key); field != nil {
			*field = r.str()
			return
		}
		if !r.signInValue(s, key) && !r.signInObject(s, &p, key) && !r.signInList(s, &p, key) {
			r.skip()
		}
	})
	if s.RiskEventTypes = p.riskEventTypesV2; len(p.riskEventTypesV2) == 0 {
		s.RiskEventTypes = p.riskEventTypes
	}
	if r.flat && strings.HasPrefix(s.GetResourceId(), "/") {
		// The Azure resource of the envelope, not what was signed in to.
		s.ResourceId = ""
	}
	if r.source == eventv1.Source_SOURCE_EVENT_HUB {
		r.signInFromEnvelope(s, &p)
	}
	r.finishType(s)
	r.finishStatus(s)
	r.withheld = withheldSignIn(s, r.source)
}

// signInParts are values that are needed beside the fields of a sign-in.
type signInParts struct {
	riskEventTypes   []string
	riskEventTypesV2 []string
	hasStatus        bool
	location         eventv1.Location
}

// signInText returns the field that takes a member as text.
//
//nolint:funlen // a table
func signInText(s *eventv1.SignIn, key []byte) *string {
	switch string(key) {
	case "userid":
		return &s.UserId
	case "userprincipalname":
		return &s.UserPrincipalName
	case "userdisplayname":
		return &s.UserDisplayName
	case "signinidentifier":
		return &s.SignInIdentifier
	case "signinidentifiertype":
		return &s.SignInIdentifierType
	case "alternatesigninname":
		return &s.AlternateSignInName
	case "serviceprincipalid":
		return &s.ServicePrincipalId
	case "serviceprincipalname":
		return &s.ServicePrincipalName
	case "serviceprincipalcredentialkeyid":
		return &s.ServicePrincipalCredentialKeyId
	case "serviceprincipalcredentialthumbprint":
		return &s.ServicePrincipalCredentialThumbprint
	case "clientcredentialtype":
		return &s.ClientCredentialType
	case "federatedcredentialid":
		return &s.FederatedCredentialId
	case "managedidentitytype":
		return &s.ManagedIdentityType
	case "appid":
		return &s.AppId
	case "appdisplayname":
		return &s.AppDisplayName
	case "appownertenantid":
		return &s.AppOwnerTenantId
	case "appserviceprincipalid":
		return &s.AppServicePrincipalId
	case "sourceappclientid":
		return &s.SourceAppClientId
	case "resourceid":
		return &s.ResourceId
	case "resourcedisplayname":
		return &s.ResourceDisplayName
	case "resourcetenantid":
		return &s.ResourceTenantId
	case "resourceownertenantid":
		return &s.ResourceOwnerTenantId
	case "resourceserviceprincipalid":
		return &s.ResourceServicePrincipalId
	case "clientappused":
		return &s.ClientAppUsed
	case "authenticationprotocol":
		return &s.AuthenticationProtocol
	case "originaltransfermethod":
		return &s.OriginalTransferMethod
	case "useragent":
		return &s.UserAgent
	case "redirecturl":
		return &s.RedirectUrl
	case "conditionalaccessstatus":
		return &s.ConditionalAccessStatus
	case "authenticationrequirement":
		return &s.AuthenticationRequirement
	case "riskdetail":
		return &s.RiskDetail
	case "risklevelaggregated":
		return &s.RiskLevelAggregated
	case "risklevelduringsignin":
		return &s.RiskLevelDuringSignIn
	case "riskstate":
		return &s.RiskState
	case "correlationid":
		return &s.CorrelationId
	case "originalrequestid":
		return &s.OriginalRequestId
	case "uniquetokenidentifier":
		return &s.UniqueTokenIdentifier
	case "sessionid":
		return &s.SessionId
	case "tokenissuername":
		return &s.TokenIssuerName
	case "tokenissuertype":
		return &s.TokenIssuerType
	case "signintokenprotectionstatus":
		return &s.SignInTokenProtectionStatus
	case "crosstenantaccesstype":
		return &s.CrossTenantAccessType
	case "hometenantid":
		return &s.HomeTenantId
	case "hometenantname":
		return &s.HomeTenantName
	default:
		return nil
	}
}

// signInValue takes the members that are single values but no plain text.
func (r *record) signInValue(s *eventv1.SignIn, key []byte) bool {
	switch string(key) {
	case "id":
		r.id = r.str()
	case "createddatetime":
		r.created = r.instant()
	case "usertype":
		s.UserType = r.lower()
	case "incomingtokentype":
		s.IncomingTokenType = tokenType(r.str())
	case "ipaddress":
		s.IpAddress = r.address()
	case "ipaddressfromresourceprovider":
		s.IpAddressFromResourceProvider = r.address()
	case "globalsecureaccessipaddress":
		s.GlobalSecureAccessIpAddress = r.address()
	case "isinteractive":
		s.IsInteractive = r.boolean()
	case "isthroughglobalsecureaccess":
		s.IsThroughGlobalSecureAccess = r.boolean()
	case "flaggedforreview":
		s.FlaggedForReview = r.boolean()
	case "istenantrestricted":
		s.IsTenantRestricted = r.boolean()
	case "autonomoussystemnumber":
		s.AutonomousSystemNumber = r.unsigned()
	case "processingtimeinmilliseconds":
		s.ProcessingTimeMs = r.integer()
	default:
		return false
	}
	return true
}

// signInObject takes the members that are objects.
func (r *record) signInObject(s *eventv1.SignIn, p *signInParts, key []byte) bool {
	switch string(key) {
	case "status":
		p.hasStatus = r.status(s)
	case "devicedetail":
		s.Device = r.device()
	case "location":
		r.location(&p.location)
		s.Location = knownLocation(&p.location)
	case "mfadetail":
		s.MfaAuthMethod, s.MfaAuthDetail = r.twoTexts("authmethod", "authdetail")
	case "privatelinkdetails":
		s.PrivateLinkResourceId, _ = r.twoTexts("resourceid", "")
	case "managedserviceidentity":
		r.managedIdentity(s)
	case "tokenprotectionstatusdetails":
		r.tokenProtection(s)
	case "agent":
		r.agent(s)
	default:
		return false
	}
	return true
}

// signInList takes the members that are arrays.
func (r *record) signInList(s *eventv1.SignIn, p *signInParts, key []byte) bool {
	switch string(key) {
	case "signineventtypes":
		s.EventTypes = r.list()
	case "riskeventtypes":
		p.riskEventTypes = r.list()
	case "riskeventtypes_v2":
		p.riskEventTypesV2 = r.list()
	case "authenticationmethodsused":
		s.AuthenticationMethodsUsed = r.list()
	case "networklocationdetails":
		s.NetworkLocations = r.networkLocations()
	case "appliedconditionalaccesspolicies":
		s.AppliedConditionalAccessPolicies = r.policies()
	case "conditionalaccessaudiences":
		s.ConditionalAccessAudiences = r.listOf("applicationid")
	case "authenticationcontextclassreferences":
		s.AuthenticationContextClassReferences = r.pairs("id", "detail")
	case "authenticationrequirementpolicies":
		s.AuthenticationRequirementPolicies = r.pairs("requirementprovider", "detail")
	case "authenticationdetails":
		s.AuthenticationDetails = r.authenticationSteps()
	case "authenticationprocessingdetails":
		s.AuthenticationProcessingDetails = r.pairs("key", "value")
	case "sessionlifetimepolicies":
		s.SessionLifetimePolicies = r.pairs("expirationrequirement", "detail")
	default:
		return false
	}
	return true
}
