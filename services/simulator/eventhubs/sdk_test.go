package eventhubs_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

func TestMain(m *testing.M) {
	// The SDK does not wait for the goroutine that renews the claim of its management link.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(
		"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2/internal.(*Namespace).startNegotiateClaimRenewer.func3"))
}

// testConfig is one namespace "sim.test" with a hub "hub" of the given partitions and three keys.
func testConfig(partitions int) eventhubs.Config {
	cfg := eventhubs.DefaultConfig()
	cfg.Namespaces = []eventhubs.NamespaceConfig{{
		Name: "sim.test", Tokens: eventhubs.TokensAny,
		Keys: []eventhubs.KeyConfig{
			{Name: "all", Secret: "c2VjcmV0"},
			{Name: "listen", Secret: "bGlzdGVu", Claims: []string{"Listen"}},
			{Name: "send", Secret: "c2VuZA==", Claims: []string{"Send"}},
		},
		Hubs: []eventhubs.HubConfig{{Name: "hub", Partitions: partitions, ConsumerGroups: []string{"second"}}},
	}}
	return cfg
}

// pipeServer starts a server whose clients reach it by net.Pipe, and ends it with the test.
type pipeServer struct {
	*eventhubs.Server
	tb  testing.TB
	hub *eventhubs.Hub
	// wrap, if set, may change the server's end of each new connection.
	wrap func(net.Conn) net.Conn
	// retry are the options of clients; noRetry shows errors at once instead of after the SDK's back-off.
	retry azeventhubs.RetryOptions
}

func newPipeServer(tb testing.TB, cfg eventhubs.Config, set eventhubs.Settings) *pipeServer {
	tb.Helper()
	s, err := eventhubs.New(cfg, set)
	require.NoError(tb, err)
	tb.Cleanup(s.Close)
	hub, err := s.Hub("", "hub")
	require.NoError(tb, err)
	return &pipeServer{Server: s, tb: tb, hub: hub, retry: noRetry}
}

func (p *pipeServer) dial(context.Context, azeventhubs.WebSocketConnParams) (net.Conn, error) {
	client, server := net.Pipe()
	if p.wrap != nil {
		server = p.wrap(server)
	}
	go func() { _ = p.ServeConn(context.Background(), server) }() // Close waits for it
	return client, nil
}

const connectionAll = "Endpoint=sb://sim.test;SharedAccessKeyName=all;SharedAccessKey=c2VjcmV0"

var noRetry = azeventhubs.RetryOptions{MaxRetries: -1}

func (p *pipeServer) producer(connection string) *azeventhubs.ProducerClient {
	p.tb.Helper()
	c, err := azeventhubs.NewProducerClientFromConnectionString(connection, "hub",
		&azeventhubs.ProducerClientOptions{NewWebSocketConn: p.dial, RetryOptions: p.retry})
	require.NoError(p.tb, err)
	p.tb.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func (p *pipeServer) consumer(connection string) *azeventhubs.ConsumerClient {
	p.tb.Helper()
	c, err := azeventhubs.NewConsumerClientFromConnectionString(connection, "hub", eventhubs.DefaultGroup,
		&azeventhubs.ConsumerClientOptions{NewWebSocketConn: p.dial, RetryOptions: p.retry})
	require.NoError(p.tb, err)
	p.tb.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func (p *pipeServer) reader(c *azeventhubs.ConsumerClient, id string, opts azeventhubs.PartitionClientOptions) *azeventhubs.PartitionClient {
	p.tb.Helper()
	pc, err := c.NewPartitionClient(id, &opts)
	require.NoError(p.tb, err)
	p.tb.Cleanup(func() { _ = pc.Close(context.Background()) })
	return pc
}

var earliest = azeventhubs.StartPosition{Earliest: new(true)}

// send sends bodies as one batch.
func send(ctx context.Context, tb testing.TB, c *azeventhubs.ProducerClient, opts azeventhubs.EventDataBatchOptions, bodies ...string) error {
	tb.Helper()
	batch, err := c.NewEventDataBatch(ctx, &opts)
	if err != nil {
		return err
	}
	for _, b := range bodies {
		require.NoError(tb, batch.AddEventData(&azeventhubs.EventData{Body: []byte(b)}, nil))
	}
	return c.SendEventDataBatch(ctx, batch, nil)
}

// receive receives until it has n events.
func receive(ctx context.Context, tb testing.TB, c *azeventhubs.PartitionClient, n int) []*azeventhubs.ReceivedEventData {
	tb.Helper()
	var all []*azeventhubs.ReceivedEventData
	for len(all) < n {
		events, err := c.ReceiveEvents(ctx, n-len(all), nil)
		all = append(all, events...)
		require.NoError(tb, err)
	}
	return all
}

func bodies(events []*azeventhubs.ReceivedEventData) []string {
	var all []string
	for _, e := range events {
		all = append(all, string(e.Body))
	}
	return all
}

func timeout(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

func TestSendReceive(t *testing.T) {
	s := newPipeServer(t, testConfig(2), eventhubs.Settings{})
	ctx := timeout(t)
	producer := s.producer(connectionAll)
	require.NoError(t, send(ctx, t, producer, azeventhubs.EventDataBatchOptions{PartitionID: new("1")}, "a", "b", "c"))

	consumer := s.consumer(connectionAll)
	props, err := consumer.GetPartitionProperties(ctx, "1", nil)
	require.NoError(t, err)
	require.Equal(t, int64(2), props.LastEnqueuedSequenceNumber)
	events := receive(ctx, t, s.reader(consumer, "1", azeventhubs.PartitionClientOptions{StartPosition: earliest}), 3)
	require.Equal(t, []string{"a", "b", "c"}, bodies(events))
	for i, e := range events {
		require.Equal(t, int64(i), e.SequenceNumber)
	}
}

func TestOrderWithoutGapsUnderLoad(t *testing.T) {
	const partitions, perPartition, batchSize = 3, 20_000, 500
	s := newPipeServer(t, testConfig(partitions), eventhubs.Settings{})
	ctx := timeout(t)
	producer := s.producer(connectionAll)
	group, ctx := errgroup.WithContext(ctx)
	for id := range partitions {
		name := strconv.Itoa(id)
		group.Go(func() error {
			for n := 0; n < perPartition; n += batchSize {
				if err := sendNumbered(ctx, producer, name, n, batchSize); err != nil {
					return err
				}
			}
			return nil
		})
		reader := s.reader(s.consumer(connectionAll), name, azeventhubs.PartitionClientOptions{StartPosition: earliest})
		group.Go(func() error {
			for n := 0; n < perPartition; {
				events, err := reader.ReceiveEvents(ctx, perPartition-n, nil)
				if err != nil {
					return err
				}
				for _, e := range events {
					if want := name + "/" + strconv.Itoa(n); string(e.Body) != want || e.SequenceNumber != int64(n) {
						return fmt.Errorf("event %d is %q with sequence number %d", n, e.Body, e.SequenceNumber)
					}
					n++
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}

// sendNumbered sends a batch of events whose bodies are partition/number.
func sendNumbered(ctx context.Context, c *azeventhubs.ProducerClient, partition string, from, count int) error {
	batch, err := c.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: &partition})
	if err != nil {
		return err
	}
	for n := from; n < from+count; n++ {
		event := &azeventhubs.EventData{Body: []byte(partition + "/" + strconv.Itoa(n))}
		if err := batch.AddEventData(event, nil); err != nil {
			return err
		}
	}
	return c.SendEventDataBatch(ctx, batch, nil)
}
