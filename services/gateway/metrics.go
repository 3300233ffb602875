package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/telemetry"
	"github.com/entraflow/entraflow/services/gateway/internal/audit"
	"github.com/entraflow/entraflow/services/gateway/internal/directory"
	"github.com/entraflow/entraflow/services/gateway/internal/rest"
	"github.com/entraflow/entraflow/services/gateway/internal/search"
	"github.com/entraflow/entraflow/services/gateway/internal/subscribe"
)

type metrics struct {
	search    search.Metrics
	directory directory.Metrics
	subscribe subscribe.Metrics
	audit     audit.Metrics
	auditList audit.ListMetrics
	http      rest.Metrics
	up        *prometheus.GaugeVec
}

func newMetrics(registry prometheus.Registerer) (metrics, error) {
	m := telemetry.NewMetrics(registry, "gateway")
	made := metrics{
		search:    search.NewMetrics(m),
		directory: directory.NewMetrics(m),
		subscribe: subscribe.NewMetrics(m),
		http:      rest.NewMetrics(m),
		audit:     audit.NewMetrics(m),
		auditList: audit.NewListMetrics(m),
		up:        m.Gauge("dependency_up", "1 while the store or the bus answers.", "dependency"),
	}
	return made, m.Err()
}
