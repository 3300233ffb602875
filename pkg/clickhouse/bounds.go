package clickhouse

import (
	"fmt"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
)

// Bounds returns the end of a SELECT that bounds its time, in whole seconds, and its memory. They stand in the text: from
// a context with a deadline clickhouse-go makes a max_execution_time of its own, some seconds longer, whatever the
// context's settings say.
func Bounds(within time.Duration, memory config.Bytes) string {
	return fmt.Sprintf(" SETTINGS max_execution_time = %d, max_memory_usage = %d", within/time.Second, int64(memory))
}
