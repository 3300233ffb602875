package tenant

// authentication writes what was asked for and which steps were taken.
func (w *writer) authentication(s *signIn) {
	switch {
	case s.multiFactor && s.log == logInteractive:
		w.raw(`,"authenticationRequirement":"multiFactorAuthentication","authenticationRequirementPolicies":` +
			`[{"requirementProvider":"multiConditionalAccess","detail":"Conditional Access"}],"authenticationDetails":[`)
	case s.multiFactor:
		w.raw(`,"authenticationRequirement":"multiFactorAuthentication","authenticationDetails":[`)
	default:
		w.raw(`,"authenticationRequirement":"singleFactorAuthentication","authenticationDetails":[`)
	}
	w.steps(s)
	w.raw("]")
}

// oneStep is an entry of authenticationDetails.
type oneStep struct {
	after                               ticks
	method, detail, result, requirement string
	succeeded                           bool
}

const (
	primary   = "Primary authentication"
	byMFA     = "Multifactor authentication"
	cloudHash = "Password in the cloud"
	correct   = "Correct password"
)

func (w *writer) steps(s *signIn) {
	right := oneStep{method: "Password", detail: cloudHash, result: correct, requirement: primary, succeeded: true}
	push := oneStep{
		after: 8 * perSecond, method: "Mobile app notification", result: "MFA completed in Azure AD",
		requirement: byMFA, succeeded: true,
	}
	switch s.steps {
	case stepsNone:
	case passwordRight:
		w.step(s, 1, &right)
	case passwordWrong:
		right.result, right.succeeded = "Invalid username or password or Invalid on-premise username or password.", false
		w.step(s, 1, &right)
	case accountDisabled:
		right.result, right.succeeded = "User account is disabled", false
		w.step(s, 1, &right)
	case passwordAndMFA:
		w.step(s, 1, &right)
		w.raw(",")
		w.step(s, 2, &push)
	case passwordMFAAsked:
		w.step(s, 1, &right)
		w.raw(",")
		push.method, push.result, push.succeeded = "", "MFA required in Azure AD", false
		w.step(s, 2, &push)
	case passwordMFADenied:
		w.step(s, 1, &right)
		w.raw(",")
		push.result, push.succeeded = s.detail, false
		w.step(s, 2, &push)
	case satisfiedByClaim:
		w.step(s, 1, &oneStep{
			method: "Previously satisfied", result: "First factor requirement satisfied by claim in the token",
			requirement: primary, succeeded: true,
		})
	}
}

func (w *writer) step(s *signIn, n int, one *oneStep) {
	w.time(`{"authenticationStepDateTime":"`, s.at+one.after)
	w.optional(`,"authenticationMethod":`, one.method)
	if one.detail != "" {
		w.text(`,"authenticationMethodDetail":"`, one.detail)
	}
	w.boolean(`,"succeeded":`, one.succeeded)
	w.text(`,"authenticationStepResultDetail":"`, one.result)
	w.text(`,"authenticationStepRequirement":"`, one.requirement)
	if w.f.hub {
		w.number(`,"RequestSequence":`, n)
		w.raw(`,"StatusSequence":0`)
	}
	w.raw("}")
}

// The tenant's Conditional Access policies.
const (
	policyMFA = iota
	policyLegacy
)

// policies writes the verdict of Conditional Access with the policies behind it.
func (w *writer) policies(s *signIn) {
	status, result, satisfied, not := "notApplied", "notApplied", "application", "users"
	switch s.access {
	case accessGranted:
		status, result, satisfied, not = "success", "success", "application,users", "none"
	case accessRefused:
		status, result, satisfied, not = "failure", "failure", "application,users", "none"
	case accessNotApplied:
	}
	w.text(`,"conditionalAccessStatus":"`, status)
	w.raw(`,"appliedConditionalAccessPolicies":[`)
	if w.f.hide&HidePolicies == 0 && s.isUser {
		w.policy(policyMFA, `,"displayName":"CA001 Require MFA for all users","enforcedGrantControls":["Mfa"]`, result, satisfied, not)
		if s.access == accessRefused && s.client != browserClient && s.client != desktopClient {
			w.raw(",")
			w.policy(policyLegacy, `,"displayName":"CA002 Block legacy authentication","enforcedGrantControls":["Block"]`,
				"failure", "application,users", "none")
		}
	}
	w.raw("]")
}

func (w *writer) policy(n int, head, result, satisfied, not string) {
	w.guid(`{"id":"`, w.t.ids.seal(classPolicy, 0, uint64(n)))
	w.raw(head)
	w.text(`,"enforcedSessionControls":[],"result":"`, result)
	if w.f.hub {
		w.number(`,"conditionsSatisfied":`, conditionBits(satisfied))
		w.number(`,"conditionsNotSatisfied":`, conditionBits(not))
	} else {
		w.text(`,"conditionsSatisfied":"`, satisfied)
		w.text(`,"conditionsNotSatisfied":"`, not)
	}
	w.raw("}")
}

// conditionBits returns the mask that a hub writes for a set of conditions.
func conditionBits(names string) int {
	switch names {
	case "application":
		return 1
	case "users":
		return 1 << 1
	case "application,users":
		return 1 | 1<<1
	case "clientType":
		return 1 << 4
	default:
		return 0
	}
}
