package eventhubs_test

import (
	"strconv"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

// epochReader is a reader with an epoch that has received the hub's one event, so that it is attached.
func epochReader(t *testing.T, s *pipeServer, epoch *int64) (*azeventhubs.PartitionClient, error) {
	t.Helper()
	reader := s.reader(s.consumer(connectionAll), "0", azeventhubs.PartitionClientOptions{StartPosition: earliest, OwnerLevel: epoch})
	_, err := reader.ReceiveEvents(timeout(t), 1, nil)
	return reader, err
}

func TestEpochs(t *testing.T) {
	tests := map[string]struct {
		first, second *int64
		firstIsStolen bool
		secondFails   bool
		text          string
	}{
		"higher steals":          {first: new(int64(1)), second: new(int64(2)), firstIsStolen: true, text: "with higher epoch of '2' is created"},
		"same steals":            {first: new(int64(1)), second: new(int64(1)), firstIsStolen: true, text: "with epoch '1' is getting disconnected"},
		"any steals from none":   {second: new(int64(0)), firstIsStolen: true, text: "with higher epoch of '0' is created"},
		"lower is turned away":   {first: new(int64(2)), second: new(int64(1)), secondFails: true, text: "with a higher epoch '2' already exists"},
		"none is turned away":    {first: new(int64(0)), secondFails: true, text: "non-epoch receiver is not allowed"},
		"two without get along":  {},
		"negative is below zero": {first: new(int64(0)), second: new(int64(-1)), secondFails: true, text: "epoch -1 cannot be created"},
	}
	for name, tt := range tests {
		for _, form := range []eventhubs.RefusalForm{eventhubs.AttachThenDetach, eventhubs.Refuse} {
			t.Run(name+", "+string(form), func(t *testing.T) {
				cfg := testConfig(1)
				cfg.LowEpoch = form
				s := newPipeServer(t, cfg, eventhubs.Settings{})
				_, err := s.hub.Append("0", eventhubs.Event{Body: []byte("x")})
				require.NoError(t, err)
				first, err := epochReader(t, s, tt.first)
				require.NoError(t, err)
				_, err = epochReader(t, s, tt.second)
				if tt.secondFails {
					requireCondition(t, err, "amqp:link:stolen")
					require.ErrorContains(t, err, tt.text)
					if form == eventhubs.AttachThenDetach {
						requireCode(t, err, azeventhubs.ErrorCodeOwnershipLost)
					}
				} else {
					require.NoError(t, err)
				}
				_, err = s.hub.Append("0", eventhubs.Event{Body: []byte("y")})
				require.NoError(t, err)
				_, err = first.ReceiveEvents(timeout(t), 1, nil)
				if tt.firstIsStolen {
					requireCode(t, err, azeventhubs.ErrorCodeOwnershipLost)
					require.ErrorContains(t, err, tt.text)
					return
				}
				require.NoError(t, err)
			})
		}
	}
}

// TestEpochsAreOfTheirGroup reads one partition with an epoch in two consumer groups.
func TestEpochsAreOfTheirGroup(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	_, err := s.hub.Append("0", eventhubs.Event{Body: []byte("x")})
	require.NoError(t, err)
	_, err = epochReader(t, s, new(int64(5)))
	require.NoError(t, err)
	other, err := azeventhubs.NewConsumerClientFromConnectionString(connectionAll, "hub", "second",
		&azeventhubs.ConsumerClientOptions{NewWebSocketConn: s.dial, RetryOptions: noRetry})
	require.NoError(t, err)
	defer func() { _ = other.Close(timeout(t)) }()
	require.Len(t, receive(timeout(t), t, s.reader(other, "0", azeventhubs.PartitionClientOptions{StartPosition: earliest}), 1), 1)
	waitForReaders(t, s, 2)
}

// TestSixthReader opens five readers without an epoch; the sixth is turned away until one has left.
func TestSixthReader(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	_, err := s.hub.Append("0", eventhubs.Event{Body: []byte("x")})
	require.NoError(t, err)
	var readers []*azeventhubs.PartitionClient
	for range 5 {
		reader, err := epochReader(t, s, nil)
		require.NoError(t, err)
		readers = append(readers, reader)
	}
	_, err = epochReader(t, s, nil)
	requireCondition(t, err, "amqp:resource-limit-exceeded")
	require.ErrorContains(t, err, strconv.Itoa(5))
	require.NoError(t, readers[2].Close(timeout(t)))
	waitForReaders(t, s, 4)
	_, err = epochReader(t, s, nil)
	require.NoError(t, err)
	_, err = epochReader(t, s, new(int64(1)))
	require.NoError(t, err, "an epoch steals all five places")
	waitForReaders(t, s, 1)
}

// TestPlacesOfLostConnections cuts the connection of a reader: its place is free again.
func TestPlacesOfLostConnections(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	_, err := s.hub.Append("0", eventhubs.Event{Body: []byte("x")})
	require.NoError(t, err)
	_, err = epochReader(t, s, new(int64(9)))
	require.NoError(t, err)
	report, err := s.Inject(eventhubs.Fault{Kind: eventhubs.FaultCut, Hub: "hub", Role: eventhubs.RoleConsumer})
	require.NoError(t, err)
	require.Equal(t, 1, report.Affected)
	waitForReaders(t, s, 0)
	_, err = epochReader(t, s, nil)
	require.NoError(t, err)
}
