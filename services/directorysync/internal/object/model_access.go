package object

import (
	"cmp"
	"slices"

	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
)

func application(f fields, o *directoryv1.Object) {
	a := &directoryv1.Application{
		AppId: f.text("appId"), DisplayName: f.text("displayName"), SignInAudience: f.text("signInAudience"),
		PublisherDomain: f.text("publisherDomain"), CreatedAt: f.time("createdDateTime"), IdentifierUris: f.texts("identifierUris"),
		Credentials: f.credentials(), IsFallbackPublicClient: f.flag("isFallbackPublicClient"),
		DisabledByMicrosoft: f.text("disabledByMicrosoftStatus"),
		RedirectUris: slices.Concat(f.object("web").texts("redirectUris"), f.object("publicClient").texts("redirectUris"),
			f.object("spa").texts("redirectUris")),
	}
	for _, resource := range f.objects("requiredResourceAccess") {
		wanted := &directoryv1.RequestedAccess{ResourceAppId: resource.text("resourceAppId")}
		for _, access := range resource.objects("resourceAccess") {
			if access.text("type") == "Role" {
				wanted.Roles = append(wanted.Roles, access.text("id"))
			} else {
				wanted.Scopes = append(wanted.Scopes, access.text("id"))
			}
		}
		a.Requested = append(a.Requested, wanted)
	}
	o.Payload = &directoryv1.Object_Application{Application: a}
}

// credentials are the secrets, then the certificates.
func (f fields) credentials() []*directoryv1.Credential {
	var all []*directoryv1.Credential
	for _, list := range []struct{ name, kind string }{{"passwordCredentials", "secret"}, {"keyCredentials", "certificate"}} {
		for _, c := range f.objects(list.name) {
			all = append(all, &directoryv1.Credential{
				KeyId: c.text("keyId"), Kind: list.kind, DisplayName: c.text("displayName"), Hint: c.text("hint"), Usage: c.text("usage"),
				Type: c.text("type"), CustomKeyIdentifier: c.text("customKeyIdentifier"),
				StartsAt: c.time("startDateTime"), EndsAt: c.time("endDateTime"),
			})
		}
	}
	return all
}

func servicePrincipal(f fields, o *directoryv1.Object) {
	p := &directoryv1.ServicePrincipal{
		AppId: f.text("appId"), DisplayName: f.text("displayName"), AppDisplayName: f.text("appDisplayName"),
		ServicePrincipalType: f.text("servicePrincipalType"), AccountEnabled: f.flag("accountEnabled"),
		AppRoleAssignmentRequired: f.flag("appRoleAssignmentRequired"), AppOwnerOrganizationId: f.text("appOwnerOrganizationId"),
		SignInAudience: f.text("signInAudience"), PreferredSingleSignOnMode: f.text("preferredSingleSignOnMode"),
		Names: f.texts("servicePrincipalNames"), Tags: f.texts("tags"), Credentials: f.credentials(), CreatedAt: f.time("createdDateTime"),
		VerifiedPublisher: f.object("verifiedPublisher").text("displayName"), DisabledByMicrosoft: f.text("disabledByMicrosoftStatus"),
		AlternativeNames: f.texts("alternativeNames"),
	}
	for _, role := range f.objects("appRoles") {
		p.AppRoles = append(p.AppRoles, &directoryv1.AppRole{
			Id: role.text("id"), Value: role.text("value"), DisplayName: role.text("displayName"), AllowedMemberTypes: role.texts("allowedMemberTypes"),
		})
	}
	o.Payload = &directoryv1.Object_ServicePrincipal{ServicePrincipal: p}
}

