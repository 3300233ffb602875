package tables

import eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"

// signInColumns are the columns of sign_ins beside the envelope's.
func signInColumns() []source[*eventv1.Event] {
	s := partOf((*eventv1.Event).GetSignIn)
	columns := []source[*eventv1.Event]{
		s.maybeBool("is_interactive", func(s *eventv1.SignIn) *bool { return s.IsInteractive }),
	}
	columns = append(columns, signInIdentity(s)...)
	columns = append(columns, signInApplication(s)...)
	columns = append(columns, signInClient(s)...)
	columns = append(columns, signInResult(s)...)
	columns = append(columns, signInConditionalAccess(s)...)
	columns = append(columns, signInAuthentication(s)...)
	columns = append(columns, signInRisk(s)...)
	return append(columns, signInTokens(s)...)
}

type signInPart = part[*eventv1.Event, eventv1.SignIn]

func signInIdentity(s signInPart) []source[*eventv1.Event] {
	type signIn = eventv1.SignIn
	return []source[*eventv1.Event]{
		s.text("user_id", (*signIn).GetUserId),
		s.text("user_principal_name", (*signIn).GetUserPrincipalName),
		s.text("user_key", func(s *signIn) string { return Key(s.GetUserPrincipalName()) }),
		s.text("user_display_name", (*signIn).GetUserDisplayName),
		s.text("user_type", (*signIn).GetUserType),
		s.text("sign_in_identifier", (*signIn).GetSignInIdentifier),
		s.text("sign_in_identifier_type", (*signIn).GetSignInIdentifierType),
		s.text("alternate_sign_in_name", (*signIn).GetAlternateSignInName),
		s.text("service_principal_id", (*signIn).GetServicePrincipalId),
		s.text("service_principal_name", (*signIn).GetServicePrincipalName),
		s.text("service_principal_credential_key_id", (*signIn).GetServicePrincipalCredentialKeyId),
		s.text("service_principal_credential_thumbprint", (*signIn).GetServicePrincipalCredentialThumbprint),
		s.text("client_credential_type", (*signIn).GetClientCredentialType),
		s.text("federated_credential_id", (*signIn).GetFederatedCredentialId),
		s.text("managed_identity_type", (*signIn).GetManagedIdentityType),
		s.text("managed_identity_associated_resource_id", (*signIn).GetManagedIdentityAssociatedResourceId),
		s.text("managed_identity_federated_token_id", (*signIn).GetManagedIdentityFederatedTokenId),
		s.text("managed_identity_federated_token_issuer", (*signIn).GetManagedIdentityFederatedTokenIssuer),
		s.text("home_tenant_id", (*signIn).GetHomeTenantId),
		s.text("home_tenant_name", (*signIn).GetHomeTenantName),
		s.text("cross_tenant_access_type", (*signIn).GetCrossTenantAccessType),
		s.maybeBool("is_tenant_restricted", func(s *signIn) *bool { return s.IsTenantRestricted }),
		s.text("agent_type", (*signIn).GetAgentType),
		s.text("agent_subject_type", (*signIn).GetAgentSubjectType),
		s.text("agent_parent_app_id", (*signIn).GetAgentParentAppId),
	}
}

func signInApplication(s signInPart) []source[*eventv1.Event] {
	type signIn = eventv1.SignIn
	return []source[*eventv1.Event]{
		s.text("app_id", (*signIn).GetAppId),
		s.text("app_display_name", (*signIn).GetAppDisplayName),
		s.text("app_owner_tenant_id", (*signIn).GetAppOwnerTenantId),
		s.text("app_service_principal_id", (*signIn).GetAppServicePrincipalId),
		s.text("source_app_client_id", (*signIn).GetSourceAppClientId),
		s.text("resource_id", (*signIn).GetResourceId),
		s.text("resource_display_name", (*signIn).GetResourceDisplayName),
		s.text("resource_tenant_id", (*signIn).GetResourceTenantId),
		s.text("resource_owner_tenant_id", (*signIn).GetResourceOwnerTenantId),
		s.text("resource_service_principal_id", (*signIn).GetResourceServicePrincipalId),
	}
}

func signInClient(s signInPart) []source[*eventv1.Event] {
	type (
		signIn   = eventv1.SignIn
		device   = eventv1.Device
		location = eventv1.NetworkLocation
	)
	d := partOf(func(e *eventv1.Event) *device { return e.GetSignIn().GetDevice() })
	n := itemsOf(func(e *eventv1.Event) []*location { return e.GetSignIn().GetNetworkLocations() })
	columns := []source[*eventv1.Event]{
		s.text("client_app_used", (*signIn).GetClientAppUsed),
		s.text("authentication_protocol", (*signIn).GetAuthenticationProtocol),
		s.text("original_transfer_method", (*signIn).GetOriginalTransferMethod),
		s.text("user_agent", (*signIn).GetUserAgent),
		s.text("redirect_url", (*signIn).GetRedirectUrl),
		d.text("device_id", (*device).GetId),
		d.text("device_display_name", (*device).GetDisplayName),
		d.text("device_operating_system", (*device).GetOperatingSystem),
		d.text("device_browser", (*device).GetBrowser),
		d.maybeBool("device_is_compliant", func(d *device) *bool { return d.IsCompliant }),
		d.maybeBool("device_is_managed", func(d *device) *bool { return d.IsManaged }),
		d.text("device_trust_type", (*device).GetTrustType),
		s.address("ip", (*signIn).GetIpAddress),
		s.text("ip_address", (*signIn).GetIpAddress),
		s.text("ip_address_from_resource_provider", (*signIn).GetIpAddressFromResourceProvider),
		s.maybeUint32("autonomous_system_number", func(s *signIn) *uint32 { return s.AutonomousSystemNumber }),
		n.jsonList("network_locations", func(o *object, n *location) {
			o.text("type", n.GetType())
			o.texts("names", n.GetNames())
		}),
		s.text("global_secure_access_ip_address", (*signIn).GetGlobalSecureAccessIpAddress),
		s.maybeBool("is_through_global_secure_access", func(s *signIn) *bool { return s.IsThroughGlobalSecureAccess }),
		s.text("private_link_resource_id", (*signIn).GetPrivateLinkResourceId),
	}
	return append(columns, placeColumns(func(e *eventv1.Event) *eventv1.Location { return e.GetSignIn().GetLocation() })...)
}

