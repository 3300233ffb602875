package tables

import directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"

// applicationColumns are the columns of applications_current beside the object's.
func applicationColumns() []source[*directoryObject] {
	type (
		application = directoryv1.Application
		requested   = directoryv1.RequestedAccess
	)
	a := partOf((*directoryObject).GetApplication)
	columns := []source[*directoryObject]{
		a.text("app_id", (*application).GetAppId),
		a.text("sign_in_audience", (*application).GetSignInAudience),
		a.text("publisher_domain", (*application).GetPublisherDomain),
		a.maybeTime("created_at", (*application).GetCreatedAt),
		a.texts("identifier_uris", (*application).GetIdentifierUris),
		a.texts("redirect_uris", (*application).GetRedirectUris),
		a.maybeBool("is_fallback_public_client", func(a *application) *bool { return a.IsFallbackPublicClient }),
		a.text("disabled_by_microsoft", (*application).GetDisabledByMicrosoft),
	}
	columns = append(columns, credentialColumns(func(o *directoryObject) []*directoryv1.Credential {
		return o.GetApplication().GetCredentials()
	})...)
	asked := itemsOf(func(o *directoryObject) []*requested { return o.GetApplication().GetRequested() })
	return append(columns,
		asked.text("requested.resource_app_id", (*requested).GetResourceAppId),
		asked.texts("requested.roles", (*requested).GetRoles),
		asked.texts("requested.scopes", (*requested).GetScopes),
	)
}

// servicePrincipalColumns are the columns of service_principals_current beside the object's.
func servicePrincipalColumns() []source[*directoryObject] {
	type (
		principal = directoryv1.ServicePrincipal
		role      = directoryv1.AppRole
	)
	p := partOf((*directoryObject).GetServicePrincipal)
	columns := []source[*directoryObject]{
		p.text("app_id", (*principal).GetAppId),
		p.text("app_display_name", (*principal).GetAppDisplayName),
		p.text("service_principal_type", (*principal).GetServicePrincipalType),
		p.maybeBool("account_enabled", func(p *principal) *bool { return p.AccountEnabled }),
		p.maybeBool("app_role_assignment_required", func(p *principal) *bool { return p.AppRoleAssignmentRequired }),
		p.text("app_owner_organization_id", (*principal).GetAppOwnerOrganizationId),
		p.text("sign_in_audience", (*principal).GetSignInAudience),
		p.text("preferred_single_sign_on_mode", (*principal).GetPreferredSingleSignOnMode),
		p.texts("names", (*principal).GetNames),
		p.texts("tags", (*principal).GetTags),
		p.maybeTime("created_at", (*principal).GetCreatedAt),
		p.text("verified_publisher", (*principal).GetVerifiedPublisher),
		p.text("disabled_by_microsoft", (*principal).GetDisabledByMicrosoft),
		p.texts("alternative_names", (*principal).GetAlternativeNames),
	}
	columns = append(columns, credentialColumns(func(o *directoryObject) []*directoryv1.Credential {
		return o.GetServicePrincipal().GetCredentials()
	})...)
	roles := itemsOf(func(o *directoryObject) []*role { return o.GetServicePrincipal().GetAppRoles() })
	return append(columns,
		roles.text("app_roles.id", (*role).GetId),
		roles.text("app_roles.value", (*role).GetValue),
		roles.text("app_roles.display_name", (*role).GetDisplayName),
		roles.texts("app_roles.allowed_member_types", (*role).GetAllowedMemberTypes),
	)
}

// credentialColumns are the columns of secrets and certificates.
func credentialColumns(of func(*directoryObject) []*directoryv1.Credential) []source[*directoryObject] {
	type credential = directoryv1.Credential
	c := itemsOf(of)
	return []source[*directoryObject]{
		c.text("credentials.key_id", (*credential).GetKeyId),
		c.text("credentials.kind", (*credential).GetKind),
		c.text("credentials.display_name", (*credential).GetDisplayName),
		c.text("credentials.hint", (*credential).GetHint),
		c.text("credentials.usage", (*credential).GetUsage),
		c.text("credentials.type", (*credential).GetType),
		c.text("credentials.custom_key_identifier", (*credential).GetCustomKeyIdentifier),
		c.maybeTime("credentials.starts_at", (*credential).GetStartsAt),
		c.maybeTime("credentials.ends_at", (*credential).GetEndsAt),
	}
}

// servicePrincipalActivityColumns are the columns of service_principal_activity_current beside the object's.
func servicePrincipalActivityColumns() []source[*directoryObject] {
	type activity = directoryv1.ServicePrincipalActivity
	a := partOf((*directoryObject).GetServicePrincipalActivity)
	return []source[*directoryObject]{
		a.text("app_id", (*activity).GetAppId),
		a.maybeTime("last_sign_in_at", (*activity).GetLastSignInAt),
		a.maybeTime("delegated_client_at", (*activity).GetDelegatedClientAt),
		a.maybeTime("delegated_resource_at", (*activity).GetDelegatedResourceAt),
		a.maybeTime("application_client_at", (*activity).GetApplicationClientAt),
		a.maybeTime("application_resource_at", (*activity).GetApplicationResourceAt),
	}
}

// ownersColumns are the columns of owners_current beside the object's.
func ownersColumns() []source[*directoryObject] {
	o := partOf((*directoryObject).GetOwners)
	columns := []source[*directoryObject]{o.text("owned_object", (*directoryv1.Owners).GetObject)}
	return append(columns, memberColumns("owners", func(o *directoryObject) []*directoryv1.Member {
		return o.GetOwners().GetOwners()
	})...)
}

// appRoleAssignmentColumns are the columns of app_role_assignments_current beside the object's.
func appRoleAssignmentColumns() []source[*directoryObject] {
	type assignment = directoryv1.AppRoleAssignment
	a := partOf((*directoryObject).GetAppRoleAssignment)
	return []source[*directoryObject]{
		a.text("app_role_id", (*assignment).GetAppRoleId),
		a.text("principal_id", (*assignment).GetPrincipalId),
		a.text("principal_type", (*assignment).GetPrincipalType),
		a.text("principal_display_name", (*assignment).GetPrincipalDisplayName),
		a.text("resource_id", (*assignment).GetResourceId),
		a.text("resource_display_name", (*assignment).GetResourceDisplayName),
		a.maybeTime("created_at", (*assignment).GetCreatedAt),
	}
}

// oauth2GrantColumns are the columns of oauth2_grants_current beside the object's.
func oauth2GrantColumns() []source[*directoryObject] {
	type grant = directoryv1.OAuth2Grant
	g := partOf((*directoryObject).GetOauth2Grant)
	return []source[*directoryObject]{
		g.text("client_id", (*grant).GetClientId),
		g.text("consent_type", (*grant).GetConsentType),
		g.text("principal_id", (*grant).GetPrincipalId),
		g.text("resource_id", (*grant).GetResourceId),
		g.texts("scopes", (*grant).GetScopes),
	}
}