func servicePrincipalActivity(f fields, o *directoryv1.Object) {
	at := func(name string) fields { return f.object(name) }
	const last = "lastSignInDateTime"
	o.Payload = &directoryv1.Object_ServicePrincipalActivity{ServicePrincipalActivity: &directoryv1.ServicePrincipalActivity{
		AppId: f.text("appId"), LastSignInAt: at("lastSignInActivity").time(last),
		DelegatedClientAt:     at("delegatedClientSignInActivity").time(last),
		DelegatedResourceAt:   at("delegatedResourceSignInActivity").time(last),
		ApplicationClientAt:   at("applicationAuthenticationClientSignInActivity").time(last),
		ApplicationResourceAt: at("applicationAuthenticationResourceSignInActivity").time(last),
	}}
}

// owners reads the expanded owners of an object.
func owners(kind string) model {
	return func(f fields, o *directoryv1.Object) {
		list := &directoryv1.Owners{Object: kind}
		for _, owner := range f.objects("owners") {
			list.Owners = append(list.Owners, owner.member())
		}
		sortMembers(list.GetOwners())
		o.Payload = &directoryv1.Object_Owners{Owners: list}
	}
}

func appRoleAssignment(f fields, o *directoryv1.Object) {
	o.Payload = &directoryv1.Object_AppRoleAssignment{AppRoleAssignment: &directoryv1.AppRoleAssignment{
		AppRoleId: f.text("appRoleId"), PrincipalId: f.text("principalId"), PrincipalType: f.text("principalType"),
		PrincipalDisplayName: f.text("principalDisplayName"), ResourceId: f.text("resourceId"),
		ResourceDisplayName: f.text("resourceDisplayName"), CreatedAt: f.time("createdDateTime"),
	}}
}

func oauth2Grant(f fields, o *directoryv1.Object) {
	o.Payload = &directoryv1.Object_Oauth2Grant{Oauth2Grant: &directoryv1.OAuth2Grant{
		ClientId: f.text("clientId"), ConsentType: f.text("consentType"), PrincipalId: f.text("principalId"), ResourceId: f.text("resourceId"),
		Scopes: slices.Sorted(slices.Values(words(f.text("scope"), " "))),
	}}
}

func roleDefinition(f fields, o *directoryv1.Object) {
	role := &directoryv1.RoleDefinition{
		DisplayName: f.text("displayName"), TemplateId: cmp.Or(f.text("templateId"), f.text("roleTemplateId")), IsBuiltIn: f.flag("isBuiltIn"), IsEnabled: f.flag("isEnabled"),
		IsPrivileged: f.flag("isPrivileged"),
	}
	for _, permission := range f.objects("rolePermissions") {
		role.AllowedActions = append(role.AllowedActions, permission.texts("allowedResourceActions")...)
	}
	o.Payload = &directoryv1.Object_RoleDefinition{RoleDefinition: role}
}

func roleAssignment(f fields, o *directoryv1.Object) {
	o.Payload = &directoryv1.Object_RoleAssignment{RoleAssignment: &directoryv1.RoleAssignment{
		RoleDefinitionId: f.text("roleDefinitionId"), PrincipalId: f.text("principalId"), DirectoryScopeId: f.text("directoryScopeId"),
		AppScopeId: f.text("appScopeId"), AssignmentType: f.text("assignmentType"), MemberType: f.text("memberType"),
		StartsAt: f.time("startDateTime"), EndsAt: f.time("endDateTime"),
	}}
}

func policy(f fields, o *directoryv1.Object) {
	p := &directoryv1.Policy{
		Name: f.text("displayName"), State: f.text("state"), CreatedAt: f.time("createdDateTime"), ModifiedAt: f.time("modifiedDateTime"),
	}
	if enabled := f.flag("isEnabled"); enabled != nil && p.GetState() == "" {
		p.State = "disabled"
		if *enabled {
			p.State = "enabled"
		}
	}
	const derived = "#microsoft.graph."
	if kind := f.text("@odata.type"); len(kind) > len(derived) {
		p.Type = kind[len(derived):]
	}
	o.Payload = &directoryv1.Object_Policy{Policy: p}
}
