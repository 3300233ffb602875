package sink

import (
	"context"

	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/services/sink/internal/redecode"
)

type (
	// RedecodeOptions bound a redecoding.
	RedecodeOptions = redecode.Options
	// RedecodeProgress says how far one is.
	RedecodeProgress = redecode.Progress
	// RedecodeResult says what became of the rows.
	RedecodeResult = redecode.Result
)

// DefaultRedecodeOptions returns the bounds of all tables.
func DefaultRedecodeOptions() RedecodeOptions {
	return RedecodeOptions{MaxRows: 8192, MaxBytes: 16 << 20}
}

// Redecode rebuilds the typed columns of stored events from their records, under the same ids and
// versions, for when the decoder has learned more. It may run beside a sink and be run again. On an
// error what is done is done. The tables must be migrated.
func Redecode(ctx context.Context, store *clickhouse.Store, o RedecodeOptions) (RedecodeResult, error) {
	return redecode.Run(ctx, store, o)
}
