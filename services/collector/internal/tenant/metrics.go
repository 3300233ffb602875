package tenant

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/telemetry"
)

// Metrics are those of all tenants of a process.
type Metrics struct {
	rows, windows, waits *prometheus.CounterVec // by data type
	retries, failures    *prometheus.CounterVec // by data type and cause
}

// NewMetrics registers them.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := telemetry.NewMetrics(registry, service)
	made := &Metrics{
		rows:     m.Counter("records", "Records read, those of windows that were read again too.", "data_type"),
		windows:  m.Counter("windows", "Windows read to their end.", "data_type"),
		waits:    m.Counter("throttle_wait_seconds", "Time spent waiting for Microsoft's limits, over all windows.", "data_type"),
		retries:  m.Counter("window_retries", "Windows begun again after an error.", "data_type", "cause"),
		failures: m.Counter("read_failures", "Times a data type was given up for a while.", "data_type", "cause"),
	}
	return made, m.Err()
}
