package budget

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/telemetry"
)

type metrics struct {
	granted, throttled, leases, lost *prometheus.CounterVec
	wait                             *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer, service string) (*metrics, error) {
	m := telemetry.NewMetrics(registerer, service)
	bounds := []float64{0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300}
	made := &metrics{
		granted:   m.Counter("budget_grants", "Requests let through, by bucket and class.", "bucket", "class"),
		throttled: m.Counter("budget_throttles", "Answers of Graph with 429, by the narrowest bucket.", "bucket"),
		leases:    m.Counter("budget_leases", "Visits to a bucket's ledger: granted, none or away.", "bucket", "result"),
		lost:      m.Counter("budget_lost_units", "Units that nobody needed in time.", "bucket"),
		wait:      m.Histogram("budget_wait_seconds", "Time that a request waited, by its narrowest bucket.", bounds, "bucket", "class"),
	}
	return made, m.Err()
}
