package decode

import "strings"

// signs counts, by kind, the members that hardly any other kind of record has.
type signs struct {
	signIn, audit, riskDetection, riskyUser, provisioning int
}

func (n *signs) count(key []byte) {
	switch string(key) {
	case "conditionalaccessstatus", "clientappused", "isinteractive", "authenticationprotocol",
		"authenticationrequirement", "signineventtypes", "uniquetokenidentifier", "risklevelduringsignin",
		"appliedconditionalaccesspolicies", "tokenissuertype", "authenticationdetails", "devicedetail",
		"incomingtokentype", "resourcedisplayname":
		n.signIn++
	case "activitydisplayname", "loggedbyservice", "initiatedby", "targetresources", "operationtype":
		n.audit++
	case "riskeventtype", "risktype", "detectiontimingtype", "detecteddatetime":
		n.riskDetection++
	case "risklastupdateddatetime", "isprocessing":
		n.riskyUser++
	case "provisioningaction", "provisioningsteps", "provisioningstatusinfo", "cycleid", "changeid", "sourceidentity":
		n.provisioning++
	}
}

// shape tells a record's kind by its members, empty if they do not. Two signs decide, so that a name
// that another service uses by chance does not. A named category is only overruled for sign-ins and
// audits; others get their own kind from the first day on.
func (r *record) shape(unnamed bool) string {
	var n signs
	r.toPayload()
	r.object(func(key []byte) {
		n.count(key)
		r.skip()
	})
	const enough = 2
	isRisk := n.riskDetection >= enough
	isProvisioning := n.provisioning >= enough
	switch {
	case isRisk && unnamed:
		return KindRiskDetection
	case isProvisioning && unnamed:
		return KindProvisioning
	case isRisk || isProvisioning:
		return ""
	case n.audit >= enough:
		return KindAudit
	case n.signIn >= enough, n.signIn > 0 && strings.EqualFold(r.outer(envOperation), "Sign-in activity"):
		return KindSignIn
	case n.riskyUser >= enough && unnamed:
		return KindRiskyUser
	default:
		return ""
	}
}
