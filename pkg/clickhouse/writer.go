package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
)

// ErrWriterClosed reports a row that came after Close or after the end of Run's context.
var ErrWriterClosed = errors.New("batch writer is closed")

// BatchConfig bounds the batches of a Writer.
type BatchConfig struct {
	// MaxRows is the number of rows that fill a batch.
	MaxRows int `yaml:"max_rows"`
	// MaxBytes is the size of rows that fills a batch. A larger row is a batch of its own.
	MaxBytes config.Bytes `yaml:"max_bytes"`
	// MaxDelay is how long the first row of a batch waits for others.
	MaxDelay time.Duration `yaml:"max_delay"`
	// Inserts is how many batches are inserted at the same time. One more is filled meanwhile; then
	// Add waits.
	Inserts int `yaml:"inserts"`
	// Timeout bounds one insert.
	Timeout time.Duration `yaml:"timeout"`
}

// DefaultBatchConfig returns bounds for records of one to a few KiB. Batches of some 10 MiB store a row
// with the least CPU; larger ones fall out of the processor's cache.
func DefaultBatchConfig() BatchConfig {
	return BatchConfig{
		MaxRows:  8192,
		MaxBytes: 12 * config.MiB,
		MaxDelay: 200 * time.Millisecond,
		Inserts:  2,
		Timeout:  time.Minute,
	}
}

// Validate returns every fault, each under its key.
func (c BatchConfig) Validate() error {
	var p config.Problems
	p.Check(c.MaxRows >= 1 && c.MaxRows <= 1_000_000, "max_rows", "must be between 1 and 1000000")
	p.Check(c.MaxBytes >= 1 && c.MaxBytes <= config.GiB, "max_bytes", "must be between 1B and 1GiB")
	p.Check(c.MaxDelay > 0, "max_delay", "must be positive")
	p.Check(c.Inserts >= 1 && c.Inserts <= 64, "inserts", "must be between 1 and 64")
	p.Check(c.Timeout > 0, "timeout", "must be positive")
	return p.Err()
}

// Batch is what became of the rows of one insert, in the order of their Add.
type Batch[T any] struct {
	Rows  []T
	Bytes int
	// Err is nil once the rows are stored. Else see Classify.
	Err error
	// Took is the time of the insert alone.
	Took time.Duration
}

// Writer gathers rows into batches and inserts them. Every row that Add took is reported once, stored
// or not. Its methods may be called concurrently.
type Writer[T any] struct {
	cfg    BatchConfig
	insert func(context.Context, []T) error
	done   func(context.Context, Batch[T])

	// free and ready have room for every batch there is, so only taking from them can wait.
	free, ready chan *batch[T]
	stopped     chan struct{}

	mu      sync.Mutex
	open    *batch[T]
	pending map[*batch[T]]chan struct{} // closed when the batch was reported
	closed  bool
}

// batch is a reusable list of rows, either free, open, ready or with an inserter.
type batch[T any] struct {
	rows  []T
	bytes int
	timer *time.Timer
}

// NewWriter returns a writer that stores with insert, such as that of a tables.Inserter, and tells done
// about every batch. done is called from Inserts goroutines at a time, must not keep Batch.Rows, and holds up an
// inserter while it runs. Nothing happens before Run.
func NewWriter[T any](cfg BatchConfig, insert func(context.Context, []T) error, done func(context.Context, Batch[T])) (*Writer[T], error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking batch configuration: %w", err)
	}
	w := &Writer[T]{
		cfg: cfg, insert: insert, done: done,
		free:    make(chan *batch[T], cfg.Inserts+1),
		ready:   make(chan *batch[T], cfg.Inserts+1),
		stopped: make(chan struct{}),
		pending: make(map[*batch[T]]chan struct{}, cfg.Inserts+1),
	}
	for range cfg.Inserts + 1 {
		w.free <- &batch[T]{}
	}
	return w, nil
}

