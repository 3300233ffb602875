package intake

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Settings are what every intake of a sink shares.
type Settings struct {
	Store   *clickhouse.Store
	Blobs   Blobs
	Logger  *slog.Logger
	Metrics Metrics
	Outage  *Outage
	// RecentIDs is how many ids are remembered to count repeats.
	RecentIDs int
}

// Blobs gives the bytes that a reference names, as bus.Blobs does.
type Blobs interface {
	Load(ctx context.Context, ref *eventv1.BlobReference) ([]byte, error)
}

// Metrics are by table.
type Metrics struct {
	Rows, Batches, Refused, Repeats, LostBlobs *prometheus.CounterVec
	Seconds, Lag                               *prometheus.HistogramVec
	// Up is 1 unless the store is away.
	Up prometheus.Gauge
}

func errAttr(err error) slog.Attr { return slog.Any("err", err) }
