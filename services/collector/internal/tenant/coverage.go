package tenant

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/lease"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/collector/internal/window"
)

// coverage is the cursor of a data type: the windows that were read for good. It is safe for concurrent use.
type coverage struct {
	mu     sync.Mutex
	cursor *lease.Cursor
	seen   snapshot
}

// snapshot is what a coverage says at a moment.
type snapshot struct {
	done       window.Set
	readUntil  time.Time // zero: never read
	reconciled time.Time
	horizon    time.Time // zero: not decided, or the log is kept for ever
	rows       uint64
}

func openCoverage(cursor *lease.Cursor) (*coverage, error) {
	kept := &statev1.Coverage{}
	if err := proto.Unmarshal(cursor.Value(), kept); err != nil {
		return nil, fmt.Errorf("reading cursor: %w", err)
	}
	c := &coverage{cursor: cursor, seen: snapshot{done: window.Decode(kept.GetIntervals()), rows: kept.GetRows()}}
	if kept.GetReadUntil() != nil {
		c.seen.readUntil = kept.GetReadUntil().AsTime()
	}
	if kept.GetReconcileTime() != nil {
		c.seen.reconciled = kept.GetReconcileTime().AsTime()
	}
	if kept.GetHorizon() != nil {
		c.seen.horizon = kept.GetHorizon().AsTime()
	}
	return c, nil
}

func (c *coverage) snapshot() snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// change applies what was read and saves it. The saved state is never ahead of what has its PubAck: call it after.
func (c *coverage) change(ctx context.Context, apply func(*snapshot)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.seen
	apply(&next)
	kept := &statev1.Coverage{Intervals: next.done.Encode(), Rows: next.rows}
	if !next.readUntil.IsZero() {
		kept.ReadUntil = timestamppb.New(next.readUntil)
	}
	if !next.reconciled.IsZero() {
		kept.ReconcileTime = timestamppb.New(next.reconciled)
	}
	if !next.horizon.IsZero() {
		kept.Horizon = timestamppb.New(next.horizon)
	}
	value, err := proto.Marshal(kept)
	if err != nil {
		return fmt.Errorf("encoding cursor: %w", err)
	}
	if err := c.cursor.Set(ctx, value); err != nil {
		return fmt.Errorf("saving cursor: %w", err)
	}
	c.seen = next
	return nil
}
