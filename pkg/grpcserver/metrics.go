package grpcserver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/entraflow/entraflow/pkg/telemetry"
)

type metrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer, service string) (metrics, error) {
	m := telemetry.NewMetrics(registry, service)
	made := metrics{
		calls:    m.Counter("grpc_calls", "gRPC calls that ended, by method and status code.", "method", "code"),
		duration: m.Histogram("grpc_call_seconds", "Time from a gRPC call's start to its end.", nil, "method"),
	}
	return made, m.Err()
}

func (m metrics) observe(method string, code codes.Code, took time.Duration) {
	m.calls.WithLabelValues(method, code.String()).Inc()
	m.duration.WithLabelValues(method).Observe(took.Seconds())
}
