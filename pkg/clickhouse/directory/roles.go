package directory

import (
	_ "embed"
	"encoding/csv"
	"strings"
)

// rolesFile is the list of roles by what their holders can reach: tier 0 leads to Global Administrator, tier 1 is
// privileged, tier 2 reads what is confidential. The templates' ids are the same in every tenant.
//
//go:embed roles.csv
var rolesFile string

// Roles that whatever holds them is a program.
const (
	syncAccounts   = "d29b2b05-8046-44ba-8758-1e26182fcf32"
	onPremisesSync = "a92aed5d-d78a-4d16-b381-09adb37eb3b0"
)

// GlobalAdministrator is the template id of the role.
const GlobalAdministrator = "62e90394-69f5-4237-9190-012177145e10"

// Role is a built-in role of the list.
type Role struct {
	// Tier is 0, 1 or 2.
	Tier int
	// TemplateID is the role's id in every tenant.
	TemplateID string
	Name       string
}

// Roles returns the built-in roles that are privileged or read what is confidential, by tier.
func Roles() []Role {
	// The file is part of the program, and a test reads it.
	records, _ := csv.NewReader(strings.NewReader(rolesFile)).ReadAll()
	var roles []Role
	for _, r := range records[1:] {
		roles = append(roles, Role{Tier: int(r[0][0] - '0'), TemplateID: r[1], Name: r[2]})
	}
	return roles
}

func templates(tier int) []string {
	var ids []string
	for _, r := range Roles() {
		if r.Tier == tier {
			ids = append(ids, r.TemplateID)
		}
	}
	return ids
}

// writes matches the actions that make a custom role privileged, unless they end in "/read": on applications and
// credentials, role assignments, authentication methods and passwords of users, policies, and domains.
const writes = `^microsoft\.directory/(applications|applications\.[a-z]+|serviceprincipals|rolemanagement|roleassignments|roledefinitions` +
	`|users/authenticationmethods|users/password|[a-z]*policies|domains)(/|$)`
