package tenant

import (
	"slices"
	"strings"
)

// The collections of policies; those named in the singular have one object.
const (
	Domains               Collection = "domains"
	AccessPolicies        Collection = "identity/conditionalAccess/policies"
	NamedLocations        Collection = "identity/conditionalAccess/namedLocations"
	SecurityDefaults      Collection = "policies/identitySecurityDefaultsEnforcementPolicy"
	AuthorizationPolicies Collection = "policies/authorizationPolicy"
	MethodsPolicies       Collection = "policies/authenticationMethodsPolicy"
	Strengths             Collection = "policies/authenticationStrengthPolicies"
	CrossTenantDefaults   Collection = "policies/crossTenantAccessPolicy/default"
	CrossTenantPartners   Collection = "policies/crossTenantAccessPolicy/partners"
)

// postureKind is kindOf for what describes the tenant.
func postureKind(c Collection) (k kind, ok bool) {
	switch c {
	case Domains:
		return kind{(*Tenant).countDomains, (*writer).domain, (*Tenant).findDomain}, true
	case AccessPolicies:
		return kind{(*Tenant).countAccess, (*writer).accessPolicy, (*Tenant).findAccess}, true
	case NamedLocations:
		return kind{(*Tenant).countLocations, (*writer).namedLocation, (*Tenant).findLocation}, true
	case SecurityDefaults:
		return kind{one, (*writer).securityDefaults, nothing}, true
	case AuthorizationPolicies:
		return kind{one, (*writer).authorizationPolicy, nothing}, true
	case MethodsPolicies:
		return kind{one, (*writer).methodsPolicy, nothing}, true
	case Strengths:
		return kind{(*Tenant).countStrengths, (*writer).strength, (*Tenant).findStrength}, true
	case CrossTenantDefaults:
		return kind{one, (*writer).crossTenantDefault, nothing}, true
	case CrossTenantPartners:
		return kind{(*Tenant).countPartners, (*writer).crossTenantPartner, (*Tenant).findPartner}, true
	default:
		return managementKind(c)
	}
}

// nothing finds no object by an id: there is one, and no id.
func nothing(*Tenant, string) int { return -1 }

// premium is a count that needs a licence.
func (t *Tenant) premium(n int) int {
	if t.cfg.Licence == Free {
		return 0
	}
	return n
}

// domains are the verified default one, the initial one, and one that is not verified.
func (t *Tenant) domainNames() []string {
	company, _, _ := strings.Cut(t.population.domain, ".")
	return []string{t.population.domain, company + ".onmicrosoft.example", "old-" + t.population.domain}
}

func (t *Tenant) countDomains() int { return len(t.domainNames()) }

func (t *Tenant) findDomain(id string) int { return slices.Index(t.domainNames(), strings.ToLower(id)) }

func (w *writer) domain(i int) {
	const initial, unverified = 1, 2
	w.text(`{"id":"`, w.t.domainNames()[i])
	w.boolean(`,"authenticationType":"Managed","availabilityStatus":null,"isAdminManaged":true,"isDefault":`, i == 0)
	w.boolean(`,"isInitial":`, i == initial)
	w.boolean(`,"isRoot":true,"isVerified":`, i != unverified)
	w.raw(`,"supportedServices":["Email","OfficeCommunicationsOnline"],"passwordValidityPeriodInDays":2147483647,"passwordNotificationWindowInDays":14,"state":null}`)
}

// The policies of Conditional Access behind the two that sign-ins name.
const (
	policyAdmins = policyLegacy + 1 + iota
	policyReportOnly
	policyRisk
)

func (t *Tenant) countAccess() int {
	if t.cfg.Licence != P2 {
		return t.premium(policyRisk)
	}
	return policyRisk + 1
}

func (t *Tenant) findAccess(id string) int { return t.findSealed(id, classPolicy, t.countAccess()) }

