package simulator

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

// collector shows the counters that the Event Hubs side keeps anyway.
type collector struct {
	hubs                      *eventhubs.Server
	eventsIn, eventsOut, kept *prometheus.Desc
	readers, connections      *prometheus.Desc
}

func registerMetrics(registry prometheus.Registerer, hubs *eventhubs.Server) error {
	if registry == nil {
		return nil
	}
	labels := []string{"hub", "partition"}
	desc := func(name, help string, labels []string) *prometheus.Desc {
		return prometheus.NewDesc("entraflow_simulator_"+name, help, labels, nil)
	}
	c := &collector{
		hubs:        hubs,
		eventsIn:    desc("hub_events_in_total", "Events taken in.", labels),
		eventsOut:   desc("hub_events_out_total", "Events sent to readers.", labels),
		kept:        desc("hub_kept_bytes", "Size of the encoded events held.", labels),
		readers:     desc("hub_readers", "Readers attached.", labels),
		connections: desc("open_connections", "AMQP connections open.", nil),
	}
	if err := registry.Register(c); err != nil {
		return fmt.Errorf("registering metrics of simulator: %w", err)
	}
	return nil
}

func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.eventsIn, c.eventsOut, c.kept, c.readers, c.connections} {
		out <- d
	}
}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	state := c.hubs.State()
	out <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, float64(state.OpenConnections))
	for _, h := range state.Hubs {
		for _, p := range h.Partitions {
			show := func(d *prometheus.Desc, kind prometheus.ValueType, value float64) {
				out <- prometheus.MustNewConstMetric(d, kind, value, h.Name, p.ID)
			}
			show(c.eventsIn, prometheus.CounterValue, float64(p.EventsIn))
			show(c.eventsOut, prometheus.CounterValue, float64(p.EventsOut))
			show(c.kept, prometheus.GaugeValue, float64(p.BytesKept))
			show(c.readers, prometheus.GaugeValue, float64(len(p.Readers)))
		}
	}
}
