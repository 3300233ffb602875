package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/entraflow/entraflow/services/entraflow/internal/proc"
)

const (
	pollStream = 50 * time.Millisecond
	pollStore  = 100 * time.Millisecond
)

// row is one measurement of throughput.
type row struct {
	what    string
	size    recordSize
	records int
	took    time.Duration
	// product and simulator are what the two processes used while records were under way.
	product, simulator proc.Usage
}

func (r row) rate() float64 { return float64(r.records) / r.took.Seconds() }

// cpuPerMillion is CPU seconds of the product per million records.
func (r row) cpuPerMillion() float64 { return r.product.CPU.Seconds() / float64(r.records) * 1e6 }

func (r row) progress() string {
	return fmt.Sprintf("%s, %s: %.0f records/s", r.what, r.size, r.rate())
}

// streamerAlone measures hub → PubAck.
func streamerAlone(ctx context.Context, o Options, size recordSize) (row, error) {
	return measure(ctx, o, size, row{what: "streamer alone (hub → PubAck)"}, ChildStreamer, pollStream,
		func(ctx context.Context, p *product) (uint64, error) {
			state, err := p.events(ctx)
			return state.LastSeq, err
		})
}

// endToEnd measures hub → queryable row.
func endToEnd(ctx context.Context, o Options, size recordSize) (row, error) {
	return measure(ctx, o, size, row{what: "end to end (hub → queryable row)"}, ChildProduct, pollStore,
		func(ctx context.Context, p *product) (uint64, error) { return p.rows(ctx) })
}

// measure fills a hub, starts a child on it and takes the time from the first event in the stream until
// done counts all records.
func measure(
	ctx context.Context, o Options, size recordSize, r row, kind string, every time.Duration,
	done func(context.Context, *product) (uint64, error),
) (_ row, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return row{}, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.fill(ctx, o, size); err != nil {
		return row{}, err
	}
	filled, err := w.simulator.Used()
	if err != nil {
		return row{}, err
	}
	p, err := w.start(ctx, o, kind)
	if err != nil {
		return row{}, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	err = until(ctx, every, func(ctx context.Context) (bool, error) {
		count, err := done(ctx, p)
		return count >= uint64(o.Records), err
	})
	ended := time.Now()
	if err != nil {
		return row{}, fmt.Errorf("measuring %s: %w", r.what, err)
	}
	began, err := p.first(ctx)
	if err != nil {
		return row{}, err
	}
	r.size, r.records, r.took = size, o.Records, ended.Sub(began)
	if r.product, err = p.process.Used(); err != nil {
		return row{}, err
	}
	r.simulator, err = w.simulator.Used()
	r.simulator.CPU -= filled.CPU
	return r, err
}
