package hub

import "github.com/prometheus/client_golang/prometheus"

// Metrics are made by the service; every label set begins with integration, hub and group.
type Metrics struct {
	Connected, Owned               *prometheus.GaugeVec     // integration, hub, group
	Connections, Retries           *prometheus.CounterVec   // integration, hub, group
	Lag                            *prometheus.GaugeVec     // and partition
	Messages, Empty, Skipped       *prometheus.CounterVec   // and partition
	Records, Checkpoints, Failures *prometheus.CounterVec   // and partition
	Acked                          *prometheus.HistogramVec // and partition
	Dead                           *prometheus.CounterVec   // and partition, reason
}

// partitionMetrics are those of one partition, found once and not for every message.
type partitionMetrics struct {
	messages, empty, skipped, records, checkpoints, failures prometheus.Counter
	acked                                                    prometheus.Observer
	lag                                                      prometheus.Gauge
	dead                                                     *prometheus.CounterVec // reason
}

func (m *Metrics) partition(labels []string, id string) partitionMetrics {
	all := append(append([]string(nil), labels...), id)
	return partitionMetrics{
		messages:    m.Messages.WithLabelValues(all...),
		empty:       m.Empty.WithLabelValues(all...),
		skipped:     m.Skipped.WithLabelValues(all...),
		records:     m.Records.WithLabelValues(all...),
		checkpoints: m.Checkpoints.WithLabelValues(all...),
		failures:    m.Failures.WithLabelValues(all...),
		acked:       m.Acked.WithLabelValues(all...),
		lag:         m.Lag.WithLabelValues(all...),
		dead: m.Dead.MustCurryWith(prometheus.Labels{
			"integration": labels[0], "hub": labels[1], "group": labels[2], "partition": id,
		}),
	}
}

// dropLag hides the lag of a partition that is no longer ours: its new owner shows it.
func (m *Metrics) dropLag(labels []string, id string) {
	m.Lag.DeleteLabelValues(append(append([]string(nil), labels...), id)...)
}
