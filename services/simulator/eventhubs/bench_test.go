package eventhubs_test

import (
	"context"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

// externalVariable names a connection string (with an emulator flag) of a simulator in a process of its own with a
// hub "hub" of 4 partitions; without it the benchmarks run one in this process, on a TCP port.
const externalVariable = "SIMULATOR_CONNECTION_STRING"

const (
	benchPartitions = 4
	benchBody       = 1 << 10
)

func benchConnection(b *testing.B) string {
	b.Helper()
	if external := os.Getenv(externalVariable); external != "" {
		return external
	}
	cfg := testConfig(benchPartitions)
	s, err := eventhubs.New(cfg, eventhubs.Settings{})
	require.NoError(b, err)
	b.Cleanup(s.Close)
	var lc net.ListenConfig
	ln, err := lc.Listen(b.Context(), "tcp", "127.0.0.1:0")
	require.NoError(b, err)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	go func() { done <- s.Serve(ctx, ln) }()
	b.Cleanup(func() {
		cancel()
		require.NoError(b, <-done)
	})
	connection, err := s.ConnectionString("", ln.Addr().String(), true)
	require.NoError(b, err)
	return connection
}

// produce sends events to one partition in batches of at most size events, or as many as fit if size is 0.
func produce(ctx context.Context, c *azeventhubs.ProducerClient, partition string, events, size int) error {
	body := make([]byte, benchBody)
	for sent := 0; sent < events; {
		batch, err := c.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: &partition})
		if err != nil {
			return err
		}
		for sent < events && (size == 0 || batch.NumEvents() < int32(size)) {
			if err := batch.AddEventData(&azeventhubs.EventData{Body: body}, nil); err != nil {
				break
			}
			sent++
		}
		if err := c.SendEventDataBatch(ctx, batch, nil); err != nil {
			return err
		}
	}
	return nil
}

func consume(ctx context.Context, c *azeventhubs.PartitionClient, events int) error {
	for got := 0; got < events; {
		batch, err := c.ReceiveEvents(ctx, min(1000, events-got), nil)
		if err != nil {
			return err
		}
		got += len(batch)
	}
	return nil
}

type benchCase struct {
	batch    int
	prefetch int32
	produce  bool
	consume  bool
}

func (bc benchCase) run(b *testing.B) {
	connection := benchConnection(b)
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	each := max(1, b.N/benchPartitions)
	group, ctx := errgroup.WithContext(ctx)
	var work []func() error
	for id := range benchPartitions {
		partition := strconv.Itoa(id)
		producer, err := azeventhubs.NewProducerClientFromConnectionString(connection, "hub", nil)
		require.NoError(b, err)
		defer func() { _ = producer.Close(context.WithoutCancel(ctx)) }()
		props, err := producer.GetPartitionProperties(ctx, partition, nil)
		require.NoError(b, err)
		if bc.produce {
			work = append(work, func() error { return produce(ctx, producer, partition, each, bc.batch) })
		} else {
			require.NoError(b, produce(ctx, producer, partition, each, 0))
		}
		if !bc.consume {
			continue
		}
		consumer, err := azeventhubs.NewConsumerClientFromConnectionString(connection, "hub", eventhubs.DefaultGroup, nil)
		require.NoError(b, err)
		defer func() { _ = consumer.Close(context.WithoutCancel(ctx)) }()
		reader, err := consumer.NewPartitionClient(partition, &azeventhubs.PartitionClientOptions{
			StartPosition: azeventhubs.StartPosition{SequenceNumber: &props.LastEnqueuedSequenceNumber}, Prefetch: bc.prefetch,
		})
		require.NoError(b, err)
		defer func() { _ = reader.Close(context.WithoutCancel(ctx)) }()
		work = append(work, func() error { return consume(ctx, reader, each) })
	}
	b.SetBytes(benchBody)
	b.ResetTimer()
	for _, f := range work {
		group.Go(f)
	}
	require.NoError(b, group.Wait())
	b.ReportMetric(float64(each*benchPartitions)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkSDK measures the unmodified client against the server: 1 KiB bodies, 4 partitions, a connection each. One
// operation is one event.
func BenchmarkSDK(b *testing.B) {
	cases := map[string]benchCase{
		"produce/full":          {produce: true},
		"produce/batch=100":     {produce: true, batch: 100},
		"produce/batch=1":       {produce: true, batch: 1},
		"consume/prefetch=300":  {consume: true},
		"consume/prefetch=2000": {consume: true, prefetch: 2000},
		"both/prefetch=300":     {produce: true, consume: true},
		"both/prefetch=2000":    {produce: true, consume: true, prefetch: 2000},
		"both/batch=100":        {produce: true, consume: true, batch: 100, prefetch: 2000},
	}
	for name, bc := range cases {
		b.Run(name, bc.run)
	}
}
