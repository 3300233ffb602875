package decode

import (
	"strings"

	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// userAgentDetail is the additional detail in which most services put the client's user agent.
const userAgentDetail = "User-Agent"

func (r *record) audit(e *eventv1.Event) {
	a := &eventv1.Audit{}
	e.Payload = &eventv1.Event_Audit{Audit: a}
	operation := ""
	r.object(func(key []byte) {
		switch string(key) {
		case "id":
			r.id = r.str()
		case "activitydatetime":
			r.activity = r.instant()
		case "activitydisplayname":
			a.Activity = r.str()
		case "operationname":
			operation = r.str()
		case "category":
			a.Category = r.str()
		case "operationtype":
			a.OperationType = r.str()
		case "result":
			a.Result = r.lower()
		case "resultreason":
			a.ResultReason = r.str()
		case "loggedbyservice":
			a.LoggedByService = r.str()
		case "correlationid":
			a.CorrelationId = r.str()
		case "useragent":
			a.UserAgent = r.str()
		case "initiatedby":
			a.Initiator = r.initiator()
		case "targetresources", "targetresource":
			a.Targets = r.targets()
		case "additionaldetails":
			a.AdditionalDetails = r.pairs("key", "value")
		default:
			r.skip()
		}
	})
	if r.source == eventv1.Source_SOURCE_EVENT_HUB {
		r.auditFromEnvelope(a, operation)
	}
	if a.GetUserAgent() != "" {
		return
	}
	for _, detail := range a.GetAdditionalDetails() {
		if strings.EqualFold(detail.GetKey(), userAgentDetail) {
			a.UserAgent = detail.GetValue()
			return
		}
	}
}

// auditFromEnvelope fills what the properties left out from the hub's envelope.
func (r *record) auditFromEnvelope(a *eventv1.Audit, operation string) {
	if a.GetActivity() == "" {
		a.Activity = r.outer(envOperation)
	}
	if a.GetActivity() == "" {
		a.Activity = operation
	}
	if _, diagnostic := lookUp(a.GetCategory()); diagnostic && r.flat {
		a.Category = ""
	}
	if a.GetCategory() == "" && r.row.name == "" && r.category != kindCategories[KindAudit] {
		// The pipeline wrote the audit's own category where the diagnostic one should stand.
		a.Category = r.category
	}
	if a.GetResult() == "" {
		a.Result = strings.ToLower(r.outer(envResult))
	}
	if a.GetResult() == "" {
		a.Result = outcomeOfWord(r.outer(envResultType))
	}
	if a.GetResultReason() == "" {
		a.ResultReason = r.outer(envResultDescription)
	}
	if a.GetCorrelationId() == "" {
		a.CorrelationId = r.outer(envCorrelationID)
	}
	if user := a.GetInitiator(); user.GetUserId()+user.GetUserPrincipalName() != "" && user.GetIpAddress() == "" {
		user.IpAddress = r.callerAddress()
	}
}

// initiator decodes initiatedBy, nil if it names nobody.
func (r *record) initiator() *eventv1.AuditInitiator {
	by := &eventv1.AuditInitiator{}
	named := false
	text := func(field *string) {
		*field = r.str()
		named = named || *field != ""
	}
	user := func(key []byte) {
		switch string(key) {
		case "id":
			text(&by.UserId)
		case "userprincipalname":
			text(&by.UserPrincipalName)
		case "displayname":
			text(&by.UserDisplayName)
		case "ipaddress":
			by.IpAddress = r.address()
			named = named || by.GetIpAddress() != ""
		default:
			r.skip()
		}
	}
	app := func(key []byte) {
		switch string(key) {
		case "appid":
			text(&by.AppId)
		case "serviceprincipalid":
			text(&by.ServicePrincipalId)
		case "displayname":
			text(&by.AppDisplayName)
		default:
			r.skip()
		}
	}
	r.object(func(key []byte) {
		switch string(key) {
		case "user":
			r.object(user)
		case "app":
			r.object(app)
		default:
			r.skip()
		}
	})
	if !named {
		return nil
	}
	return by
}

func (r *record) targets() []*eventv1.AuditTarget {
	var list []*eventv1.AuditTarget
	r.array(func() {
		t := &eventv1.AuditTarget{}
		odataType := ""
		if !r.object(func(key []byte) {
			switch string(key) {
			case "id":
				t.Id = r.str()
			case "displayname":
				t.DisplayName = r.str()
			case "type":
				t.Type = r.str()
			case "@odata.type":
				odataType = r.str()
			case "userprincipalname":
				t.UserPrincipalName = r.str()
			case "grouptype":
				t.GroupType = r.str()
			case "modifiedproperties":
				t.ModifiedProperties = r.modifiedProperties()
			default:
				r.skip()
			}
		}) {
			return
		}
		if t.GetType() == "" {
			t.Type = targetType(odataType)
		}
		list = append(list, t)
	})
	return list
}

// targetType takes the type out of "#microsoft.graph.targetResourceUser".
func targetType(odataType string) string {
	const prefix = "#microsoft.graph.targetresource"
	if len(odataType) <= len(prefix) || !strings.EqualFold(odataType[:len(prefix)], prefix) {
		return ""
	}
	return odataType[len(prefix):]
}

func (r *record) modifiedProperties() []*eventv1.ModifiedProperty {
	var list []*eventv1.ModifiedProperty
	var made slab[eventv1.ModifiedProperty]
	r.array(func() {
		p := made.make()
		if r.object(func(key []byte) {
			switch string(key) {
			case "displayname", "name":
				p.Name = r.str()
			case "oldvalue":
				p.OldValue = r.optional()
			case "newvalue":
				p.NewValue = r.optional()
			default:
				r.skip()
			}
		}) {
			list = append(list, p)
		}
	})
	return list
}
