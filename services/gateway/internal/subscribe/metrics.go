package subscribe

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/telemetry"
)

// Metrics count what subscriptions do.
type Metrics struct {
	Open                                   *prometheus.GaugeVec
	Events, Responses, Slow, Reopened, Bad *prometheus.CounterVec
}

// NewMetrics makes the metrics.
func NewMetrics(m *telemetry.Metrics) Metrics {
	return Metrics{
		Open:      m.Gauge("subscriptions", "Subscriptions that are open."),
		Events:    m.Counter("subscription_events", "Events sent to subscribers."),
		Responses: m.Counter("subscription_responses", "Responses sent to subscribers, those without events too."),
		Slow:      m.Counter("slow_subscribers", "Subscribers cut off because they read too slowly."),
		Reopened:  m.Counter("subscription_reopened", "Consumers made anew for a subscription, by cause.", "cause"),
		Bad:       m.Counter("unreadable_messages", "Messages of EVENTS left out because they are no event."),
	}
}
