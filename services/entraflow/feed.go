package entraflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/entraflow/entraflow/services/entraflow/internal/demo"
	"github.com/entraflow/entraflow/services/simulator"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	"github.com/entraflow/entraflow/services/streamer"
)

// trickle is how often a synthetic record comes while nothing is replayed, so that there is something to watch.
const trickle = 5 * time.Second

// dial connects the streamer to the simulated hub over a pipe, through the unmodified SDK.
func (e *Entraflow) dial(sim *simulator.Simulator) streamer.Dialer {
	return func(ctx context.Context, _ azeventhubs.WebSocketConnParams) (net.Conn, error) {
		client, server := net.Pipe()
		// The connection outlives the call that makes it; it ends with the hub or the streamer.
		go func() { _ = sim.EventHubs().ServeConn(context.WithoutCancel(ctx), server) }()
		return client, nil
	}
}

// feed puts the records to replay into the simulated hub and returns how many they were. Without
// anything to replay it puts the synthetic ones in, and then, unless Once, another one every few seconds.
func (e *Entraflow) feed(ctx context.Context, s *services) (int64, error) {
	if s.simulator == nil {
		return 0, nil
	}
	hub, err := s.simulator.EventHubs().Hub("", simulatedHub)
	if err != nil {
		return 0, err
	}
	if e.cfg.Replay != "" {
		result, err := hub.Replay(ctx, eventhubs.ReplayOptions{Path: e.cfg.Replay, Rate: e.cfg.ReplayRate})
		if err == nil && result.Records == 0 {
			err = fmt.Errorf("replaying %s: %w", e.cfg.Replay, errNothingToReplay)
		}
		return result.Records, err
	}
	records, err := demo.Records(e.set.Clock.Now())
	if err != nil {
		return 0, err
	}
	result, err := hub.ReplayFrom(ctx, bytes.NewReader(bytes.Join(records, []byte("\n"))), eventhubs.ReplayOptions{})
	if err != nil || e.cfg.Once {
		return result.Records, err
	}
	return result.Records, e.trickle(ctx, hub)
}

var errNothingToReplay = errors.New("no records: expected .json, .ndjson or .jsonl files with one record a line")

// trickle feeds one synthetic record after the other until ctx is done.
func (e *Entraflow) trickle(ctx context.Context, hub *eventhubs.Hub) error {
	for i := 0; ; i++ {
		if err := e.set.Clock.Sleep(ctx, trickle); err != nil {
			return nil //nolint:nilerr // asked to stop
		}
		records, err := demo.Records(e.set.Clock.Now())
		if err != nil {
			return err
		}
		if _, err := hub.ReplayFrom(ctx, bytes.NewReader(records[i%len(records)]), eventhubs.ReplayOptions{}); err != nil {
			return err
		}
	}
}
