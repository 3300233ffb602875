package decode

import eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"

// other decodes a record of a category without a model: the envelope, and from the properties just what
// names the fact and its time.
func (r *record) other(e *eventv1.Event) {
	o := &eventv1.Other{}
	e.Payload = &eventv1.Event_Other{Other: o}
	address, correlation := "", ""
	r.object(func(key []byte) {
		switch string(key) {
		case "id":
			r.id = r.str()
		case "createddatetime":
			r.created = r.instant()
		case "activitydatetime":
			r.activity = r.instant()
		case "detecteddatetime":
			r.detected = r.instant()
		case "risklastupdateddatetime":
			r.riskUpdated = r.instant()
		case "ipaddress":
			address = cleanAddress(r.str())
		case "correlationid":
			correlation = r.str()
		case "risklevel", "riskdetail", "riskstate":
			r.withheld = r.withheld || anyHidden(r.str())
		default:
			r.skip()
		}
	})
	o.IpAddress, o.CorrelationId = address, correlation
	if r.source == eventv1.Source_SOURCE_EVENT_HUB {
		r.otherFromEnvelope(o)
	}
}

func (r *record) otherFromEnvelope(o *eventv1.Other) {
	o.Operation = r.outer(envOperation)
	if o.Result = r.outer(envResultType); o.GetResult() == "" {
		o.Result = r.outer(envResultSignature)
	}
	o.ResultDescription = r.outer(envResultDescription)
	if address := r.callerAddress(); address != "" {
		o.IpAddress = address
	}
	o.Identity = r.outer(envIdentity)
	if correlation := r.outer(envCorrelationID); correlation != "" {
		o.CorrelationId = correlation
	}
	o.ResourceId = r.outer(envResourceID)
	o.Location = r.outer(envLocation)
}