func (w *writer) accessPolicy(i int) {
	names := [...]string{
		"CA001 Require MFA for all users", "CA002 Block legacy authentication", "CA003 Strong MFA for administrators",
		"CA004 Require compliant device", "CA005 MFA for risky sign-ins",
	}
	state := "enabled"
	if i == policyReportOnly {
		state = "enabledForReportingButNotEnforced"
	}
	w.guid(`{"id":"`, w.t.ids.seal(classPolicy, 0, uint64(i)))
	w.text(`,"displayName":"`, names[i])
	w.text(`,"templateId":null,"state":"`, state)
	w.time(`,"createdDateTime":"`, w.t.end-500*perDay)
	w.time(`,"modifiedDateTime":"`, w.t.end-90*perDay)
	w.raw(`,"conditions":{"userRiskLevels":[],"signInRiskLevels":[`)
	if i == policyRisk {
		w.raw(`"high","medium"`)
	}
	w.raw(`],"clientAppTypes":[`)
	if i == policyLegacy {
		w.raw(`"exchangeActiveSync","other"`)
	} else {
		w.raw(`"all"`)
	}
	w.raw(`],"servicePrincipalRiskLevels":[],"insiderRiskLevels":null,"platforms":null,"devices":null,"clientApplications":null,"authenticationFlows":null` +
		`,"locations":null,"applications":{"includeApplications":["All"],"excludeApplications":[],"includeUserActions":[]` +
		`,"includeAuthenticationContextClassReferences":[],"applicationFilter":null},"users":{`)
	if i == policyAdmins {
		w.raw(`"includeUsers":[],"includeRoles":["` + roles[globalAdministrator].id + `","` + roles[privilegedRoleAdministrator].id + `"]`)
	} else {
		w.raw(`"includeUsers":["All"],"includeRoles":[]`)
	}
	w.raw(`,"excludeUsers":[],"includeGroups":[],"excludeGroups":[`)
	if i == policyMFA {
		w.raw(`"`)
		w.b = append(w.t.groupID(groupExcluded).appendTo(w.b), '"')
	}
	w.raw(`],"excludeRoles":[],"includeGuestsOrExternalUsers":null,"excludeGuestsOrExternalUsers":null}},"sessionControls":null,"grantControls":{"operator":"OR"` +
		`,"customAuthenticationFactors":[],"termsOfUse":[]`)
	switch i {
	case policyLegacy:
		w.raw(`,"builtInControls":["block"],"authenticationStrength":null}}`)
	case policyAdmins:
		w.raw(`,"builtInControls":[],"authenticationStrength":`)
		w.strength(phishingResistant)
		w.raw(`}}`)
	case policyReportOnly:
		w.raw(`,"builtInControls":["compliantDevice"],"authenticationStrength":null}}`)
	default:
		w.raw(`,"builtInControls":["mfa"],"authenticationStrength":null}}`)
	}
}

func (t *Tenant) countLocations() int { return t.premium(2) }

func (t *Tenant) findLocation(id string) int {
	return t.findPosture(id, postureLocation, t.countLocations())
}

func (w *writer) namedLocation(i int) {
	kind := [...]string{"ipNamedLocation", "countryNamedLocation"}[i]
	w.text(`{"@odata.type":"#microsoft.graph.`, kind)
	w.guid(`,"id":"`, w.t.postureID(postureLocation, i))
	w.time(`,"createdDateTime":"`, w.t.end-500*perDay)
	w.time(`,"modifiedDateTime":"`, w.t.end-400*perDay)
	if i == 0 {
		w.raw(`,"displayName":"Offices","isTrusted":true,"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"192.0.2.0/24"}]}`)
		return
	}
	w.text(`,"displayName":"Where we work","countryLookupMethod":"clientIpAddress","includeUnknownCountriesAndRegions":false,"countriesAndRegions":["`,
		places[w.t.population.homes[0]].country)
	w.raw(`]}`)
}

func (w *writer) securityDefaults(int) {
	w.raw(`{"id":"00000000-0000-0000-0000-000000000005","displayName":"Security Defaults","description":"Security defaults is a set of basic identity security mechanisms."`)
	w.boolean(`,"isEnabled":`, w.t.cfg.Licence == Free)
	w.raw("}")
}

func (w *writer) authorizationPolicy(int) {
	w.raw(`{"id":"authorizationPolicy","displayName":"Authorization Policy","description":"Used to manage authorization related settings across the company."` +
		`,"allowInvitesFrom":"everyone","allowedToSignUpEmailBasedSubscriptions":true,"allowedToUseSSPR":true,"allowEmailVerifiedUsersToJoinOrganization":false` +
		`,"allowUserConsentForRiskyApps":null,"blockMsolPowerShell":false,"guestUserRoleId":"10dae51f-b6af-4016-8d66-8c2a99b929b3","defaultUserRolePermissions":{` +
		`"allowedToCreateApps":true,"allowedToCreateSecurityGroups":true,"allowedToCreateTenants":true,"allowedToReadBitlockerKeysForOwnedDevice":true` +
		`,"allowedToReadOtherUsers":true,"permissionGrantPoliciesAssigned":["ManagePermissionGrantsForSelf.microsoft-user-default-legacy"]}}`)
}

