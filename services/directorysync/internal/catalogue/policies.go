package catalogue

import (
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// roles are who may administer what.
func roles() []Type {
	const path = "/roleManagement/directory/"
	row := func(id, title, kind, version, name string, licence entra.Licence, permissions ...string) Type {
		return Type{
			ID: entra.DataType(id), Title: title, Kind: kind, Version: version, Path: path + name, Permissions: permissions, Licence: licence,
		}
	}
	return []Type{
		{
			// Those that were ever activated, under ids of their own.
			ID: entra.DirectoryRoles, Title: "Activated roles", Kind: "directory_role", Version: "v1.0", Path: "/directoryRoles",
			Permissions: []string{readRoles, readDirectory, writeDirectory},
		},
		// Only beta says isPrivileged (entra-lists.md §9).
		row("role_definitions", "Roles", "role_definition", "beta", "roleDefinitions", entra.LicenceFree, readRoles, readDirectory),
		row("role_assignments", "Role assignments", "role_assignment", "v1.0", "roleAssignments", entra.LicenceFree, readRoles, readDirectory),
		row("role_eligibility", "Roles that can be activated", "role_eligibility", "v1.0", "roleEligibilityScheduleInstances",
			entra.LicenceP2, "RoleEligibilitySchedule.Read.Directory", readRoles),
		row("role_schedules", "Roles that are activated or limited in time", "role_schedule", "v1.0", "roleAssignmentScheduleInstances",
			entra.LicenceP2, "RoleAssignmentSchedule.Read.Directory", readRoles),
	}
}

// policies are the tenant's policies and named locations.
func policies() []Type {
	access := func(id entra.DataType, title, kind, name string) Type {
		return Type{
			ID: id, Title: title, Kind: kind, Version: "v1.0", Path: "/identity/conditionalAccess/" + name,
			Permissions: []string{readPolicy}, Licence: entra.LicenceP1, Workload: budget.IdentityProtection,
		}
	}
	policy := func(id, title, name string) Type {
		return Type{
			ID: entra.DataType(id), Title: title, Kind: "policy", Version: "v1.0", Path: "/policies/" + name, Single: id,
			Permissions: []string{readPolicy},
		}
	}
	partners := policy("cross_tenant_partners", "Cross-tenant access of partners", "crossTenantAccessPolicy/partners")
	partners.Kind, partners.Single, partners.Key = "cross_tenant_partner", "", "tenantId"
	strengths := policy("authentication_strengths", "Authentication strengths", "authenticationStrengthPolicies")
	strengths.Kind, strengths.Single, strengths.Licence = "authentication_strength", "", entra.LicenceP1
	return []Type{
		access(entra.ConditionalAccess, "Conditional Access policies", "conditional_access_policy", "policies"),
		access("named_locations", "Named locations", "named_location", "namedLocations"),
		policy("security_defaults", "Security defaults", "identitySecurityDefaultsEnforcementPolicy"),
		policy("authorization_policy", "Authorization policy", "authorizationPolicy"),
		policy("authentication_methods_policy", "Authentication methods policy", "authenticationMethodsPolicy"),
		policy("cross_tenant_default", "Cross-tenant access by default", "crossTenantAccessPolicy/default"),
		partners, strengths,
	}
}

// tenant is what the tenant is and has bought.
func tenant() []Type {
	row := func(id, title, kind, path string, units int, permissions ...string) Type {
		return Type{
			ID: entra.DataType(id), Title: title, Kind: kind, Version: "v1.0", Path: path, Units: units,
			Permissions: append(permissions, readDirectory, writeDirectory),
		}
	}
	return []Type{
		row("organization", "Organisation", "organization", "/organization", 1, "Organization.Read.All"),
		row("subscribed_skus", "Licences", "subscribed_sku", "/subscribedSkus", 3, "LicenseAssignment.Read.All", "Organization.Read.All"),
		row("domains", "Domains", "domain", "/domains", 1, "Domain.Read.All"),
	}
}
