package object

import directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"

func user(f fields, o *directoryv1.Object) {
	u := &directoryv1.User{
		UserPrincipalName: f.text("userPrincipalName"), DisplayName: f.text("displayName"), GivenName: f.text("givenName"),
		Surname: f.text("surname"), Mail: f.text("mail"), OtherMails: f.texts("otherMails"), ProxyAddresses: f.texts("proxyAddresses"),
		UserType: f.text("userType"), AccountEnabled: f.flag("accountEnabled"), CreationType: f.text("creationType"),
		ExternalUserState: f.text("externalUserState"), ExternalUserStateChangedAt: f.time("externalUserStateChangeDateTime"),
		CreatedAt: f.time("createdDateTime"), DeletedAt: f.time("deletedDateTime"), LastPasswordChangeAt: f.time("lastPasswordChangeDateTime"),
		SessionsValidFrom: f.time("signInSessionsValidFromDateTime"), PasswordPolicies: words(f.text("passwordPolicies"), ","),
		OnPremisesSyncEnabled: f.flag("onPremisesSyncEnabled"), OnPremisesSamAccountName: f.text("onPremisesSamAccountName"),
		OnPremisesDomainName: f.text("onPremisesDomainName"), OnPremisesImmutableId: f.text("onPremisesImmutableId"),
		EmployeeId: f.text("employeeId"), EmployeeType: f.text("employeeType"), Department: f.text("department"), JobTitle: f.text("jobTitle"),
		CompanyName: f.text("companyName"), OfficeLocation: f.text("officeLocation"), City: f.text("city"), Country: f.text("country"),
		UsageLocation: f.text("usageLocation"), PreferredLanguage: f.text("preferredLanguage"), MobilePhone: f.text("mobilePhone"),
		BusinessPhones: f.texts("businessPhones"), LicenceSkuIds: f.list("assignedLicenses", "skuId"),
		CertificateUserIds: f.object("authorizationInfo").texts("certificateUserIds"),
		IsResourceAccount:  f.flag("isResourceAccount"), MailNickname: f.text("mailNickname"),
	}
	if len(u.GetPasswordPolicies()) == 1 && u.GetPasswordPolicies()[0] == "None" {
		u.PasswordPolicies = nil
	}
	for _, identity := range f.objects("identities") {
		u.Identities = append(u.Identities, &directoryv1.Identity{
			SignInType: identity.text("signInType"), Issuer: identity.text("issuer"), IssuerAssignedId: identity.text("issuerAssignedId"),
		})
	}
	o.Payload = &directoryv1.Object_User{User: u}
}

func userActivity(f fields, o *directoryv1.Object) {
	a := f.object("signInActivity")
	o.Payload = &directoryv1.Object_UserActivity{UserActivity: &directoryv1.UserActivity{
		LastSignInAt: a.time("lastSignInDateTime"), LastNonInteractiveSignInAt: a.time("lastNonInteractiveSignInDateTime"),
		LastSuccessfulSignInAt: a.time("lastSuccessfulSignInDateTime"),
	}}
}

func registration(f fields, o *directoryv1.Object) {
	o.Payload = &directoryv1.Object_AuthenticationRegistration{AuthenticationRegistration: &directoryv1.AuthenticationRegistration{
		UserPrincipalName: f.text("userPrincipalName"), IsAdmin: f.flag("isAdmin"), IsMfaCapable: f.flag("isMfaCapable"),
		IsMfaRegistered: f.flag("isMfaRegistered"), IsPasswordlessCapable: f.flag("isPasswordlessCapable"),
		IsSsprCapable: f.flag("isSsprCapable"), IsSsprEnabled: f.flag("isSsprEnabled"), IsSsprRegistered: f.flag("isSsprRegistered"),
		IsSystemPreferredEnabled: f.flag("isSystemPreferredAuthenticationMethodEnabled"), Methods: f.texts("methodsRegistered"),
		SystemPreferredMethods:   f.texts("systemPreferredAuthenticationMethods"),
		PreferredSecondaryMethod: f.text("userPreferredMethodForSecondaryAuthentication"), LastUpdatedAt: f.time("lastUpdatedDateTime"),
	}}
}

func mailbox(f fields, o *directoryv1.Object) {
	o.Payload = &directoryv1.Object_Mailbox{Mailbox: &directoryv1.Mailbox{
		Purpose: f.text("userPurpose"), TimeZone: f.text("timeZone"), AutomaticReplies: f.object("automaticRepliesSetting").text("status"),
	}}
}

