package intake

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// writer inserts into one table.
type writer[M proto.Message] struct {
	intake   *Intake[M]
	table    *tables.Table[M]
	inserter *tables.Inserter[M]
}

func newWriter[M proto.Message](i *Intake[M], table *tables.Table[M]) *writer[M] {
	return &writer[M]{intake: i, table: table, inserter: tables.NewInserter(i.set.Store.Conn(), table)}
}

// outcome is what became of a group: everything is stored but these.
type outcome[M proto.Message] struct {
	left    []*item[M]
	refused map[*item[M]]error
}

// write stores the items in inserts within the limits. While the store is away it waits and tries
// again, until ctx ends or the sink stops.
func (w *writer[M]) write(ctx context.Context, items []*item[M]) outcome[M] {
	result := outcome[M]{refused: map[*item[M]]error{}}
	for len(items) > 0 {
		n := w.intake.limits.cut(len(items), func(i int) int { return items[i].bytes })
		if left := w.writeSome(ctx, items[:n], result.refused); len(left) > 0 {
			result.left = append(left, items[n:]...)
			return result
		}
		items = items[n:]
	}
	return result
}

// cut returns how many of the first items make an insert: at least one.
func (l Limits) cut(items int, bytes func(int) int) int {
	sum := 0
	for i := range items {
		sum += bytes(i)
		if i > 0 && (i >= l.Rows || sum > int(l.Bytes)) {
			return i
		}
	}
	return items
}

// writeSome makes one insert of the items, or several to find those that are refused. It returns
// what is not stored because time is up.
func (w *writer[M]) writeSome(ctx context.Context, items []*item[M], refused map[*item[M]]error) []*item[M] {
	set := w.intake.set
	for attempt := 0; ; attempt++ {
		left, err := clickhouse.Isolate(items,
			func(part []*item[M]) error { return w.insert(ctx, part) },
			func(bad *item[M], err error) {
				refused[bad] = err
				set.Metrics.Refused.WithLabelValues(w.table.Name()).Inc()
			})
		if err == nil {
			set.Outage.over()
			return nil
		}
		set.Outage.begin(err)
		if !set.Outage.wait(ctx, attempt) {
			return left
		}
		items = left
	}
}

// insert makes one insert.
func (w *writer[M]) insert(ctx context.Context, items []*item[M]) error {
	ctx, cancel := context.WithTimeout(ctx, w.intake.limits.Timeout)
	defer cancel()
	rows := make([]tables.Row[M], 0, len(items))
	for _, item := range items {
		row := item.row
		if ref := w.intake.kind.blob(row.Message); ref != nil {
			var err error
			if row.Raw, err = w.load(ctx, ref); err != nil {
				return err
			}
		}
		rows = append(rows, row)
	}
	start := time.Now()
	err := w.inserter.Insert(ctx, rows)
	w.count(items, time.Since(start), err)
	return err
}

func (w *writer[M]) count(items []*item[M], took time.Duration, err error) {
	metrics, table := w.intake.set.Metrics, w.table.Name()
	metrics.Batches.WithLabelValues(table, clickhouse.Classify(err).String()).Inc()
	if err != nil {
		return
	}
	metrics.Seconds.WithLabelValues(table).Observe(took.Seconds())
	metrics.Rows.WithLabelValues(table).Add(float64(len(items)))
	repeats := 0
	for _, item := range items {
		if w.intake.repeated.seen(table, w.intake.kind.Key(item.row.Message)) {
			repeats++
		}
	}
	metrics.Repeats.WithLabelValues(table).Add(float64(repeats))
}

// load returns the bytes of a blob; they are held for the time of one insert. Without them the row
// is still worth storing.
func (w *writer[M]) load(ctx context.Context, ref *eventv1.BlobReference) ([]byte, error) {
	data, err := w.intake.set.Blobs.Load(ctx, ref)
	if errors.Is(err, jetstream.ErrObjectNotFound) || errors.Is(err, bus.ErrBlobDamaged) {
		w.intake.set.Metrics.LostBlobs.WithLabelValues(w.table.Name()).Inc()
		return nil, nil
	}
	return data, err
}
