package eventhubs

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/entraflow/entraflow/services/simulator/internal/records"
)

// Defaults of a replay, those of Azure's diagnostic settings as far as they are known.
const (
	DefaultBatchRecords = 100
	DefaultBatchBytes   = 256 * KiB
)

// maxAhead is how far the enqueued times of a replay may run ahead of the hub's clock.
const maxAhead = 5 * time.Millisecond

// ReplayOptions say what to replay and how.
type ReplayOptions struct {
	// Path is a file, or a folder whose .json, .ndjson and .jsonl files are taken in the order of their names.
	Path string
	// Rate is in records a second; 0 is as fast as can be, which is 1,000 messages a second.
	Rate float64
	// BatchRecords and BatchBytes bound a message; 0 is DefaultBatchRecords and DefaultBatchBytes. A larger record
	// is a message of its own.
	BatchRecords int
	BatchBytes   int
	// Progress, if set, is called after each message with what has been sent so far.
	Progress func(ReplayResult)
}

// ReplayResult counts what a replay has sent.
type ReplayResult struct {
	Files    int   `json:"files"`
	Records  int64 `json:"records"`
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"`
	// Raw is how many of the records were lines that are not JSON, each sent as a message of its own.
	Raw int64 `json:"raw"`
}

// Replay appends the records of files to the hub: {"records":[...]} messages, on the partitions in turn. Each message
// has an enqueued time of its own, later in milliseconds than the one before, so that the hub's clock orders records
// as the files do. Lines that are not JSON are sent as they are. Replay returns what it has sent, also with an error:
// of a file, ErrDisabled, or ctx's.
func (h *Hub) Replay(ctx context.Context, opts ReplayOptions) (ReplayResult, error) {
	files, err := records.Files(opts.Path)
	if err != nil {
		return ReplayResult{}, fmt.Errorf("replaying: %w", err)
	}
	r := h.newReplay(opts)
	for _, file := range files {
		if err := records.EachOfFile(file, r.add(ctx)); err != nil {
			return r.result, fmt.Errorf("replaying %s: %w", file, err)
		}
		r.result.Files++
	}
	return r.finish(ctx)
}

// ReplayFrom is Replay of one text instead of Path: a JSON document, or lines.
func (h *Hub) ReplayFrom(ctx context.Context, text io.Reader, opts ReplayOptions) (ReplayResult, error) {
	r := h.newReplay(opts)
	if err := records.EachOfDocument(text, r.add(ctx)); err != nil {
		return r.result, fmt.Errorf("replaying text: %w", err)
	}
	return r.finish(ctx)
}

func (h *Hub) newReplay(opts ReplayOptions) *replay {
	if opts.BatchRecords <= 0 {
		opts.BatchRecords = DefaultBatchRecords
	}
	if opts.BatchBytes <= 0 {
		opts.BatchBytes = DefaultBatchBytes
	}
	return &replay{
		hub: h, opts: opts, started: time.Now(),
		batch: records.NewBatcher(opts.BatchRecords, opts.BatchBytes),
	}
}

func (r *replay) finish(ctx context.Context) (ReplayResult, error) {
	if err := r.flush(ctx); err != nil {
		return r.result, fmt.Errorf("replaying: %w", err)
	}
	return r.result, nil
}

type replay struct {
	hub     *Hub
	opts    ReplayOptions
	started time.Time
	batch   *records.Batcher
	result  ReplayResult
}

// add returns the function that takes in a record.
func (r *replay) add(ctx context.Context) func(records.Record) error {
	return func(record records.Record) error {
		if record.Raw || r.batch.Full(len(record.Data)) {
			if err := r.flush(ctx); err != nil {
				return err
			}
		}
		if record.Raw {
			r.result.Raw++
			return r.send(ctx, record.Data, 1)
		}
		r.batch.Add(record.Data)
		return nil
	}
}

func (r *replay) flush(ctx context.Context) error {
	message, count := r.batch.Take()
	if count == 0 {
		return nil
	}
	return r.send(ctx, message, count)
}

func (r *replay) send(ctx context.Context, message []byte, count int) error {
	if err := r.pace(ctx); err != nil {
		return err
	}
	receipt, err := r.hub.AppendDistinct(AnyPartition, Event{Body: message})
	if err != nil {
		return err
	}
	r.result.Messages++
	r.result.Records += int64(count)
	r.result.Bytes += int64(len(message))
	if r.opts.Progress != nil {
		r.opts.Progress(r.result)
	}
	if ahead := receipt.EnqueuedAt.Sub(r.hub.server.set.Now()); ahead >= maxAhead {
		return wait(ctx, ahead)
	}
	return ctx.Err()
}

// pace waits until the next message is due.
func (r *replay) pace(ctx context.Context) error {
	if r.opts.Rate <= 0 {
		return ctx.Err()
	}
	due := time.Duration(float64(r.result.Records) / r.opts.Rate * float64(time.Second))
	return wait(ctx, time.Until(r.started.Add(due)))
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