// Run inserts until Close or until ctx ends. Then rows not yet stored are reported with ctx's error, so
// a service that drains gives Run a context that outlives its intake. It may be called once.
func (w *Writer[T]) Run(ctx context.Context) error {
	var inserters sync.WaitGroup
	for range w.cfg.Inserts {
		inserters.Go(func() { w.insertReady(ctx) })
	}
	stop := context.AfterFunc(ctx, w.close)
	inserters.Wait()
	stop()
	close(w.stopped)
	return nil
}

// Add puts a row of about the given size into the open batch. It waits while as many batches are in
// work as the configuration allows, until ctx ends. It returns nil if the row will be reported, else
// ctx's error or ErrWriterClosed.
func (w *Writer[T]) Add(ctx context.Context, row T, bytes int) error {
	for {
		added, err := w.tryAdd(row, bytes)
		if added || err != nil {
			return err
		}
		select {
		case b := <-w.free:
			w.adopt(b)
		case <-ctx.Done():
			return fmt.Errorf("waiting for a free batch: %w", ctx.Err())
		}
	}
}

func (w *Writer[T]) tryAdd(row T, bytes int) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false, ErrWriterClosed
	}
	if w.open != nil && len(w.open.rows) > 0 && w.open.bytes+bytes > int(w.cfg.MaxBytes) {
		w.seal()
	}
	if w.open == nil {
		return false, nil
	}
	b := w.open
	if len(b.rows) == 0 {
		w.pending[b] = make(chan struct{})
		b.timer = time.AfterFunc(w.cfg.MaxDelay, func() { w.sealIfOpen(b) })
	}
	b.rows = append(b.rows, row)
	b.bytes += bytes
	if len(b.rows) >= w.cfg.MaxRows || b.bytes >= int(w.cfg.MaxBytes) {
		w.seal()
	}
	return true, nil
}

// adopt makes a free batch the open one, unless another caller was faster.
func (w *Writer[T]) adopt(b *batch[T]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open != nil || w.closed {
		w.free <- b
		return
	}
	w.open = b
}

// seal hands the open batch to the inserters. The caller holds mu.
func (w *Writer[T]) seal() {
	w.open.timer.Stop()
	w.ready <- w.open
	w.open = nil
}

// sealIfOpen seals b at the end of its delay. A timer that fires late finds b elsewhere, or open again
// with another timer; sealing it early then does no harm.
func (w *Writer[T]) sealIfOpen(b *batch[T]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == b && len(b.rows) > 0 {
		w.seal()
	}
}

func (w *Writer[T]) insertReady(ctx context.Context) {
	for b := range w.ready {
		start := time.Now()
		err := w.insertOne(ctx, b.rows)
		w.done(ctx, Batch[T]{Rows: b.rows, Bytes: b.bytes, Err: err, Took: time.Since(start)})
		clear(b.rows)
		b.rows, b.bytes = b.rows[:0], 0
		w.mu.Lock()
		close(w.pending[b])
		delete(w.pending, b)
		w.mu.Unlock()
		w.free <- b
	}
}

func (w *Writer[T]) insertOne(ctx context.Context, rows []T) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("inserting rows: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	return w.insert(ctx, rows)
}

// Flush hands over the open batch and waits until every row added before was reported, or ctx ends.
func (w *Writer[T]) Flush(ctx context.Context) error {
	w.mu.Lock()
	if w.open != nil && len(w.open.rows) > 0 {
		w.seal()
	}
	waits := make([]chan struct{}, 0, len(w.pending))
	for _, reported := range w.pending {
		waits = append(waits, reported)
	}
	w.mu.Unlock()
	for _, reported := range waits {
		select {
		case <-reported:
		case <-ctx.Done():
			return fmt.Errorf("waiting for inserts: %w", ctx.Err())
		}
	}
	return nil
}

// Close refuses further rows, hands over the open batch and waits until Run has reported every row and
// returned, or ctx ends.
func (w *Writer[T]) Close(ctx context.Context) error {
	w.close()
	select {
	case <-w.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for inserts: %w", ctx.Err())
	}
}

func (w *Writer[T]) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	if w.open != nil && len(w.open.rows) > 0 {
		w.seal()
	}
	close(w.ready)
}
