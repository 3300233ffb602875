package streamer

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/telemetry"
	"github.com/entraflow/entraflow/services/streamer/internal/hub"
)

// ackBounds are seconds from taking a message to the PubAck of its last record.
func ackBounds() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60}
}

func newMetrics(registry prometheus.Registerer) (*hub.Metrics, error) {
	m := telemetry.NewMetrics(registry, "streamer")
	group := []string{"integration", "hub", "group"}
	partition := append(slices.Clip(group), "partition")
	made := &hub.Metrics{
		Connected:   m.Gauge("hub_connected", "1 while partitions of the hub are read.", group...),
		Owned:       m.Gauge("owned_partitions", "Partitions this streamer reads.", group...),
		Connections: m.Counter("hub_connections", "Connections to the hub begun, the first and every later one.", group...),
		Retries:     m.Counter("checkpoint_retries", "Reads and writes of checkpoints tried again.", group...),

		Lag:         m.Gauge("lag_messages", "Messages in the hub after the last checkpoint.", partition...),
		Messages:    m.Counter("hub_messages", "Messages taken.", partition...),
		Empty:       m.Counter("empty_messages", "Messages taken that hold no record.", partition...),
		Skipped:     m.Counter("skipped_messages", "Messages that the hub did not have any more when their turn came.", partition...),
		Records:     m.Counter("records", "Records taken, dead letters too.", partition...),
		Checkpoints: m.Counter("checkpoints", "Positions saved.", partition...),
		Failures:    m.Counter("partition_failures", "Times a partition was left for an error or another owner.", partition...),
		Acked: m.Histogram("acknowledged_seconds", "Time from taking a message to the PubAck of its last record.",
			ackBounds(), partition...),
		Dead: m.Counter("dead_letters", "Records that became dead letters, by reason.", append(slices.Clip(partition), "reason")...),
	}
	return made, m.Err()
}
