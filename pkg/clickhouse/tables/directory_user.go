package tables

import directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"

// userColumns are the columns of users_current beside the object's.
func userColumns() []source[*directoryObject] {
	type user = directoryv1.User
	u := partOf((*directoryObject).GetUser)
	columns := []source[*directoryObject]{
		u.text("user_principal_name", (*user).GetUserPrincipalName),
		u.text("user_key", func(u *user) string { return Key(u.GetUserPrincipalName()) }),
		u.text("given_name", (*user).GetGivenName),
		u.text("surname", (*user).GetSurname),
		u.text("mail", (*user).GetMail),
		u.texts("other_mails", (*user).GetOtherMails),
		u.texts("proxy_addresses", (*user).GetProxyAddresses),
		u.text("user_type", (*user).GetUserType),
		u.maybeBool("account_enabled", func(u *user) *bool { return u.AccountEnabled }),
		u.text("creation_type", (*user).GetCreationType),
		u.text("external_user_state", (*user).GetExternalUserState),
		u.maybeTime("external_user_state_changed_at", (*user).GetExternalUserStateChangedAt),
		u.maybeTime("created_at", (*user).GetCreatedAt),
		u.maybeTime("deleted_at", (*user).GetDeletedAt),
		u.maybeTime("last_password_change_at", (*user).GetLastPasswordChangeAt),
		u.maybeTime("sessions_valid_from", (*user).GetSessionsValidFrom),
		u.texts("password_policies", (*user).GetPasswordPolicies),
		u.maybeBool("on_premises_sync_enabled", func(u *user) *bool { return u.OnPremisesSyncEnabled }),
		u.text("on_premises_sam_account_name", (*user).GetOnPremisesSamAccountName),
		u.text("on_premises_domain_name", (*user).GetOnPremisesDomainName),
		u.text("on_premises_immutable_id", (*user).GetOnPremisesImmutableId),
		u.text("employee_id", (*user).GetEmployeeId),
		u.text("employee_type", (*user).GetEmployeeType),
		u.text("department", (*user).GetDepartment),
		u.text("job_title", (*user).GetJobTitle),
		u.text("company_name", (*user).GetCompanyName),
		u.text("office_location", (*user).GetOfficeLocation),
		u.text("city", (*user).GetCity),
		u.text("country", (*user).GetCountry),
		u.text("usage_location", (*user).GetUsageLocation),
		u.text("preferred_language", (*user).GetPreferredLanguage),
		u.text("mobile_phone", (*user).GetMobilePhone),
		u.texts("business_phones", (*user).GetBusinessPhones),
		u.texts("licence_sku_ids", (*user).GetLicenceSkuIds),
		u.texts("certificate_user_ids", (*user).GetCertificateUserIds),
		u.text("manager_id", (*user).GetManagerId),
		u.maybeBool("is_resource_account", func(u *user) *bool { return u.IsResourceAccount }),
		u.text("mail_nickname", (*user).GetMailNickname),
	}
	identities := itemsOf(func(o *directoryObject) []*directoryv1.Identity { return o.GetUser().GetIdentities() })
	return append(columns,
		identities.text("identities.sign_in_type", (*directoryv1.Identity).GetSignInType),
		identities.text("identities.issuer", (*directoryv1.Identity).GetIssuer),
		identities.text("identities.issuer_assigned_id", (*directoryv1.Identity).GetIssuerAssignedId),
	)
}

// userActivityColumns are the columns of user_activity_current beside the object's.
func userActivityColumns() []source[*directoryObject] {
	type activity = directoryv1.UserActivity
	a := partOf((*directoryObject).GetUserActivity)
	return []source[*directoryObject]{
		a.maybeTime("last_sign_in_at", (*activity).GetLastSignInAt),
		a.maybeTime("last_non_interactive_sign_in_at", (*activity).GetLastNonInteractiveSignInAt),
		a.maybeTime("last_successful_sign_in_at", (*activity).GetLastSuccessfulSignInAt),
	}
}

// authenticationRegistrationColumns are the columns of authentication_registrations_current beside the object's.
func authenticationRegistrationColumns() []source[*directoryObject] {
	type registration = directoryv1.AuthenticationRegistration
	r := partOf((*directoryObject).GetAuthenticationRegistration)
	return []source[*directoryObject]{
		r.text("user_principal_name", (*registration).GetUserPrincipalName),
		r.maybeBool("is_admin", func(r *registration) *bool { return r.IsAdmin }),
		r.maybeBool("is_mfa_capable", func(r *registration) *bool { return r.IsMfaCapable }),
		r.maybeBool("is_mfa_registered", func(r *registration) *bool { return r.IsMfaRegistered }),
		r.maybeBool("is_passwordless_capable", func(r *registration) *bool { return r.IsPasswordlessCapable }),
		r.maybeBool("is_sspr_capable", func(r *registration) *bool { return r.IsSsprCapable }),
		r.maybeBool("is_sspr_enabled", func(r *registration) *bool { return r.IsSsprEnabled }),
		r.maybeBool("is_sspr_registered", func(r *registration) *bool { return r.IsSsprRegistered }),
		r.maybeBool("is_system_preferred_enabled", func(r *registration) *bool { return r.IsSystemPreferredEnabled }),
		r.texts("methods", (*registration).GetMethods),
		r.texts("system_preferred_methods", (*registration).GetSystemPreferredMethods),
		r.text("preferred_secondary_method", (*registration).GetPreferredSecondaryMethod),
		r.maybeTime("last_updated_at", (*registration).GetLastUpdatedAt),
	}
}

// mailboxColumns are the columns of mailboxes_current beside the object's.
func mailboxColumns() []source[*directoryObject] {
	type (
		mailbox = directoryv1.Mailbox
		rule    = directoryv1.ForwardingRule
	)
	m := partOf((*directoryObject).GetMailbox)
	rules := itemsOf(func(o *directoryObject) []*rule { return o.GetMailbox().GetForwarding() })
	return []source[*directoryObject]{
		m.text("purpose", (*mailbox).GetPurpose),
		m.text("time_zone", (*mailbox).GetTimeZone),
		m.text("automatic_replies", (*mailbox).GetAutomaticReplies),
		rules.text("forwarding.id", (*rule).GetId),
		rules.text("forwarding.display_name", (*rule).GetDisplayName),
		rules.maybeBool("forwarding.is_enabled", func(r *rule) *bool { return r.IsEnabled }),
		rules.text("forwarding.action", (*rule).GetAction),
		rules.texts("forwarding.addresses", (*rule).GetAddresses),
	}
}
