package tenant

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/telemetry"
)

// Metrics are those of all tenants of a process, by data type.
type Metrics struct{ objects, states, unreadable, rounds *prometheus.CounterVec }

// NewMetrics registers them.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := telemetry.NewMetrics(registry, service)
	made := &Metrics{
		objects:    m.Counter("objects", "Objects that Graph returned, unchanged ones too.", "data_type"),
		states:     m.Counter("states", "States of objects that were new and are stored in DIRECTORY.", "data_type"),
		unreadable: m.Counter("unreadable", "Records that became dead letters.", "data_type"),
		rounds:     m.Counter("rounds", "Readings that came to an end, by how: ok or a cause.", "data_type", "result"),
	}
	return made, m.Err()
}