func (w *writer) methodsPolicy(int) {
	const everybody = `"includeTargets":[{"targetType":"group","id":"all_users","isRegistrationRequired":false}],"excludeTargets":[]}`
	w.time(`{"id":"authenticationMethodsPolicy","displayName":"Authentication Methods Policy","description":"The tenant-wide policy that controls which methods are allowed.","lastModifiedDateTime":"`,
		w.t.end-80*perDay)
	w.raw(`,"policyVersion":"1.5","policyMigrationState":"migrationComplete","registrationEnforcement":{"authenticationMethodsRegistrationCampaign":{` +
		`"snoozeDurationInDays":1,"enforceRegistrationAfterAllowedSnoozes":true,"state":"default","excludeTargets":[],"includeTargets":[]}}` +
		`,"authenticationMethodConfigurations":[` +
		`{"@odata.type":"#microsoft.graph.fido2AuthenticationMethodConfiguration","id":"Fido2","state":"enabled","isAttestationEnforced":true,"isSelfServiceRegistrationAllowed":true,` + everybody +
		`,{"@odata.type":"#microsoft.graph.microsoftAuthenticatorAuthenticationMethodConfiguration","id":"MicrosoftAuthenticator","state":"enabled","isSoftwareOathEnabled":true,` + everybody +
		`,{"@odata.type":"#microsoft.graph.smsAuthenticationMethodConfiguration","id":"Sms","state":"enabled",` + everybody +
		`,{"@odata.type":"#microsoft.graph.voiceAuthenticationMethodConfiguration","id":"Voice","state":"disabled","isOfficePhoneAllowed":false,` + everybody +
		`,{"@odata.type":"#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration","id":"TemporaryAccessPass","state":"enabled","isUsableOnce":true,"defaultLifetimeInMinutes":60,` + everybody +
		`,{"@odata.type":"#microsoft.graph.emailAuthenticationMethodConfiguration","id":"Email","state":"disabled","allowExternalIdToUseEmailOtp":"default",` + everybody +
		`,{"@odata.type":"#microsoft.graph.x509CertificateAuthenticationMethodConfiguration","id":"X509Certificate","state":"disabled",` + everybody + `]}`)
}

// The authentication strengths: three built in, one of the tenant's own that asks for little.
const (
	_ = iota
	_
	phishingResistant
	customStrength
)

func (t *Tenant) countStrengths() int { return t.premium(customStrength + 1) }

func (t *Tenant) findStrength(id string) int {
	for i := range t.countStrengths() {
		if t.strengthID(i) == id {
			return i
		}
	}
	return -1
}

func (t *Tenant) strengthID(i int) string {
	if i == customStrength {
		return t.postureID(postureStrength, i).String()
	}
	return "00000000-0000-0000-0000-00000000000" + string(rune('2'+i))
}

func (w *writer) strength(i int) {
	names := [...]string{"Multifactor authentication", "Passwordless MFA", "Phishing-resistant MFA", "Anything"}
	combinations := [...]string{
		`"windowsHelloForBusiness","fido2","x509CertificateMultiFactor","deviceBasedPush","password,microsoftAuthenticatorPush","password,softwareOath","password,sms"`,
		`"windowsHelloForBusiness","fido2","x509CertificateMultiFactor","deviceBasedPush"`,
		`"windowsHelloForBusiness","fido2","x509CertificateMultiFactor"`,
		`"password","fido2"`,
	}
	kind := "builtIn"
	if i == customStrength {
		kind = "custom"
	}
	w.text(`{"id":"`, w.t.strengthID(i))
	w.time(`,"createdDateTime":"`, w.t.end-500*perDay)
	w.time(`,"modifiedDateTime":"`, w.t.end-500*perDay)
	w.text(`,"displayName":"`, names[i])
	w.text(`,"description":"`, names[i])
	w.text(`,"policyType":"`, kind)
	w.raw(`,"requirementsSatisfied":"mfa","allowedCombinations":[` + combinations[i] + `],"combinationConfigurations":[]}`)
}

// access is what a cross-tenant setting allows.
func (w *writer) access(mfaTrusted bool) {
	const blocked = `{"usersAndGroups":{"accessType":"blocked","targets":[{"target":"AllUsers","targetType":"user"}]},"applications":{"accessType":"blocked","targets":[{"target":"AllApplications","targetType":"application"}]}}`
	allowed := strings.ReplaceAll(blocked, "blocked", "allowed")
	w.boolean(`"inboundTrust":{"isMfaAccepted":`, mfaTrusted)
	w.raw(`,"isCompliantDeviceAccepted":false,"isHybridAzureADJoinedDeviceAccepted":false},"b2bCollaborationInbound":` + allowed + `,"b2bCollaborationOutbound":` + allowed +
		`,"b2bDirectConnectInbound":` + blocked + `,"b2bDirectConnectOutbound":` + blocked + `,"tenantRestrictions":null,"invitationRedemptionIdentityProviderConfiguration":null` +
		`,"automaticUserConsentSettings":{"inboundAllowed":false,"outboundAllowed":false}`)
}

func (w *writer) crossTenantDefault(int) {
	w.raw(`{"isServiceDefault":true,`)
	w.access(false)
	w.raw("}")
}

func (t *Tenant) countPartners() int { return len(partners) }

func (t *Tenant) partnerID(i int) string { return t.ids.seal(classTenant, 1, uint64(i)).String() }

func (t *Tenant) findPartner(id string) int {
	for i := range partners {
		if t.partnerID(i) == id {
			return i
		}
	}
	return -1
}

func (w *writer) crossTenantPartner(i int) {
	w.text(`{"tenantId":"`, w.t.partnerID(i))
	w.raw(`,"isServiceProvider":false,"isInMultiTenantOrganization":false,`)
	w.access(i == 0)
	w.raw("}")
}
