// Package directory asks set-based questions of the tables of the directory: who is a member of what, however
// nested, who holds which role, in person or by a group, and what every user is.
//
// It holds SQL and its parameters, and rules; it sends nothing. What it says in SQL are relations to select from, so
// that one statement answers for all users of a tenant.
package directory

import (
	_ "embed"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// maxDepth bounds how deep groups in groups are followed; a cycle is followed as deep.
const maxDepth = 32

// tierNone is the tier of a role that is in none.
const tierNone = 255

// PopulationSQL is a WITH clause that stands before a SELECT from the relations that it says: roles_held, privileged
// and classified. It needs the parameters of Population.
//
//	privileged: tenant_id, principal_id, template_id, role_definition_id, role_name, tier, scope_id ("/": the tenant),
//	    holdings (of active, activated, scheduled, eligible), via_group_id ("": in person), depth
//	classified: tenant_id, id, classes (of Classes), reasons (array of pairs of class and reason)
//
//go:embed population.sql
var PopulationSQL string

// Classes of users. Each user is a member or a guest; the others may come to that.
const (
	ClassMember          = "member"
	ClassGuest           = "guest"
	ClassAdmin           = "admin"
	ClassNonHuman        = "non_human"
	ClassSharedMailbox   = "shared_mailbox"
	ClassResource        = "resource"
	ClassEmergencyAccess = "emergency_access"
	ClassDisabled        = "disabled"
	ClassSynced          = "synced"
)

// Classes returns the classes of users.
func Classes() []string {
	return []string{
		ClassMember, ClassGuest, ClassAdmin, ClassNonHuman, ClassSharedMailbox, ClassResource, ClassEmergencyAccess,
		ClassDisabled, ClassSynced,
	}
}

// Population is of whom PopulationSQL speaks.
type Population struct {
	// Tenants are the tenants to look at; none is every one.
	Tenants []string
	// Users are the object ids of the users to classify; none is every one. privileged does not look at them.
	Users []string
	Rules Rules
	// AllRoles makes privileged say every role that is held, and every holder an admin.
	AllRoles bool
	// Now decides which assignments have begun or ended.
	Now time.Time
}

// MembersSQL is a WITH clause that says members (id, kind, depth): the members of one group, however nested, once each.
// Its parameters are those of Members.
//
//go:embed members.sql
var MembersSQL string

// Members returns the parameters of MembersSQL; direct asks for direct members alone.
func Members(tenant, group string, direct bool) []any {
	depth := maxDepth
	if direct {
		depth = 0
	}
	return []any{
		clickhouse.Named("tenant", strings.ToLower(tenant)), clickhouse.Named("group_id", strings.ToLower(group)),
		clickhouse.Named("max_depth", depth),
	}
}

// GroupsSQL is a WITH clause that says groups_of (id, depth): the groups that one object is in, however nested. Its
// parameters are those of Groups.
//
//go:embed groups.sql
var GroupsSQL string

// Groups returns the parameters of GroupsSQL.
func Groups(tenant, member string) []any {
	return []any{
		clickhouse.Named("tenant", strings.ToLower(tenant)), clickhouse.Named("member_id", strings.ToLower(member)),
		clickhouse.Named("max_depth", maxDepth),
	}
}

// Params are the parameters of PopulationSQL.
func (p Population) Params() []any {
	maxTier := 1
	if p.Rules.IncludeReaders {
		maxTier = 2
	}
	if p.AllRoles {
		maxTier = tierNone
	}
	names := p.Rules.NonHuman.Names
	patterns := make([]string, 0, len(names))
	for _, name := range names {
		patterns = append(patterns, like(name))
	}
	return []any{
		clickhouse.Named("tenants", lower(p.Tenants)),
		clickhouse.Named("user_ids", append([]string{}, p.Users...)),
		clickhouse.Named("now", p.Now.UTC().Format("2006-01-02 15:04:05.000")),
		clickhouse.Named("max_tier", maxTier),
		clickhouse.Named("max_depth", maxDepth),
		clickhouse.Named("tier0_roles", templates(0)),
		clickhouse.Named("tier1_roles", templates(1)),
		clickhouse.Named("tier2_roles", templates(2)),
		clickhouse.Named("sync_roles", []string{syncAccounts, onPremisesSync}),
		clickhouse.Named("writes", writes),
		clickhouse.Named("emergency", lower(p.Rules.EmergencyAccess)),
		clickhouse.Named("non_human", lower(p.Rules.NonHuman.Users)),
		clickhouse.Named("non_human_groups", lower(p.Rules.NonHuman.Groups)),
		clickhouse.Named("non_human_names", lower(names)),
		clickhouse.Named("non_human_patterns", patterns),
		clickhouse.Named("non_human_signs", p.Rules.NonHuman.Signs),
	}
}
