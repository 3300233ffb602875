package entra

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/telemetry"
)

type metrics struct {
	requests, retries, bytes *prometheus.CounterVec
	seconds                  *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer, service string) (*metrics, error) {
	m := telemetry.NewMetrics(registerer, service)
	made := &metrics{
		requests: m.Counter("graph_requests", "Requests to Graph, by HTTP status; none is a failure of the network.", "workload", "status"),
		retries:  m.Counter("graph_retries", "Requests tried again, by cause.", "workload", "cause"),
		bytes:    m.Counter("graph_response_bytes", "Bytes of answers, unpacked.", "workload"),
		seconds:  m.Histogram("graph_request_seconds", "Time of a request, its body included.", nil, "workload"),
	}
	return made, m.Err()
}