// mailboxRules reads the rules that send mail elsewhere, one for each action.
func mailboxRules(f fields, o *directoryv1.Object) {
	m := &directoryv1.Mailbox{}
	for _, rule := range f.objects("value") {
		for _, action := range []string{"forwardTo", "forwardAsAttachmentTo", "redirectTo"} {
			to := &directoryv1.ForwardingRule{
				Id: rule.text("id"), DisplayName: rule.text("displayName"), IsEnabled: rule.flag("isEnabled"), Action: action,
			}
			for _, recipient := range rule.object("actions").objects(action) {
				if address := recipient.object("emailAddress").text("address"); address != "" {
					to.Addresses = append(to.Addresses, address)
				}
			}
			if len(to.GetAddresses()) > 0 {
				m.Forwarding = append(m.Forwarding, to)
			}
		}
	}
	o.Payload = &directoryv1.Object_Mailbox{Mailbox: m}
}

func group(f fields, o *directoryv1.Object) {
	o.Payload = &directoryv1.Object_Group{Group: &directoryv1.Group{
		DisplayName: f.text("displayName"), Description: f.text("description"), Mail: f.text("mail"), MailNickname: f.text("mailNickname"),
		MailEnabled: f.flag("mailEnabled"), SecurityEnabled: f.flag("securityEnabled"), GroupTypes: f.texts("groupTypes"),
		IsAssignableToRole: f.flag("isAssignableToRole"), MembershipRule: f.text("membershipRule"),
		MembershipRuleProcessingState: f.text("membershipRuleProcessingState"), Visibility: f.text("visibility"),
		OnPremisesSyncEnabled: f.flag("onPremisesSyncEnabled"), OnPremisesSamAccountName: f.text("onPremisesSamAccountName"),
		CreatedAt: f.time("createdDateTime"), ExpiresAt: f.time("expirationDateTime"), LicenceSkuIds: f.list("assignedLicenses", "skuId"),
		Classification: f.text("classification"),
	}}
}

func device(f fields, o *directoryv1.Object) {
	o.Payload = &directoryv1.Object_Device{Device: &directoryv1.Device{
		DeviceId: f.text("deviceId"), DisplayName: f.text("displayName"), AccountEnabled: f.flag("accountEnabled"),
		OperatingSystem: f.text("operatingSystem"), OperatingSystemVersion: f.text("operatingSystemVersion"), TrustType: f.text("trustType"),
		IsCompliant: f.flag("isCompliant"), IsManaged: f.flag("isManaged"), IsRooted: f.flag("isRooted"), ManagementType: f.text("managementType"),
		ProfileType: f.text("profileType"), Manufacturer: f.text("manufacturer"), Model: f.text("model"), DeviceOwnership: f.text("deviceOwnership"),
		EnrollmentType: f.text("enrollmentType"), OnPremisesSyncEnabled: f.flag("onPremisesSyncEnabled"), RegisteredAt: f.time("registrationDateTime"),
		ApproximateLastSignInAt: f.time("approximateLastSignInDateTime"), ComplianceExpiresAt: f.time("complianceExpirationDateTime"),
	}}
}

func managedDevice(f fields, o *directoryv1.Object) {
	o.Payload = &directoryv1.Object_ManagedDevice{ManagedDevice: &directoryv1.ManagedDevice{
		AzureAdDeviceId: f.text("azureADDeviceId"), DeviceName: f.text("deviceName"), UserId: f.text("userId"),
		UserPrincipalName: f.text("userPrincipalName"), OperatingSystem: f.text("operatingSystem"), OsVersion: f.text("osVersion"),
		ComplianceState: f.text("complianceState"), ComplianceGracePeriodExpiresAt: f.time("complianceGracePeriodExpirationDateTime"),
		ManagementAgent: f.text("managementAgent"), OwnerType: f.text("managedDeviceOwnerType"), JailBroken: f.text("jailBroken"),
		IsEncrypted: f.flag("isEncrypted"), IsSupervised: f.flag("isSupervised"), Manufacturer: f.text("manufacturer"), Model: f.text("model"),
		SerialNumber: f.text("serialNumber"), EnrolledAt: f.time("enrolledDateTime"), LastSyncAt: f.time("lastSyncDateTime"),
	}}
}
