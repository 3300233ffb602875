package decode

import (
	"strings"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// The types of sign-ins as Graph's signInEventTypes name them.
const (
	eventInteractive      = "interactiveUser"
	eventNonInteractive   = "nonInteractiveUser"
	eventServicePrincipal = "servicePrincipal"
	eventManagedIdentity  = "managedIdentity"
)

// hidden is what Microsoft writes into risk fields that the tenant's licence does not cover.
const hidden = "hidden"

// signInFromEnvelope fills what the properties left out from the hub's envelope.
func (r *record) signInFromEnvelope(s *eventv1.SignIn, p *signInParts) {
	if s.GetIpAddress() == "" {
		s.IpAddress = r.callerAddress()
	}
	if s.GetCorrelationId() == "" {
		s.CorrelationId = r.outer(envCorrelationID)
	}
	if p.location.GetCountry() == "" && r.at(envLocation) && r.peek() == '"' {
		// On sign-ins it is a country's code.
		const codeLen = 2
		if code := r.str(); len(code) == codeLen {
			p.location.Country = strings.ToUpper(code)
			s.Location = &p.location
		}
	}
	if s.ErrorCode == nil {
		if code, ok := parseInteger(r.outer(envResultType)); ok {
			s.ErrorCode = &code
		}
	}
	if !p.hasStatus && s.GetErrorCode() != 0 {
		s.FailureReason = r.outer(envResultDescription)
	}
	if s.ErrorCode == nil {
		if s.Outcome = outcomeOfWord(r.outer(envResultType)); s.GetOutcome() == "" {
			s.Outcome = outcomeOfWord(r.outer(envResultSignature))
		}
	}
}

// callerAddress is the envelope's address.
func (r *record) callerAddress() string {
	for _, member := range [...]int{envCallerIP, envIPAddress} {
		if r.at(member) {
			if address := r.address(); address != "" {
				return address
			}
		}
	}
	return ""
}

// finishType settles who signed in. In a hub the category says it; Graph says it in signInEventTypes,
// and from there the category follows.
func (r *record) finishType(s *eventv1.SignIn) {
	told := typeOfEvents(s.GetEventTypes())
	s.Type = r.row.signIn
	if told != 0 && (r.source == eventv1.Source_SOURCE_GRAPH || s.GetType() == 0) {
		s.Type = told
	}
	if s.GetType() == 0 && s.IsInteractive != nil {
		s.Type = eventv1.SignInType_SIGN_IN_TYPE_NON_INTERACTIVE
		if s.GetIsInteractive() {
			s.Type = eventv1.SignInType_SIGN_IN_TYPE_INTERACTIVE
		}
	}
	if r.unnamed && s.GetType() == 0 {
		// The category that is made up for it says as much.
		s.Type = eventv1.SignInType_SIGN_IN_TYPE_INTERACTIVE
		if s.GetUserId() == "" && s.GetServicePrincipalId() != "" {
			s.Type = eventv1.SignInType_SIGN_IN_TYPE_SERVICE_PRINCIPAL
		}
	}
	if r.unnamed || r.source == eventv1.Source_SOURCE_GRAPH && s.GetType() != r.row.signIn {
		r.category = signInCategories[s.GetType()]
	}
	if len(s.GetEventTypes()) > 0 {
		return
	}
	switch s.GetType() {
	case eventv1.SignInType_SIGN_IN_TYPE_INTERACTIVE:
		s.EventTypes = []string{eventInteractive}
	case eventv1.SignInType_SIGN_IN_TYPE_NON_INTERACTIVE:
		s.EventTypes = []string{eventNonInteractive}
	case eventv1.SignInType_SIGN_IN_TYPE_SERVICE_PRINCIPAL:
		s.EventTypes = []string{eventServicePrincipal}
	case eventv1.SignInType_SIGN_IN_TYPE_MANAGED_IDENTITY:
		s.EventTypes = []string{eventManagedIdentity}
	case eventv1.SignInType_SIGN_IN_TYPE_ADFS, eventv1.SignInType_SIGN_IN_TYPE_UNSPECIFIED:
	}
}

// typeOfEvents reads the type out of signInEventTypes: the first that is known.
func typeOfEvents(events []string) eventv1.SignInType {
	for _, event := range events {
		switch {
		case strings.EqualFold(event, eventInteractive):
			return eventv1.SignInType_SIGN_IN_TYPE_INTERACTIVE
		case strings.EqualFold(event, eventNonInteractive):
			return eventv1.SignInType_SIGN_IN_TYPE_NON_INTERACTIVE
		case strings.EqualFold(event, eventServicePrincipal):
			return eventv1.SignInType_SIGN_IN_TYPE_SERVICE_PRINCIPAL
		case strings.EqualFold(event, eventManagedIdentity):
			return eventv1.SignInType_SIGN_IN_TYPE_MANAGED_IDENTITY
		}
	}
	return eventv1.SignInType_SIGN_IN_TYPE_UNSPECIFIED
}

func (r *record) finishStatus(s *eventv1.SignIn) {
	if s.ErrorCode == nil {
		return
	}
	s.Outcome = outcomeOf(s.GetErrorCode())
	if s.GetErrorCode() == 0 && s.GetFailureReason() == "Other." {
		// Graph writes this into every success; hubs write nothing.
		s.FailureReason = ""
	}
}

// withheldSignIn says whether the source held fields back: risk without the licence for it, and from
// Graph the Conditional Access results without Policy.Read.All, which show by a verdict without policies.
func withheldSignIn(s *eventv1.SignIn, source eventv1.Source) bool {
	if anyHidden(s.GetRiskDetail(), s.GetRiskLevelAggregated(), s.GetRiskLevelDuringSignIn(), s.GetRiskState()) {
		return true
	}
	status := s.GetConditionalAccessStatus()
	judged := strings.EqualFold(status, "success") || strings.EqualFold(status, "failure")
	return source == eventv1.Source_SOURCE_GRAPH && judged && len(s.GetAppliedConditionalAccessPolicies()) == 0
}

func anyHidden(values ...string) bool {
	for _, value := range values {
		if strings.EqualFold(value, hidden) {
			return true
		}
	}
	return false
}

// tokenType brings the names of incoming token types to Graph's spelling; others stay as written.
func tokenType(text string) string {
	for _, name := range [...]string{
		"none", "primaryRefreshToken", "saml11", "saml20", "remoteDesktopToken", "refreshToken", "unknownFutureValue",
	} {
		if sameLetters(text, name) {
			return name
		}
	}
	return text
}

// sameLetters compares two texts by their letters and digits alone, without case.
func sameLetters(text, name string) bool {
	n := 0
	for i := range len(text) {
		c := text[i]
		if c == ' ' || c == '.' || c == '_' || c == '-' {
			continue
		}
		if n == len(name) || c|0x20 != name[n]|0x20 {
			return false
		}
		n++
	}
	return n == len(name)
}
