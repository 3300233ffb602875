package decode

import (
	"strings"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Names of provisioning step types and results by their number, as hubs write them.
var (
	provisioningStepTypes = [...]string{"import", "scoping", "matching", "processing", "referenceResolution", "export"}
	provisioningResults   = [...]string{"success", "failure", "skipped", "warning"}
)

func (r *record) provisioning(e *eventv1.Event) {
	p := &eventv1.Provisioning{}
	e.Payload = &eventv1.Event_Provisioning{Provisioning: p}
	action := ""
	r.object(func(key []byte) {
		switch string(key) {
		case "id":
			r.id = r.str()
		case "activitydatetime":
			r.activity = r.instant()
		case "provisioningaction":
			p.Action = r.str()
		case "action":
			action = r.lower()
		case "provisioningstatusinfo":
			r.provisioningStatus(p)
		case "jobid":
			p.JobId = r.str()
		case "cycleid":
			p.CycleId = r.str()
		case "changeid":
			p.ChangeId = r.str()
		case "durationinmilliseconds":
			p.DurationMs = r.integer()
		case "tenantname":
			p.TenantName = r.str()
		case "initiatedby":
			p.InitiatorId, p.InitiatorName, p.InitiatorType = r.party()
		case "serviceprincipal":
			p.ServicePrincipalId, p.ServicePrincipalName, _ = r.party()
		case "sourceidentity":
			p.SourceIdentity = r.identity()
		case "targetidentity":
			p.TargetIdentity = r.identity()
		case "sourcesystem":
			_, p.SourceSystem, _ = r.party()
		case "targetsystem":
			_, p.TargetSystem, _ = r.party()
		case "modifiedproperties":
			p.ModifiedProperties = r.modifiedProperties()
		case "provisioningsteps":
			p.Steps = r.provisioningSteps()
		default:
			r.skip()
		}
	})
	if p.GetAction() == "" {
		p.Action = action
	}
	if p.GetStatus() == "" && r.source == eventv1.Source_SOURCE_EVENT_HUB {
		p.Status = strings.ToLower(r.outer(envResultType))
	}
}

func (r *record) provisioningStatus(p *eventv1.Provisioning) {
	p.Status, p.ErrorCode, p.ErrorCategory, p.ErrorReason = "", "", "", ""
	r.object(func(key []byte) {
		switch string(key) {
		case "status":
			p.Status = numbered(r.str(), provisioningResults[:])
		case "errorinformation":
			r.object(func(key []byte) {
				switch string(key) {
				case "errorcode":
					p.ErrorCode = r.str()
				case "errorcategory":
					p.ErrorCategory = r.str()
				case "reason":
					p.ErrorReason = r.str()
				default:
					r.skip()
				}
			})
		default:
			r.skip()
		}
	})
}

// party decodes an object with an id, a name and a type; Graph and hubs name these members differently.
func (r *record) party() (id, name, kind string) {
	r.array(func() {
		r.object(func(key []byte) {
			switch string(key) {
			case "id":
				id = r.str()
			case "displayname", "name":
				if text := r.str(); text != "" {
					name = text
				}
			case "initiatortype", "identitytype", "type":
				if text := r.str(); text != "" {
					kind = text
				}
			default:
				r.skip()
			}
		})
	})
	return id, name, kind
}

// identity decodes an object of the source or target system, nil if nothing is known of it.
func (r *record) identity() *eventv1.ProvisionedIdentity {
	id, name, kind := r.party()
	if id == "" && name == "" && kind == "" {
		return nil
	}
	return &eventv1.ProvisionedIdentity{Id: id, DisplayName: name, Type: kind}
}

func (r *record) provisioningSteps() []*eventv1.ProvisioningStep {
	var list []*eventv1.ProvisioningStep
	r.array(func() {
		step := &eventv1.ProvisioningStep{}
		if r.object(func(key []byte) {
			switch string(key) {
			case "name":
				step.Name = r.str()
			case "provisioningsteptype", "type":
				step.Type = numbered(r.str(), provisioningStepTypes[:])
			case "status":
				step.Status = numbered(r.str(), provisioningResults[:])
			case "description":
				step.Description = r.str()
			default:
				r.skip()
			}
		}) {
			list = append(list, step)
		}
	})
	return list
}

// numbered replaces a number by the name it stands for; other texts stay as written.
func numbered(text string, names []string) string {
	if n, ok := parseInteger(text); ok && n >= 0 && n < int64(len(names)) {
		return names[n]
	}
	return text
}