func signInResult(s signInPart) []source[*eventv1.Event] {
	type signIn = eventv1.SignIn
	return []source[*eventv1.Event]{
		s.text("outcome", (*signIn).GetOutcome),
		s.maybeInt("error_code", func(s *signIn) *int64 { return s.ErrorCode }),
		s.text("failure_reason", (*signIn).GetFailureReason),
		s.text("additional_details", (*signIn).GetAdditionalDetails),
	}
}

func signInConditionalAccess(s signInPart) []source[*eventv1.Event] {
	type (
		signIn = eventv1.SignIn
		policy = eventv1.ConditionalAccessPolicy
	)
	p := itemsOf(func(e *eventv1.Event) []*policy { return e.GetSignIn().GetAppliedConditionalAccessPolicies() })
	return []source[*eventv1.Event]{
		s.text("conditional_access_status", (*signIn).GetConditionalAccessStatus),
		p.jsonList("conditional_access_policies", func(o *object, p *policy) {
			o.text("id", p.GetId())
			o.text("display_name", p.GetDisplayName())
			o.text("result", p.GetResult())
			o.texts("grant_controls", p.GetEnforcedGrantControls())
			o.texts("session_controls", p.GetEnforcedSessionControls())
		}),
		pairList("authentication_contexts", s, (*signIn).GetAuthenticationContextClassReferences),
	}
}

func signInAuthentication(s signInPart) []source[*eventv1.Event] {
	type (
		signIn = eventv1.SignIn
		step   = eventv1.AuthenticationStep
	)
	a := itemsOf(func(e *eventv1.Event) []*step { return e.GetSignIn().GetAuthenticationDetails() })
	return []source[*eventv1.Event]{
		s.text("authentication_requirement", (*signIn).GetAuthenticationRequirement),
		pairList("authentication_requirement_policies", s, (*signIn).GetAuthenticationRequirementPolicies),
		a.jsonList("authentication_steps", func(o *object, a *step) {
			o.maybeTime("occurred_at", a.GetOccurredAt())
			o.text("method", a.GetMethod())
			o.text("method_detail", a.GetMethodDetail())
			o.maybeBool("succeeded", a.Succeeded)
			o.text("result_detail", a.GetResultDetail())
			o.text("requirement", a.GetRequirement())
		}),
		pairList("authentication_processing_details", s, (*signIn).GetAuthenticationProcessingDetails),
		s.text("mfa_auth_method", (*signIn).GetMfaAuthMethod),
		s.text("mfa_auth_detail", (*signIn).GetMfaAuthDetail),
		pairList("session_lifetime_policies", s, (*signIn).GetSessionLifetimePolicies),
	}
}

func signInRisk(s signInPart) []source[*eventv1.Event] {
	type signIn = eventv1.SignIn
	return []source[*eventv1.Event]{
		s.text("risk_detail", (*signIn).GetRiskDetail),
		s.text("risk_level_aggregated", (*signIn).GetRiskLevelAggregated),
		s.text("risk_level_during_sign_in", (*signIn).GetRiskLevelDuringSignIn),
		s.text("risk_state", (*signIn).GetRiskState),
		s.texts("risk_event_types", (*signIn).GetRiskEventTypes),
		s.maybeBool("flagged_for_review", func(s *signIn) *bool { return s.FlaggedForReview }),
	}
}

func signInTokens(s signInPart) []source[*eventv1.Event] {
	type signIn = eventv1.SignIn
	return []source[*eventv1.Event]{
		s.text("correlation_id", (*signIn).GetCorrelationId),
		s.text("original_request_id", (*signIn).GetOriginalRequestId),
		s.text("unique_token_identifier", (*signIn).GetUniqueTokenIdentifier),
		s.text("session_id", (*signIn).GetSessionId),
		s.text("incoming_token_type", (*signIn).GetIncomingTokenType),
		s.text("token_issuer_name", (*signIn).GetTokenIssuerName),
		s.text("token_issuer_type", (*signIn).GetTokenIssuerType),
		s.text("sign_in_token_protection_status", (*signIn).GetSignInTokenProtectionStatus),
		s.text("token_protection_status", (*signIn).GetTokenProtectionStatus),
		s.maybeInt("token_protection_status_code", func(s *signIn) *int64 { return s.TokenProtectionStatusCode }),
		s.maybeInt("processing_time_ms", func(s *signIn) *int64 { return s.ProcessingTimeMs }),
	}
}
