package tables

import eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"

// otherColumns are the columns of other_events beside the envelope's.
func otherColumns() []source[*eventv1.Event] {
	type other = eventv1.Other
	o := partOf((*eventv1.Event).GetOther)
	return []source[*eventv1.Event]{
		o.text("operation", (*other).GetOperation),
		o.text("result", (*other).GetResult),
		o.text("result_description", (*other).GetResultDescription),
		o.address("ip", (*other).GetIpAddress),
		o.text("ip_address", (*other).GetIpAddress),
		o.text("identity", (*other).GetIdentity),
		o.text("correlation_id", (*other).GetCorrelationId),
		o.text("resource_id", (*other).GetResourceId),
		o.text("location", (*other).GetLocation),
	}
}
