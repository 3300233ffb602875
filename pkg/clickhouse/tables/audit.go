package tables

import eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"

// auditColumns are the columns of audits beside the envelope's.
func auditColumns() []source[*eventv1.Event] {
	type audit = eventv1.Audit
	a := partOf((*eventv1.Event).GetAudit)
	columns := []source[*eventv1.Event]{
		a.text("activity", (*audit).GetActivity),
		a.text("audit_category", (*audit).GetCategory),
		a.text("operation_type", (*audit).GetOperationType),
		a.text("result", (*audit).GetResult),
		a.text("result_reason", (*audit).GetResultReason),
		a.text("logged_by_service", (*audit).GetLoggedByService),
		a.text("correlation_id", (*audit).GetCorrelationId),
		a.text("user_agent", (*audit).GetUserAgent),
	}
	columns = append(columns, auditInitiator()...)
	columns = append(columns, auditTargets()...)
	return append(columns, pairColumns("additional_details", a, (*audit).GetAdditionalDetails)...)
}

func auditInitiator() []source[*eventv1.Event] {
	type initiator = eventv1.AuditInitiator
	i := partOf(func(e *eventv1.Event) *initiator { return e.GetAudit().GetInitiator() })
	return []source[*eventv1.Event]{
		i.text("initiator_user_id", (*initiator).GetUserId),
		i.text("initiator_user_principal_name", (*initiator).GetUserPrincipalName),
		i.text("initiator_user_key", func(i *initiator) string { return Key(i.GetUserPrincipalName()) }),
		i.text("initiator_user_display_name", (*initiator).GetUserDisplayName),
		i.address("ip", (*initiator).GetIpAddress),
		i.text("ip_address", (*initiator).GetIpAddress),
		i.text("initiator_app_id", (*initiator).GetAppId),
		i.text("initiator_service_principal_id", (*initiator).GetServicePrincipalId),
		i.text("initiator_app_display_name", (*initiator).GetAppDisplayName),
	}
}

// change is a changed property with the object it was changed on.
type change struct {
	target   *eventv1.AuditTarget
	property *eventv1.ModifiedProperty
}

func auditTargets() []source[*eventv1.Event] {
	type target = eventv1.AuditTarget
	t := itemsOf(func(e *eventv1.Event) []*target { return e.GetAudit().GetTargets() })
	c := itemsOf(auditChanges)
	columns := []source[*eventv1.Event]{
		t.text("targets.id", (*target).GetId),
		t.text("targets.display_name", (*target).GetDisplayName),
		t.text("targets.type", (*target).GetType),
		t.text("targets.user_principal_name", (*target).GetUserPrincipalName),
		t.text("targets.user_key", func(t *target) string { return Key(t.GetUserPrincipalName()) }),
		t.text("targets.group_type", (*target).GetGroupType),
		c.text("modified_properties.target_id", func(c *change) string { return c.target.GetId() }),
	}
	return append(columns, changeColumns(c, func(c *change) *eventv1.ModifiedProperty { return c.property })...)
}

func auditChanges(e *eventv1.Event) []*change {
	var changes []*change
	for _, target := range e.GetAudit().GetTargets() {
		for _, property := range target.GetModifiedProperties() {
			changes = append(changes, &change{target, property})
		}
	}
	return changes
}
