package decode

import (
	"strconv"
	"strings"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// policies decodes appliedConditionalAccessPolicies.
func (r *record) policies() []*eventv1.ConditionalAccessPolicy {
	var list []*eventv1.ConditionalAccessPolicy
	var policies slab[eventv1.ConditionalAccessPolicy]
	r.array(func() {
		if list == nil {
			// Tenants with policies have some.
			const some = 8
			list = make([]*eventv1.ConditionalAccessPolicy, 0, some)
		}
		p := policies.make()
		if r.object(func(key []byte) {
			switch string(key) {
			case "id":
				p.Id = r.str()
			case "displayname":
				p.DisplayName = r.str()
			case "result":
				p.Result = r.str()
			case "enforcedgrantcontrols":
				p.EnforcedGrantControls = r.list()
			case "enforcedsessioncontrols":
				p.EnforcedSessionControls = r.list()
			case "conditionssatisfied":
				p.ConditionsSatisfied = r.conditions()
			case "conditionsnotsatisfied":
				p.ConditionsNotSatisfied = r.conditions()
			default:
				r.skip()
			}
		}) {
			list = append(list, p)
		}
	})
	return list
}

// conditionNames are the members of Graph's conditionalAccessConditions by their bit.
var conditionNames = [...]string{
	"application", "users", "devicePlatform", "location", "clientType", "signInRisk", "userRisk", "time",
	"deviceState", "client", "ipAddressSeenByAzureAD", "ipAddressSeenByResourceProvider", "unknownFutureValue",
	"servicePrincipals", "servicePrincipalRisk", "authenticationFlows", "insiderRisk",
}

// noConditions is how Graph writes an empty set of conditions.
const noConditions = "none"

// conditions consumes a set of conditions: names in one string or in an array (Graph), or a bit mask
// (Event Hubs). It comes out as names in the order of their bits, with commas and without spaces; a mask
// with a bit that has no name stays in digits, a list with an unknown name as written.
func (r *record) conditions() string {
	var text string
	if r.peek() == '[' {
		text = strings.Join(r.list(), ",")
	} else {
		text = r.str()
	}
	if text == "" {
		return ""
	}
	mask, ok := conditionMask(text)
	if !ok {
		return text
	}
	if mask == 0 {
		return noConditions
	}
	return r.conditionText(mask)
}

// conditionText writes a set of conditions. The same few sets come again and again, so their texts are kept.
func (r *record) conditionText(mask uint64) string {
	const most = 256
	if text, ok := r.conditionTexts[mask]; ok {
		return text
	}
	var names []string
	for bit, name := range conditionNames {
		if mask&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	text := strings.Join(names, ",")
	if r.conditionTexts == nil || len(r.conditionTexts) >= most {
		r.conditionTexts = make(map[uint64]string)
	}
	r.conditionTexts[mask] = text
	return text
}

// conditionMask reads digits or names. False: it holds a condition without a name or bit.
func conditionMask(text string) (mask uint64, ok bool) {
	const all = 1<<len(conditionNames) - 1
	if mask, err := strconv.ParseUint(text, 10, 64); err == nil {
		return mask, mask <= all
	}
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if strings.EqualFold(name, noConditions) {
			continue
		}
		known := false
		for bit, candidate := range conditionNames {
			if strings.EqualFold(name, candidate) {
				mask |= 1 << bit
				known = true
				break
			}
		}
		if !known {
			return 0, false
		}
	}
	return mask, true
}
