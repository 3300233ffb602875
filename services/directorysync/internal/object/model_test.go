package object_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/entraflow/entraflow/services/directorysync/internal/object"
)

// records have every property of a model set, by kind.
var records = map[string]string{
	"user": `{"id":"i","userPrincipalName":"u@x","displayName":"U","givenName":"G","surname":"S","mail":"m@x","otherMails":["o@x"],
		"proxyAddresses":["SMTP:m@x"],"userType":"Guest","accountEnabled":true,"creationType":"Invitation","externalUserState":"Accepted",
		"externalUserStateChangeDateTime":"2026-01-02T03:04:05Z","createdDateTime":"2026-01-02T03:04:05Z","deletedDateTime":"2026-01-02T03:04:05Z",
		"lastPasswordChangeDateTime":"2026-01-02T03:04:05Z","signInSessionsValidFromDateTime":"2026-01-02T03:04:05Z",
		"passwordPolicies":"DisablePasswordExpiration, DisableStrongPassword","onPremisesSyncEnabled":true,"onPremisesSamAccountName":"sam",
		"onPremisesDomainName":"d","onPremisesImmutableId":"im","employeeId":"7","employeeType":"Employee","department":"D","jobTitle":"J",
		"companyName":"C","officeLocation":"O","city":"City","country":"NL","usageLocation":"NL","preferredLanguage":"nl-NL","mobilePhone":"1",
		"businessPhones":["2"],"assignedLicenses":[{"skuId":"sku"}],"authorizationInfo":{"certificateUserIds":["X509:1"]},
		"identities":[{"signInType":"federated","issuer":"i","issuerAssignedId":"x"}],"isResourceAccount":false,"mailNickname":"nick",
		"manager@delta":[{"id":"boss"}]}`,
	"user_activity": `{"id":"i","signInActivity":{"lastSignInDateTime":"2026-01-02T03:04:05Z","lastNonInteractiveSignInDateTime":"2026-01-02T03:04:05Z",
		"lastSuccessfulSignInDateTime":"2026-01-02T03:04:05Z"}}`,
	"authentication_registration": `{"id":"i","userPrincipalName":"u","isAdmin":true,"isMfaCapable":true,"isMfaRegistered":true,"isPasswordlessCapable":true,
		"isSsprCapable":true,"isSsprEnabled":true,"isSsprRegistered":true,"isSystemPreferredAuthenticationMethodEnabled":true,"methodsRegistered":["fido2"],
		"systemPreferredAuthenticationMethods":["fido2"],"userPreferredMethodForSecondaryAuthentication":"push","lastUpdatedDateTime":"2026-01-02T03:04:05Z"}`,
	"mailbox": `{"id":"i","userPurpose":"shared","timeZone":"UTC","automaticRepliesSetting":{"status":"disabled"}}`,
	"mailbox_rules": `{"id":"i","value":[{"id":"r","displayName":"R","isEnabled":true,"actions":{"forwardTo":[{"emailAddress":{"address":"x@y"}}],
		"redirectTo":[]}},{"id":"s","actions":{"delete":true}}]}`,
	"group": `{"id":"i","displayName":"G","description":"D","mail":"m","mailNickname":"n","mailEnabled":true,"securityEnabled":true,"groupTypes":["Unified"],
		"isAssignableToRole":true,"membershipRule":"r","membershipRuleProcessingState":"On","visibility":"Private","onPremisesSyncEnabled":true,
		"onPremisesSamAccountName":"s","createdDateTime":"2026-01-02T03:04:05Z","expirationDateTime":"2026-01-02T03:04:05Z",
		"assignedLicenses":[{"skuId":"sku"}],"classification":"c","owners@delta":[{"id":"o"}]}`,
	"device": `{"id":"i","deviceId":"d","displayName":"D","accountEnabled":true,"operatingSystem":"Windows","operatingSystemVersion":"10","trustType":"AzureAd",
		"isCompliant":true,"isManaged":true,"isRooted":false,"managementType":"MDM","profileType":"RegisteredDevice","manufacturer":"m","model":"x",
		"deviceOwnership":"company","enrollmentType":"e","onPremisesSyncEnabled":true,"registrationDateTime":"2026-01-02T03:04:05Z",
		"approximateLastSignInDateTime":"2026-01-02T03:04:05Z","complianceExpirationDateTime":"2026-01-02T03:04:05Z"}`,
	"managed_device": `{"id":"i","azureADDeviceId":"d","deviceName":"D","userId":"u","userPrincipalName":"p","operatingSystem":"iOS","osVersion":"1",
		"complianceState":"compliant","complianceGracePeriodExpirationDateTime":"2026-01-02T03:04:05Z","managementAgent":"mdm","managedDeviceOwnerType":"company",
		"jailBroken":"False","isEncrypted":true,"isSupervised":true,"manufacturer":"m","model":"x","serialNumber":"s","enrolledDateTime":"2026-01-02T03:04:05Z",
		"lastSyncDateTime":"2026-01-02T03:04:05Z"}`,
	"application": `{"id":"i","appId":"a","displayName":"A","signInAudience":"AzureADMyOrg","publisherDomain":"d","createdDateTime":"2026-01-02T03:04:05Z",
		"identifierUris":["api://a"],"web":{"redirectUris":["https://a"]},"keyCredentials":[{"keyId":"k","displayName":"s","hint":"abc","usage":"Verify","type":"AsymmetricX509Cert","customKeyIdentifier":"c",
		"startDateTime":"2026-01-02T03:04:05Z","endDateTime":"2026-01-02T03:04:05Z"}],
		"requiredResourceAccess":[{"resourceAppId":"r","resourceAccess":[{"id":"role","type":"Role"},{"id":"scope","type":"Scope"}]}],
		"isFallbackPublicClient":true,"disabledByMicrosoftStatus":"x"}`,
	"service_principal": `{"id":"i","appId":"a","displayName":"A","appDisplayName":"B","servicePrincipalType":"Application","accountEnabled":true,
		"appRoleAssignmentRequired":true,"appOwnerOrganizationId":"o","signInAudience":"s","preferredSingleSignOnMode":"saml","servicePrincipalNames":["n"],
		"tags":["t"],"passwordCredentials":[{"keyId":"k","displayName":"s","hint":"abc","usage":"Verify","type":"AsymmetricX509Cert","customKeyIdentifier":"c",
		"startDateTime":"2026-01-02T03:04:05Z","endDateTime":"2026-01-02T03:04:05Z"}],"appRoles":[{"id":"r","value":"v","displayName":"d","allowedMemberTypes":["User"]}],
		"createdDateTime":"2026-01-02T03:04:05Z","verifiedPublisher":{"displayName":"p"},"disabledByMicrosoftStatus":"x","alternativeNames":["y"]}`,
	"service_principal_activity": `{"id":"i","appId":"a","lastSignInActivity":{"lastSignInDateTime":"2026-01-02T03:04:05Z"},
		"delegatedClientSignInActivity":{"lastSignInDateTime":"2026-01-02T03:04:05Z"},"delegatedResourceSignInActivity":{"lastSignInDateTime":"2026-01-02T03:04:05Z"},
		"applicationAuthenticationClientSignInActivity":{"lastSignInDateTime":"2026-01-02T03:04:05Z"},
		"applicationAuthenticationResourceSignInActivity":{"lastSignInDateTime":"2026-01-02T03:04:05Z"}}`,
	"application_owners": `{"id":"i","owners":[{"@odata.type":"#microsoft.graph.user","id":"u"}]}`,
	"app_role_assignment": `{"id":"i","appRoleId":"r","principalId":"p","principalType":"User","principalDisplayName":"P","resourceId":"s","resourceDisplayName":"S",
		"createdDateTime":"2026-01-02T03:04:05Z"}`,
	"oauth2_grant": `{"id":"i","clientId":"c","consentType":"Principal","principalId":"p","resourceId":"r","scope":" User.Read Mail.Read"}`,
	"role_definition": `{"id":"i","displayName":"R","templateId":"t","isBuiltIn":true,"isEnabled":true,"isPrivileged":true,
		"rolePermissions":[{"allowedResourceActions":["microsoft.directory/x"]}]}`,
	"role_schedule": `{"id":"i","roleDefinitionId":"r","principalId":"p","directoryScopeId":"/","appScopeId":"a","assignmentType":"Activated","memberType":"Group",
		"startDateTime":"2026-01-02T03:04:05Z","endDateTime":"2026-01-02T03:04:05Z"}`,
	"named_location": `{"@odata.type":"#microsoft.graph.ipNamedLocation","id":"i","displayName":"L","state":"enabled","createdDateTime":"2026-01-02T03:04:05Z",
		"modifiedDateTime":"2026-01-02T03:04:05Z"}`,
}

