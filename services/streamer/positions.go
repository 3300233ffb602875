package streamer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/services/streamer/internal/checkpoint"
)

// positionsTimeout is for how long reading positions is tried again.
const positionsTimeout = 10 * time.Second

// Positions returns how far each partition of the hub is done with: the sequence number of the last
// message of which everything is stored in a stream, by partition id. Partitions without one are left out.
func Positions(ctx context.Context, js jetstream.JetStream, hub HubConfig) (map[string]int64, error) {
	kv, err := js.KeyValue(ctx, bus.BucketCheckpoints)
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", bus.BucketCheckpoints, err)
	}
	store := checkpoint.New(kv, checkpoint.Settings{Timeout: positionsTimeout})
	namespace, name := hub.Name()
	checkpoints, err := store.ListCheckpoints(ctx, namespace, name, hub.ConsumerGroup, nil)
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, fmt.Errorf("reading positions of hub %s: %w", name, err)
	}
	positions := make(map[string]int64, len(checkpoints))
	for _, c := range checkpoints {
		if c.SequenceNumber != nil {
			positions[c.PartitionID] = *c.SequenceNumber
		}
	}
	return positions, nil
}
