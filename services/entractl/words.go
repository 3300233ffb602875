package entractl

import (
	"fmt"
	"slices"
	"strings"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// dataTypes are the ids that shell completion offers; the gateway decides which there are.
func dataTypes() []string { return slices.Concat(logTypes, stateTypes) }

// stateTypes are the data types of the directory that a test asks for.
var stateTypes = []string{
	"users", "groups", "devices", "applications", "service_principals", "directory_roles", "conditional_access",
	"auth_methods_registration", "intune_devices",
}

// logTypes are the data types that happen; the others are states.
var logTypes = []string{
	"signin.interactive", "signin.non_interactive", "signin.service_principal", "signin.managed_identity",
	"audit", "provisioning", "risk_detection", "risky_user",
}

// licences are those that shell completion offers.
var licences = []string{"P1", "P2", "Intune"}

// spellLicences gives licences the spelling that the report has, else that of licences: the collector compares them
// letter by letter.
func spellLicences(given []string, report *controlv1.ConnectionReport) []string {
	known := slices.Clone(report.GetLicences())
	for _, d := range report.GetDataTypes() {
		known = append(known, d.GetLicence())
	}
	known = append(known, licences...)
	var spelt []string
	for _, licence := range given {
		if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, licence) }); i >= 0 {
			licence = known[i]
		}
		spelt = append(spelt, licence)
	}
	return spelt
}

func permissionSets() map[string]controlv1.PermissionSet {
	return map[string]controlv1.PermissionSet{
		"read_only":  controlv1.PermissionSet_PERMISSION_SET_READ_ONLY,
		"read_write": controlv1.PermissionSet_PERMISSION_SET_READ_WRITE,
	}
}

// word is the name of an enum's value without its prefix, as people write it: "partly succeeded".
func word(value fmt.Stringer, prefix string) string {
	name := strings.TrimPrefix(value.String(), prefix)
	if name == "UNSPECIFIED" {
		return "-"
	}
	return clean(strings.ToLower(strings.ReplaceAll(name, "_", " ")))
}

func stateWord(s controlv1.RunState) string     { return word(s, "RUN_STATE_") }
func triggerWord(t controlv1.RunTrigger) string { return word(t, "RUN_TRIGGER_") }

func permissionSetWord(s controlv1.PermissionSet) string {
	if s == controlv1.PermissionSet_PERMISSION_SET_UNSPECIFIED {
		s = controlv1.PermissionSet_PERMISSION_SET_READ_ONLY
	}
	return strings.ReplaceAll(word(s, "PERMISSION_SET_"), " ", "_")
}

func ended(s controlv1.RunState) bool {
	switch s {
	case controlv1.RunState_RUN_STATE_SUCCEEDED, controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED,
		controlv1.RunState_RUN_STATE_FAILED, controlv1.RunState_RUN_STATE_CANCELLED:
		return true
	default:
		return false
	}
}

// problemText says what is wrong, with Microsoft's code: "the secret has expired (AADSTS7000222)".
func problemText(p *controlv1.Problem) string {
	if p == nil {
		return ""
	}
	text := clean(first(p.GetDetail(), strings.ReplaceAll(p.GetCause(), "_", " "), "unknown cause"))
	if code := clean(p.GetCode()); code != "" && !strings.Contains(text, code) {
		text += " (" + code + ")"
	}
	return text
}

// problemDetail is problemText with what Microsoft's support asks for.
func problemDetail(p *controlv1.Problem) string {
	text := problemText(p)
	if id := clean(p.GetRequestId()); id != "" {
		text += ", request id " + id
	}
	return text
}

// availabilityText says why a data type is not available; "" if it is.
func availabilityText(d *controlv1.DataTypeReport) string {
	needs := func(what, of string) string {
		if of == "" {
			return what
		}
		return what + ": needs " + clean(of)
	}
	switch d.GetAvailability() {
	case controlv1.Availability_AVAILABILITY_AVAILABLE:
		return ""
	case controlv1.Availability_AVAILABILITY_LICENCE_MISSING:
		return needs("licence missing", d.GetLicence())
	case controlv1.Availability_AVAILABILITY_PERMISSION_MISSING:
		return needs("permission missing", d.GetPermission())
	case controlv1.Availability_AVAILABILITY_CONSENT_MISSING:
		return needs("no administrator consented", d.GetPermission())
	case controlv1.Availability_AVAILABILITY_ERROR:
		return first(problemDetail(d.GetProblem()), "error")
	default:
		return "not tested"
	}
}

// remedies collects what helps, each remedy once with all that it helps.
type remedies struct {
	order []string
	helps map[string][]string
}

func (r *remedies) add(what string, p *controlv1.Problem) {
	remedy := clean(p.GetRemedy())
	if remedy == "" {
		return
	}
	if r.helps == nil {
		r.helps = map[string][]string{}
	}
	if r.helps[remedy] == nil {
		r.order = append(r.order, remedy)
	}
	r.helps[remedy] = append(r.helps[remedy], clean(what))
}

// text is a list of all, a remedy a line; "" if there is none.
func (r *remedies) text() string {
	if len(r.order) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\nWhat helps:\n")
	for _, remedy := range r.order {
		fmt.Fprintf(&b, "  %s: %s\n", strings.Join(r.helps[remedy], ", "), remedy)
	}
	return b.String()
}