// elsewhere are the fields that another record of the same model has.
var elsewhere = map[string]bool{
	"mailbox.forwarding": true, "mailbox_rules.purpose": true, "mailbox_rules.time_zone": true, "mailbox_rules.automatic_replies": true,
}

// TestEveryFieldOfAModelIsRead fails for a field that nothing sets.
func TestEveryFieldOfAModelIsRead(t *testing.T) {
	for kind, raw := range records {
		t.Run(kind, func(t *testing.T) {
			s, err := object.Read([]byte(raw), "id", date)
			require.NoError(t, err)
			o := object.Identity{Kind: kind, TenantID: tenant}.Next(nil, s, now)
			m := o.ProtoReflect()
			payload := m.WhichOneof(m.Descriptor().Oneofs().ByName("payload"))
			require.NotNil(t, payload, "a model")
			requireFilled(t, m.Get(payload).Message(), kind)
		})
	}
}

func requireFilled(t *testing.T, m protoreflect.Message, path string) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if elsewhere[path+"."+string(f.Name())] || strings.HasPrefix(string(f.FullName()), "google.") {
			continue
		}
		require.True(t, m.Has(f), "%s.%s", path, f.Name())
		if f.IsList() && f.Message() != nil {
			requireFilled(t, m.Get(f).List().Get(0).Message(), path+"."+string(f.Name()))
		}
	}
}
