package decode

import "strings"

// The members of a record that the envelope is made of.
const (
	envTime = iota
	envCategory
	envTenantID
	envResourceID
	envProperties
	envOperation
	envResultType
	envResultSignature
	envResultDescription
	envResult
	envCallerIP
	envIPAddress
	envIdentity
	envCorrelationID
	envLocation
	envID
	envSize
)

// span is a value's place in the record's text; the zero value is an absent one.
type span struct{ from, to int }

// envelope holds the places of a record's outer members.
type envelope [envSize]span

// envelopeMember finds a member's index, -1 if it is none of the envelope's.
func envelopeMember(key []byte) int {
	switch string(key) {
	case "time":
		return envTime
	case "category":
		return envCategory
	case "tenantid":
		return envTenantID
	case "resourceid":
		return envResourceID
	case "properties":
		return envProperties
	case "operationname":
		return envOperation
	case "resulttype":
		return envResultType
	case "resultsignature":
		return envResultSignature
	case "resultdescription":
		return envResultDescription
	case "result":
		return envResult
	case "calleripaddress":
		return envCallerIP
	case "ipaddress":
		return envIPAddress
	case "identity":
		return envIdentity
	case "correlationid":
		return envCorrelationID
	case "location":
		return envLocation
	case "id":
		return envID
	default:
		return -1
	}
}

// scanEnvelope checks that s is one JSON object and notes where the envelope's members stand. at is the
// place of the fault.
func scanEnvelope(s string) (env envelope, at int, f fault) {
	var keys [maxKey]byte
	i := skipSpace(s, 0)
	if i >= len(s) {
		return env, i, faultEnd
	}
	if s[i] != '{' {
		return env, i, faultSyntax
	}
	i = skipSpace(s, i+1)
	if i < len(s) && s[i] == '}' {
		return env, i, trailing(s, i+1)
	}
	for {
		start := i
		if i, f = skipKey(s, i); f != noFault {
			return env, i, f
		}
		// From the opening quote to the colon.
		name := s[start+1 : i-1]
		for name[len(name)-1] != '"' {
			name = name[:len(name)-1]
		}
		value := skipSpace(s, i)
		if i, f = skipValue(s, value); f != noFault {
			return env, i, f
		}
		if member := envelopeMember(foldKey(name[:len(name)-1], &keys)); member >= 0 {
			env[member] = span{value, i}
		}
		i = skipSpace(s, i)
		if i >= len(s) {
			return env, i, faultEnd
		}
		if s[i] == '}' {
			return env, i, trailing(s, i+1)
		}
		if s[i] != ',' {
			return env, i, faultSyntax
		}
		i = skipSpace(s, i+1)
	}
}

func trailing(s string, i int) fault {
	if skipSpace(s, i) < len(s) {
		return faultTrailing
	}
	return noFault
}

// at returns a reader's view of an envelope member: the reader is put at it. False: absent or null.
func (r *record) at(member int) bool {
	place := r.env[member]
	if place.to == 0 || r.text[place.from] == 'n' {
		return false
	}
	r.s, r.i = r.text, place.from
	return true
}

// outer returns an envelope member as text, empty if it is absent.
func (r *record) outer(member int) string {
	if !r.at(member) {
		return ""
	}
	return r.str()
}

// tenantOfResource takes the tenant out of "/tenants/{id}/providers/Microsoft.aadiam".
func tenantOfResource(resource string) string {
	const prefix = "/tenants/"
	if len(resource) < len(prefix) || !strings.EqualFold(resource[:len(prefix)], prefix) {
		return ""
	}
	tenant, _, _ := strings.Cut(resource[len(prefix):], "/")
	return cleanTenant(tenant)
}
