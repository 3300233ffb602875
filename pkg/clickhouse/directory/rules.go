package directory

import (
	"strings"

	"github.com/entraflow/entraflow/pkg/config"
)

// Rules are what an operator says of a tenant's users, since no directory does.
type Rules struct {
	// EmergencyAccess are the accounts for emergencies, by object id or user principal name. What is declared here
	// is never taken for an account of a service.
	EmergencyAccess []string `yaml:"emergency_access"`
	// NonHuman says which users are programs.
	NonHuman NonHumanRules `yaml:"non_human"`
	// IncludeReaders makes those who hold a role that only reads what is confidential (Global Reader) admins too.
	IncludeReaders bool `yaml:"include_readers"`
}

// NonHumanRules say which users are programs: those declared, the members of the groups, and those of whom enough
// signs speak. The signs are a name that matches, no manager, employee id, department, or mail and licence, a password
// that never expires, and sign-ins by clients alone.
type NonHumanRules struct {
	// Users are declared, by object id or user principal name.
	Users []string `yaml:"users"`
	// Groups are object ids; members of groups in them count.
	Groups []string `yaml:"groups"`
	// Names match user principal names, what stands before "@" in them, or display names: "*" is any text, "?" one
	// character. Case does not matter.
	Names []string `yaml:"names"`
	// Signs is how many signs are enough. No sign alone says it.
	Signs int `yaml:"signs"`
}

const (
	// maxRules bounds a list: they travel with each statement.
	maxRules   = 1000
	maxRuleLen = 320
	minSigns   = 2
	maxSigns   = 4
)

// DefaultRules know no account by itself, and the names that services commonly have.
func DefaultRules() Rules {
	return Rules{NonHuman: NonHumanRules{
		Names: []string{"svc-*", "svc_*", "svc.*", "sa-*", "sa_*", "srv-*", "srv_*", "service-*", "service_*", "service.*", "*-svc", "*_svc"},
		Signs: minSigns,
	}}
}

// Validate names every fault by its key.
func (r Rules) Validate() error {
	var p config.Problems
	list := func(key string, values []string) {
		p.Check(len(values) <= maxRules, key, "must have at most %d entries", maxRules)
		for _, value := range values {
			p.Check(value != "" && len(value) <= maxRuleLen, key, "must have entries of 1 to %d bytes", maxRuleLen)
		}
	}
	list("emergency_access", r.EmergencyAccess)
	list("non_human.users", r.NonHuman.Users)
	list("non_human.groups", r.NonHuman.Groups)
	list("non_human.names", r.NonHuman.Names)
	for _, name := range r.NonHuman.Names {
		p.Check(strings.Trim(name, "*?") != "", "non_human.names", "must have more than wildcards")
	}
	p.Check(r.NonHuman.Signs >= minSigns && r.NonHuman.Signs <= maxSigns, "non_human.signs", "must be between %d and %d", minSigns, maxSigns)
	return p.Err()
}

// like turns a pattern with * and ? into one of LIKE, in lower case.
func like(pattern string) string {
	return strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`, "*", "%", "?", "_").Replace(strings.ToLower(pattern))
}

func lower(values []string) []string {
	folded := make([]string, 0, len(values))
	for _, value := range values {
		folded = append(folded, strings.ToLower(value))
	}
	return folded
}
