package tables

import eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"

// provisioningColumns are the columns of provisioning beside the envelope's.
func provisioningColumns() []source[*eventv1.Event] {
	type (
		provisioning = eventv1.Provisioning
		step         = eventv1.ProvisioningStep
		property     = eventv1.ModifiedProperty
	)
	p := partOf((*eventv1.Event).GetProvisioning)
	steps := itemsOf(func(e *eventv1.Event) []*step { return e.GetProvisioning().GetSteps() })
	changes := itemsOf(func(e *eventv1.Event) []*property { return e.GetProvisioning().GetModifiedProperties() })
	columns := []source[*eventv1.Event]{
		p.text("action", (*provisioning).GetAction),
		p.text("status", (*provisioning).GetStatus),
		p.text("error_code", (*provisioning).GetErrorCode),
		p.text("error_category", (*provisioning).GetErrorCategory),
		p.text("error_reason", (*provisioning).GetErrorReason),
		p.text("job_id", (*provisioning).GetJobId),
		p.text("cycle_id", (*provisioning).GetCycleId),
		p.text("change_id", (*provisioning).GetChangeId),
		p.maybeInt("duration_ms", func(p *provisioning) *int64 { return p.DurationMs }),
		p.text("initiator_id", (*provisioning).GetInitiatorId),
		p.text("initiator_name", (*provisioning).GetInitiatorName),
		p.text("initiator_type", (*provisioning).GetInitiatorType),
		p.text("service_principal_id", (*provisioning).GetServicePrincipalId),
		p.text("service_principal_name", (*provisioning).GetServicePrincipalName),
		p.text("source_system", (*provisioning).GetSourceSystem),
		p.text("target_system", (*provisioning).GetTargetSystem),
		p.text("tenant_name", (*provisioning).GetTenantName),
		steps.text("steps.name", (*step).GetName),
		steps.text("steps.type", (*step).GetType),
		steps.text("steps.status", (*step).GetStatus),
		steps.text("steps.description", (*step).GetDescription),
	}
	columns = append(columns, provisionedColumns("source_identity", (*provisioning).GetSourceIdentity)...)
	columns = append(columns, provisionedColumns("target_identity", (*provisioning).GetTargetIdentity)...)
	return append(columns, changeColumns(changes, func(p *property) *property { return p })...)
}

func provisionedColumns(name string, of func(*eventv1.Provisioning) *eventv1.ProvisionedIdentity) []source[*eventv1.Event] {
	type identity = eventv1.ProvisionedIdentity
	i := partOf(func(e *eventv1.Event) *identity { return of(e.GetProvisioning()) })
	return []source[*eventv1.Event]{
		i.text(name+"_id", (*identity).GetId),
		i.text(name+"_display_name", (*identity).GetDisplayName),
		i.text(name+"_type", (*identity).GetType),
	}
}
