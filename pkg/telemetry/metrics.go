package telemetry

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// namespace begins the name of every metric.
const namespace = "entraflow"

// NewRegistry returns a registry that knows the process and the Go runtime.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

// Metrics makes the metrics of one service, named entraflow_<service>_<name>. Two of the same
// service on one registry share their metrics. It is not safe for concurrent use; what it
// makes is.
type Metrics struct {
	registerer prometheus.Registerer
	service    string
	errs       []error
}

// NewMetrics returns a maker of metrics of the service, a lower-case word. A nil registerer
// makes metrics that nobody sees.
func NewMetrics(registerer prometheus.Registerer, service string) *Metrics {
	return &Metrics{registerer: registerer, service: service}
}

// Err returns what went wrong so far: names that are taken with other labels, help or type.
// The metrics work, but are not shown. Ask once, after the last metric was made.
func (m *Metrics) Err() error { return errors.Join(m.errs...) }

// Counter makes entraflow_<service>_<name>_total; the name is a noun and a unit.
func (m *Metrics) Counter(name, help string, labels ...string) *prometheus.CounterVec {
	return register(m, name, prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: m.service, Name: name + "_total", Help: help,
	}, labels))
}

// Gauge makes entraflow_<service>_<name>; the name is a noun and a unit.
func (m *Metrics) Gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return register(m, name, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Subsystem: m.service, Name: name, Help: help,
	}, labels))
}

// Histogram makes entraflow_<service>_<name> with upper bounds in the unit of the name;
// nil is prometheus.DefBuckets, for seconds.
func (m *Metrics) Histogram(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
	return register(m, name, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Subsystem: m.service, Name: name, Help: help, Buckets: bounds,
	}, labels))
}

func register[C prometheus.Collector](m *Metrics, name string, made C) C {
	if m.registerer == nil {
		return made
	}
	err := m.registerer.Register(made)
	if taken, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := taken.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		m.errs = append(m.errs, fmt.Errorf("registering metric %s of %s: %w", name, m.service, err))
	}
	return made
}
