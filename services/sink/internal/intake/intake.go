// Package intake stores the messages of one stream: it decodes them, sorts them into tables, inserts,
// and says of each delivery what becomes of it. Insert comes before acknowledgment.
//
// It reads blobs and writes rows. What the store refuses for good becomes a dead letter, alone; while
// the store is away it holds what it has and takes nothing more. It decides nothing about content.
package intake

import (
	"context"
	"maps"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clickhouse/tables"
	"github.com/entraflow/entraflow/pkg/config"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

// Kind says how the messages M of a stream are stored.
type Kind[M proto.Message] struct {
	// New returns an empty message.
	New func() M
	// Key is equal for messages that are one row in the table of all that ever was; the later are repeats.
	Key func(M) string
	// Blob says where the raw bytes are if the message has them outside itself; nil if it has not. Nil says that
	// no message of the stream does.
	Blob func(M) *eventv1.BlobReference
	// Tables are all tables of the stream, Route those that keep one message.
	Tables []*tables.Table[M]
	Route  func(M) []*tables.Table[M]
}

func (k Kind[M]) blob(message M) *eventv1.BlobReference {
	if k.Blob == nil {
		return nil
	}
	return k.Blob(message)
}

// Limits bound one insert.
type Limits struct {
	Rows    int
	Bytes   config.Bytes
	Timeout time.Duration
}

// Intake stores the messages of one stream. Handle may be called concurrently.
type Intake[M proto.Message] struct {
	kind     Kind[M]
	limits   Limits
	set      Settings
	writers  map[*tables.Table[M]]*writer[M]
	repeated *memory
}

// item is a delivery on its way into the tables.
type item[M proto.Message] struct {
	delivery *bus.Delivery
	row      tables.Row[M]
	bytes    int
}

// New returns an intake of a kind of message.
func New[M proto.Message](kind Kind[M], limits Limits, set Settings) *Intake[M] {
	i := &Intake[M]{
		kind: kind, limits: limits, set: set, repeated: newMemory(set.RecentIDs),
		writers: make(map[*tables.Table[M]]*writer[M], len(kind.Tables)),
	}
	for _, table := range kind.Tables {
		i.writers[table] = newWriter(i, table)
	}
	return i
}

// Handle stores a batch and settles each of its deliveries, but for those that could not be stored
// when ctx ended or the sink began to stop: they come again. It is a handler of bus.RunBatches.
func (i *Intake[M]) Handle(ctx context.Context, deliveries []*bus.Delivery) {
	groups := i.sort(deliveries)
	outcomes := make([]outcome[M], len(groups))
	var inserts sync.WaitGroup
	for n, group := range groups {
		inserts.Go(func() { outcomes[n] = group.writer.write(ctx, group.items) })
	}
	inserts.Wait()
	i.settle(groups, outcomes)
}

// group is what one batch brings for one table.
type group[M proto.Message] struct {
	writer *writer[M]
	items  []*item[M]
}

// sort decodes the deliveries and groups them by table; one that cannot be decoded is settled.
func (i *Intake[M]) sort(deliveries []*bus.Delivery) []*group[M] {
	var groups []*group[M]
	byWriter := make(map[*writer[M]]*group[M], len(i.writers))
	now := time.Now() // the store's retention runs on the system's clock
	for _, delivery := range deliveries {
		message := i.kind.New()
		if err := delivery.Decode(message); err != nil {
			delivery.Fail(err)
			continue
		}
		row := &item[M]{
			delivery: delivery,
			row:      tables.Row[M]{Message: message, Sequence: delivery.Sequence, StoredAt: now},
			bytes:    len(delivery.Data) + int(i.kind.blob(message).GetSize()),
		}
		for _, table := range i.kind.Route(message) {
			w := i.writers[table]
			g, ok := byWriter[w]
			if !ok {
				g = &group[M]{writer: w}
				byWriter[w] = g
				groups = append(groups, g)
			}
			g.items = append(g.items, row)
		}
	}
	return groups
}

// settle acknowledges what every table took and gives up what one refused. What is left over is
// settled by nobody, so that it is delivered again.
func (i *Intake[M]) settle(groups []*group[M], outcomes []outcome[M]) {
	left, refused := map[*item[M]]bool{}, map[*item[M]]error{}
	for _, o := range outcomes {
		for _, item := range o.left {
			left[item] = true
		}
		maps.Copy(refused, o.refused)
	}
	for _, g := range groups {
		var oldest time.Time
		for _, item := range g.items {
			switch err, bad := refused[item]; {
			case bad:
				item.delivery.Dead(ReasonRowRefused, detail(err))
			case !left[item]:
				item.delivery.Ack()
				if oldest.IsZero() || item.delivery.Timestamp.Before(oldest) {
					oldest = item.delivery.Timestamp
				}
			}
		}
		if !oldest.IsZero() {
			i.set.Metrics.Lag.WithLabelValues(g.writer.table.Name()).Observe(time.Since(oldest).Seconds())
		}
	}
}
