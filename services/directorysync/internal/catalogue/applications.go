package catalogue

import "github.com/entraflow/entraflow/pkg/entra"

// applications are app registrations, service principals and what they may do.
func applications() []Type {
	read := []string{readApps, readDirectory, "Application.ReadWrite.All", writeDirectory}
	owners := func(id, title, kind, path string) Type {
		return Type{
			ID: entra.DataType(id), Title: title, Kind: kind, Version: "v1.0", Path: path, Select: []string{"id"},
			Expand: "owners($select=id)", Top: topDirectory, Permissions: read, Units: 2,
		}
	}
	return []Type{
		{
			ID: entra.Applications, Title: "App registrations", Kind: "application", Version: "v1.0", Path: "/applications", Delta: true,
			Top: topDirectory, Units: 2, Permissions: read,
			Select: []string{
				"id", "appId", "createdDateTime", "disabledByMicrosoftStatus", "displayName", "identifierUris", "isFallbackPublicClient",
				"keyCredentials", "passwordCredentials", "publicClient", "publisherDomain", "requiredResourceAccess", "signInAudience",
				"spa", "web",
			},
		},
		{
			ID: entra.ServicePrincipals, Title: "Enterprise applications", Kind: "service_principal", Version: "v1.0",
			Path: "/servicePrincipals", Delta: true, Top: topDirectory, Permissions: read,
			Select: []string{
				"id", "accountEnabled", "alternativeNames", "appDisplayName", "appId", "appOwnerOrganizationId", "appRoleAssignmentRequired",
				"appRoles", "createdDateTime", "disabledByMicrosoftStatus", "displayName", "keyCredentials", "passwordCredentials",
				"preferredSingleSignOnMode", "servicePrincipalNames", "servicePrincipalType", "signInAudience", "tags", "verifiedPublisher",
			},
		},
		owners("application_owners", "Owners of app registrations", "application_owners", "/applications"),
		owners("service_principal_owners", "Owners of enterprise applications", "service_principal_owners", "/servicePrincipals"),
		{
			ID: "app_role_assignments", Title: "Granted application permissions", Kind: "app_role_assignment", Version: "v1.0",
			Path: "/servicePrincipals/{id}/appRoleAssignedTo", Parent: "service_principal", Top: topDirectory, Units: 2,
			Permissions: read, Daily: true,
		},
		{
			ID: "oauth2_grants", Title: "Granted delegated permissions", Kind: "oauth2_grant", Version: "v1.0", Path: "/oauth2PermissionGrants",
			Delta: true, Top: topDirectory, Units: 2,
			Permissions: []string{readDirectory, "DelegatedPermissionGrant.ReadWrite.All", writeDirectory},
		},
	}
}
