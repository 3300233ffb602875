package subscribe

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/telemetry"
)

// Metrics count what subscriptions do.
type Metrics struct {
	Open                                                           *prometheus.GaugeVec
	Events, Responses, Failed, Slow, Reopened, Bad, Panics, Behind *prometheus.CounterVec
}

// NewMetrics makes the metrics.
func NewMetrics(m *telemetry.Metrics) Metrics {
	return Metrics{
		Open:      m.Gauge("subscriptions", "Subscriptions that are open."),
		Events:    m.Counter("subscription_events", "Events sent to subscribers."),
		Responses: m.Counter("subscription_responses", "Responses sent to subscribers, those without events too."),
		Failed:    m.Counter("subscription_filter_errors", "Events left out because a subscriber's filter failed for them."),
		Slow:      m.Counter("slow_subscribers", "Subscribers cut off because they read too slowly."),
		Reopened:  m.Counter("subscription_reopened", "Times that the shared consumer or a subscription had to begin a new one, by cause.", "cause"),
		Bad:       m.Counter("unreadable_messages", "Messages of EVENTS left out because they are no event."),
		Behind:    m.Counter("subscription_catch_up_refused", "Subscriptions told TOO_MANY_BEHIND, by the bound they met: all, or caller.", "bound"),
		Panics:    m.Counter("subscription_panics", "Panics of the shared consumer or of a subscription, by which of both.", "of"),
	}
}

// counters are the metrics of each response, looked up once.
type counters struct{ events, responses, failed prometheus.Counter }

func (m Metrics) counters() counters {
	return counters{
		events: m.Events.WithLabelValues(), responses: m.Responses.WithLabelValues(), failed: m.Failed.WithLabelValues(),
	}
}
