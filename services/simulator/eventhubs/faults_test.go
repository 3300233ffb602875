package eventhubs_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

func inject(t *testing.T, s *pipeServer, f eventhubs.Fault) eventhubs.FaultReport {
	t.Helper()
	report, err := s.Inject(f)
	require.NoError(t, err)
	return report
}

// TestServerBusyIsRetried rejects two messages; a client that retries gets through on the same link.
func TestServerBusyIsRetried(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	ctx := timeout(t)
	producer := s.retrying().producer(connectionAll)
	require.NoError(t, send(ctx, t, producer, azeventhubs.EventDataBatchOptions{}, "first"))
	before := s.State()
	inject(t, s, eventhubs.Fault{Kind: eventhubs.FaultReject, Count: 2})
	require.NoError(t, send(ctx, t, producer, azeventhubs.EventDataBatchOptions{}, "second"))
	after := s.State()
	require.Equal(t, int64(2), after.DeliveriesRejected)
	require.Equal(t, before.TokensAccepted, after.TokensAccepted, "no new link was needed")
	require.Empty(t, s.Faults(), "two hits use it up")

	err := func() error {
		inject(t, s, eventhubs.Fault{Kind: eventhubs.FaultReject, Condition: "amqp:resource-limit-exceeded", Description: "full"})
		return send(ctx, t, producer, azeventhubs.EventDataBatchOptions{}, "third")
	}()
	requireCondition(t, err, "amqp:resource-limit-exceeded")
	require.ErrorContains(t, err, "full")
	require.Equal(t, 1, s.Faults()[0].Hits, "it is fatal, not retried")
	require.NoError(t, s.ClearFault(s.Faults()[0].ID))
	require.NoError(t, send(ctx, t, producer, azeventhubs.EventDataBatchOptions{}, "third"))
}

// TestReadersSurvive breaks a reader in each way and reads on.
func TestReadersSurvive(t *testing.T) {
	tests := map[string]eventhubs.Fault{
		"cut":                  {Kind: eventhubs.FaultCut},
		"connection forced":    {Kind: eventhubs.FaultClose},
		"detach forced":        {Kind: eventhubs.FaultDetach},
		"detach, server busy":  {Kind: eventhubs.FaultDetach, Condition: "com.microsoft:server-busy"},
		"detach, unknown":      {Kind: eventhubs.FaultDetach, Condition: "com.microsoft:whatever", Hub: "hub", Partition: "0", Role: eventhubs.RoleConsumer},
		"refused on reconnect": {Kind: eventhubs.FaultCut, Group: "$default"},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
			ctx := timeout(t)
			reader := s.retrying().reader(s.retrying().consumer(connectionAll), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest})
			_, err := s.hub.Append("0", eventhubs.Event{Body: []byte("before")})
			require.NoError(t, err)
			require.Equal(t, []string{"before"}, bodies(receive(ctx, t, reader, 1)))
			if name == "refused on reconnect" {
				inject(t, s, eventhubs.Fault{Kind: eventhubs.FaultRefuse, Count: 2})
			}
			require.Equal(t, 1, inject(t, s, fault).Affected)
			_, err = s.hub.Append("0", eventhubs.Event{Body: []byte("after")})
			require.NoError(t, err)
			require.Equal(t, []string{"after"}, bodies(receive(ctx, t, reader, 1)))
			require.Empty(t, s.Faults())
		})
	}
}

func TestStolenOnDemand(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	_, err := s.hub.Append("0", eventhubs.Event{Body: []byte("x")})
	require.NoError(t, err)
	reader, err := epochReader(t, s, new(int64(0)))
	require.NoError(t, err)
	require.NoError(t, send(timeout(t), t, s.producer(connectionAll), azeventhubs.EventDataBatchOptions{}, "y"))
	require.Equal(t, 1, inject(t, s, eventhubs.Fault{Kind: eventhubs.FaultSteal}).Affected, "producers have nothing to steal")
	_, err = reader.ReceiveEvents(timeout(t), 2, nil)
	for err == nil {
		_, err = reader.ReceiveEvents(timeout(t), 2, nil)
	}
	requireCode(t, err, azeventhubs.ErrorCodeOwnershipLost)
}

func TestRefusedForms(t *testing.T) {
	for form, code := range map[eventhubs.RefusalForm]string{
		eventhubs.Refuse: "amqp:not-found", eventhubs.AttachThenDetach: "amqp:not-found",
	} {
		s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
		inject(t, s, eventhubs.Fault{Kind: eventhubs.FaultRefuse, Condition: code, Form: form, Role: eventhubs.RoleProducer})
		_, err := epochReaderOfEmptyHub(t, s)
		require.ErrorIs(t, err, context.DeadlineExceeded, "consumers are not meant")
		err = send(timeout(t), t, s.producer(connectionAll), azeventhubs.EventDataBatchOptions{}, "x")
		requireCondition(t, err, code)
	}
}

