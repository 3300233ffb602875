package entraflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/entraflow/entraflow/services/simulator"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	"github.com/entraflow/entraflow/services/simulator/tenant"
	"github.com/entraflow/entraflow/services/streamer"
)

const (
	// trickle is how often the hub gets what happened in the simulated tenant.
	trickle = 5 * time.Second
	// streamedBack is how far back its records are in the hub, and maxStreamed how many of a log at a time.
	streamedBack = time.Hour
	maxStreamed  = 2000
)

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
// anything to replay it puts the newest of the simulated tenant's records in, which the collector reads from Graph
// too, and then, unless Once, what happens in the tenant as it happens.
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
	now := e.set.Clock.Now()
	result, err := e.stream(ctx, hub, s.tenant, now.Add(-streamedBack), now)
	if err != nil || e.cfg.Once {
		return result, err
	}
	return result, e.trickle(ctx, hub, s.tenant, now)
}

var errNothingToReplay = errors.New("no records: expected .json, .ndjson or .jsonl files with one record a line")

// stream feeds the tenant's records of a time through the hub. Risk comes by Graph alone: there it is a state, and
// in a hub the states that led to it.
func (e *Entraflow) stream(ctx context.Context, hub *eventhubs.Hub, t *tenant.Tenant, from, to time.Time) (int64, error) {
	var all bytes.Buffer
	for _, log := range []string{
		tenant.Interactive, tenant.NonInteractive, tenant.ServicePrincipal, tenant.ManagedIdentity, tenant.Audit,
	} {
		n := 0
		for _, record := range t.HubRecords(log, tenant.Query{From: from, To: to, At: to}) {
			if n++; n > maxStreamed {
				break
			}
			all.Write(record)
			all.WriteByte('\n')
		}
	}
	if all.Len() == 0 {
		return 0, nil
	}
	result, err := hub.ReplayFrom(ctx, &all, eventhubs.ReplayOptions{})
	return result.Records, err
}

// trickle feeds what happens in the tenant until ctx is done.
func (e *Entraflow) trickle(ctx context.Context, hub *eventhubs.Hub, t *tenant.Tenant, since time.Time) error {
	for {
		if err := e.set.Clock.Sleep(ctx, trickle); err != nil {
			return nil //nolint:nilerr // asked to stop
		}
		now := e.set.Clock.Now()
		if _, err := e.stream(ctx, hub, t, since, now); err != nil {
			return err
		}
		since = now.Add(1)
	}
}
