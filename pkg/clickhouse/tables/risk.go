package tables

import eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"

// riskDetectionColumns are the columns of risk_detections beside the envelope's.
func riskDetectionColumns() []source[*eventv1.Event] {
	type detection = eventv1.RiskDetection
	d := partOf((*eventv1.Event).GetRiskDetection)
	columns := []source[*eventv1.Event]{
		d.text("risk_event_type", (*detection).GetRiskEventType),
		d.text("risk_level", (*detection).GetRiskLevel),
		d.text("risk_state", (*detection).GetRiskState),
		d.text("risk_detail", (*detection).GetRiskDetail),
		d.text("detection_timing", (*detection).GetDetectionTiming),
		d.text("activity", (*detection).GetActivity),
		d.text("detector", (*detection).GetDetector),
		d.text("token_issuer_type", (*detection).GetTokenIssuerType),
		d.text("user_id", (*detection).GetUserId),
		d.text("user_principal_name", (*detection).GetUserPrincipalName),
		d.text("user_key", func(d *detection) string { return Key(d.GetUserPrincipalName()) }),
		d.text("user_display_name", (*detection).GetUserDisplayName),
		d.text("service_principal_id", (*detection).GetServicePrincipalId),
		d.text("service_principal_display_name", (*detection).GetServicePrincipalDisplayName),
		d.text("app_id", (*detection).GetAppId),
		d.address("ip", (*detection).GetIpAddress),
		d.text("ip_address", (*detection).GetIpAddress),
		d.text("request_id", (*detection).GetRequestId),
		d.text("correlation_id", (*detection).GetCorrelationId),
		d.maybeTime("activity_at", (*detection).GetActivityAt),
		d.maybeTime("detected_at", (*detection).GetDetectedAt),
		d.maybeTime("last_updated_at", (*detection).GetLastUpdatedAt),
		d.text("additional_info", (*detection).GetAdditionalInfo),
		d.texts("key_ids", (*detection).GetKeyIds),
	}
	return append(columns, placeColumns(func(e *eventv1.Event) *eventv1.Location { return e.GetRiskDetection().GetLocation() })...)
}

// riskyUserColumns are the columns of risky_users and risky_users_current beside the envelope's.
func riskyUserColumns() []source[*eventv1.Event] {
	type user = eventv1.RiskyUser
	u := partOf((*eventv1.Event).GetRiskyUser)
	return []source[*eventv1.Event]{
		u.text("user_id", (*user).GetUserId),
		u.text("user_principal_name", (*user).GetUserPrincipalName),
		u.text("user_key", func(u *user) string { return Key(u.GetUserPrincipalName()) }),
		u.text("user_display_name", (*user).GetUserDisplayName),
		u.text("risk_level", (*user).GetRiskLevel),
		u.text("risk_state", (*user).GetRiskState),
		u.text("risk_detail", (*user).GetRiskDetail),
		u.maybeTime("risk_last_updated_at", (*user).GetRiskLastUpdatedAt),
		u.maybeBool("is_deleted", func(u *user) *bool { return u.IsDeleted }),
		u.maybeBool("is_processing", func(u *user) *bool { return u.IsProcessing }),
	}
}