func epochReaderOfEmptyHub(t *testing.T, s *pipeServer) (*azeventhubs.PartitionClient, error) {
	t.Helper()
	reader := s.reader(s.consumer(connectionAll), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := reader.ReceiveEvents(ctx, 1, nil)
	return reader, err
}

func TestDisabledHub(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	ctx := timeout(t)
	producer := s.retrying().producer(connectionAll)
	require.NoError(t, send(ctx, t, producer, azeventhubs.EventDataBatchOptions{}, "before"))
	s.hub.SetEnabled(false)
	requireCondition(t, send(ctx, t, producer, azeventhubs.EventDataBatchOptions{}, "lost"), "com.microsoft:entity-disabled")
	s.hub.SetEnabled(true)
	require.NoError(t, send(ctx, t, producer, azeventhubs.EventDataBatchOptions{}, "after"))
	require.Equal(t, []string{"before", "after"}, bodies(readAll(t, s, 2)))
}

// TestDelay measures in the bubble's time.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
		producer := s.producer(connectionAll)
		reader := s.reader(s.consumer(connectionAll), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest})
		require.NoError(t, send(t.Context(), t, producer, azeventhubs.EventDataBatchOptions{}, "a"))
		receive(t.Context(), t, reader, 1)
		inject(t, s, eventhubs.Fault{Kind: eventhubs.FaultDelay, Delay: 7 * time.Second})
		start := time.Now()
		require.NoError(t, send(t.Context(), t, producer, azeventhubs.EventDataBatchOptions{}, "b"))
		require.Equal(t, 7*time.Second, time.Since(start))
		receive(t.Context(), t, reader, 1)
		start = time.Now()
		_, err := s.hub.Append("0", eventhubs.Event{Body: []byte("c")})
		require.NoError(t, err)
		receive(t.Context(), t, reader, 1)
		require.Equal(t, 7*time.Second, time.Since(start))
	})
}

func TestBadFaults(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	for _, f := range []eventhubs.Fault{{}, {Kind: "boil"}, {Kind: eventhubs.FaultDelay}} {
		_, err := s.Inject(f)
		require.ErrorIs(t, err, eventhubs.ErrBadFault)
	}
	require.ErrorIs(t, s.ClearFault("1"), eventhubs.ErrNotFound)
}

// TestNothingIsLostUnderFaults sends and reads under load while connections are cut and links detached.
func TestNothingIsLostUnderFaults(t *testing.T) {
	const batches, size = 150, 20
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	group, ctx := errgroup.WithContext(timeout(t))
	producer := s.retrying().producer(connectionAll)
	reader := s.retrying().reader(s.retrying().consumer(connectionAll), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest})
	sent := make(chan struct{})
	group.Go(func() error {
		defer close(sent)
		for n := range batches {
			if err := sendNumbered(ctx, producer, "0", n*size, size); err != nil {
				return fmt.Errorf("sending batch %d: %w", n, err)
			}
		}
		return nil
	})
	seen := make(map[string]bool)
	group.Go(func() error {
		last := int64(-1)
		for len(seen) < batches*size {
			// ReceiveEvents waits until it has as many. Batches that are sent again make more, but whole batches.
			events, err := reader.ReceiveEvents(ctx, size, nil)
			if err != nil {
				return fmt.Errorf("after %d events: %w", len(seen), err)
			}
			for _, e := range events {
				if e.SequenceNumber != last+1 {
					return fmt.Errorf("sequence number %d follows %d", e.SequenceNumber, last)
				}
				last = e.SequenceNumber
				seen[string(e.Body)] = true
			}
		}
		return nil
	})
	group.Go(func() error {
		kinds := []eventhubs.FaultKind{eventhubs.FaultCut, eventhubs.FaultDetach, eventhubs.FaultClose}
		for n := 0; ; n++ {
			select {
			case <-sent:
				return nil
			case <-time.After(50 * time.Millisecond):
				if _, err := s.Inject(eventhubs.Fault{Kind: kinds[n%len(kinds)]}); err != nil {
					return err
				}
			}
		}
	})
	require.NoError(t, group.Wait())
	for n := range batches * size {
		require.True(t, seen["0/"+strconv.Itoa(n)], n)
	}
}
