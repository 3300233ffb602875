package sink

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/telemetry"
	"github.com/entraflow/entraflow/services/sink/internal/intake"
)

// newMetrics makes the metrics of a sink.
func newMetrics(registerer prometheus.Registerer) (intake.Metrics, error) {
	m := telemetry.NewMetrics(registerer, "sink")
	made := intake.Metrics{
		Rows:      m.Counter("rows", "Rows stored.", "table"),
		Batches:   m.Counter("batches", "Inserts by whose fault they failed, if they did.", "table", "fault"),
		Refused:   m.Counter("refused_rows", "Rows that ClickHouse will never take; each became a dead letter.", "table"),
		Repeats:   m.Counter("repeated_rows", "Rows whose id was stored before, of the ids remembered.", "table"),
		LostBlobs: m.Counter("lost_blobs", "Rows stored without raw bytes because their blob was gone.", "table"),
		Seconds: m.Histogram("insert_seconds", "Time of an insert that went well.",
			[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}, "table"),
		Lag: m.Histogram("lag_seconds", "Time from the stream to the table, of the oldest row of a batch.",
			[]float64{.05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 1800, 7200}, "table"),
		Up: m.Gauge("store_up", "1, or 0 while the store takes no rows.").WithLabelValues(),
	}
	return made, m.Err()
}
