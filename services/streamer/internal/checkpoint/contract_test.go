package checkpoint_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/services/streamer/internal/checkpoint"
)

// The names have what KV keys must not have.
const (
	namespace = "example.servicebus.windows.net"
	hubName   = "insights-logs-signinlogs"
	group     = "$Default"
)

func bucket(t *testing.T) jetstream.KeyValue {
	t.Helper()
	conn := bustest.New(t).Connect(t, bus.UserStreamer)
	kv, err := conn.JetStream().KeyValue(t.Context(), bus.BucketCheckpoints)
	require.NoError(t, err)
	return kv
}

func newStore(kv jetstream.KeyValue) *checkpoint.Store {
	return checkpoint.New(kv, checkpoint.Settings{Timeout: 10 * time.Second})
}

func ownership(partition, owner string, etag *azcore.ETag) azeventhubs.Ownership {
	return azeventhubs.Ownership{
		FullyQualifiedNamespace: namespace, EventHubName: hubName, ConsumerGroup: group,
		PartitionID: partition, OwnerID: owner, ETag: etag,
	}
}

func claim(t *testing.T, s azeventhubs.CheckpointStore, wanted ...azeventhubs.Ownership) []azeventhubs.Ownership {
	t.Helper()
	got, err := s.ClaimOwnership(t.Context(), wanted, nil)
	require.NoError(t, err)
	return got
}

func owners(t *testing.T, s azeventhubs.CheckpointStore) []azeventhubs.Ownership {
	t.Helper()
	got, err := s.ListOwnership(t.Context(), namespace, hubName, group, nil)
	require.NoError(t, err)
	return got
}

func checkpoints(t *testing.T, s azeventhubs.CheckpointStore) []azeventhubs.Checkpoint {
	t.Helper()
	got, err := s.ListCheckpoints(t.Context(), namespace, hubName, group, nil)
	require.NoError(t, err)
	return got
}

func TestOwnership(t *testing.T) {
	kv := bucket(t)
	a, b := newStore(kv), newStore(kv)
	require.Empty(t, owners(t, a))

	began := time.Now()
	first := claim(t, a, ownership("0", "a", nil), ownership("1", "a", nil))
	require.Len(t, first, 2)
	require.Equal(t, first, owners(t, b), "listing shows what claiming returned")
	require.WithinRange(t, first[0].LastModifiedTime, began.Add(-time.Second), time.Now().Add(time.Second))
	require.NotEqual(t, first[0].ETag, first[1].ETag)

	t.Run("nil ETag only creates", func(t *testing.T) {
		require.Empty(t, claim(t, b, ownership("0", "b", nil)))
		require.Empty(t, claim(t, b, ownership("0", "b", new(azcore.ETag("")))))
	})
	t.Run("renewing changes ETag and time", func(t *testing.T) {
		renewed := claim(t, a, first[0])
		require.Len(t, renewed, 1)
		require.NotEqual(t, *first[0].ETag, *renewed[0].ETag)
		require.True(t, renewed[0].LastModifiedTime.After(first[0].LastModifiedTime))
		require.Empty(t, claim(t, a, first[0]), "the old ETag is used up")
	})
	t.Run("lost claims are left out", func(t *testing.T) {
		now := owners(t, a)
		got := claim(t, b,
			ownership("0", "b", new(azcore.ETag("no number"))), ownership("0", "b", new(azcore.ETag("99999"))),
			ownership("1", "b", now[1].ETag), ownership("2", "b", new(azcore.ETag("1"))))
		require.Len(t, got, 1)
		require.Equal(t, "1", got[0].PartitionID)
		require.Equal(t, []string{"a", "b"}, []string{owners(t, a)[0].OwnerID, owners(t, a)[1].OwnerID})
	})
	t.Run("released partitions are free at once", func(t *testing.T) {
		now := owners(t, a)
		now[0].OwnerID = ""
		released := claim(t, a, now[0])
		require.Len(t, released, 1)
		require.Empty(t, owners(t, b)[0].OwnerID)
		require.Len(t, claim(t, b, ownership("0", "b", released[0].ETag)), 1)
	})
	t.Run("hubs and groups are apart", func(t *testing.T) {
		other, err := a.ListOwnership(t.Context(), namespace, hubName, "second", nil)
		require.NoError(t, err)
		require.Empty(t, other)
		other, err = a.ListOwnership(t.Context(), namespace, hubName+"-2", group, nil)
		require.NoError(t, err)
		require.Empty(t, other)
	})
	t.Run("names are told by letters, not by case", func(t *testing.T) {
		same, err := a.ListOwnership(t.Context(), "EXAMPLE.servicebus.windows.net", hubName, "$default", nil)
		require.NoError(t, err)
		require.Len(t, same, 2)
	})
}

func TestOwned(t *testing.T) {
	kv := bucket(t)
	a, b := newStore(kv), newStore(kv)
	got := claim(t, a, ownership("0", "a", nil), ownership("1", "a", nil))
	require.Len(t, a.Owned(), 2)
	require.Empty(t, b.Owned())

	claim(t, b, ownership("0", "b", got[0].ETag))
	claim(t, a, got[0])
	require.Len(t, a.Owned(), 1, "a partition that was lost is no longer owned")
	got[1].OwnerID = ""
	claim(t, a, got[1])
	require.Empty(t, a.Owned(), "nor is one that was released")
}

// TestClaimsAreExclusive lets many readers race for every partition, over and over.
func TestClaimsAreExclusive(t *testing.T) {
	const readers, partitions, rounds = 8, 4, 20
	kv := bucket(t)
	stores := make([]*checkpoint.Store, readers)
	for i := range stores {
		stores[i] = newStore(kv)
	}
	var before []azeventhubs.Ownership
	for id := range partitions {
		before = append(before, ownership(fmt.Sprint(id), "", nil))
	}
	for range rounds {
		won := make([][]azeventhubs.Ownership, readers)
		var race sync.WaitGroup
		for i, s := range stores {
			race.Go(func() {
				wanted := append([]azeventhubs.Ownership(nil), before...)
				for k := range wanted {
					wanted[k].OwnerID = fmt.Sprint("reader-", i)
				}
				got, err := s.ClaimOwnership(t.Context(), wanted, nil)
				if err == nil {
					won[i] = got
				}
			})
		}
		race.Wait()
		winners := map[string]string{}
		for _, got := range won {
			for _, o := range got {
				require.NotContains(t, winners, o.PartitionID, "two readers won")
				winners[o.PartitionID] = o.OwnerID
			}
		}
		require.Len(t, winners, partitions)
		before = owners(t, stores[0])
		for _, o := range before {
			require.Equal(t, winners[o.PartitionID], o.OwnerID)
		}
	}
}

func TestCheckpoints(t *testing.T) {
	s := newStore(bucket(t))
	require.Empty(t, checkpoints(t, s))
	at := func(offset string, sequence int64) azeventhubs.Checkpoint {
		return azeventhubs.Checkpoint{
			FullyQualifiedNamespace: namespace, EventHubName: hubName, ConsumerGroup: group, PartitionID: "100",
			Offset: &offset, SequenceNumber: &sequence,
		}
	}
	for i := range int64(5) {
		cp := at(fmt.Sprint(i), i+1)
		require.NoError(t, s.SetCheckpoint(t.Context(), cp, nil))
		require.Equal(t, []azeventhubs.Checkpoint{cp}, checkpoints(t, s))
	}
	require.NoError(t, s.SetCheckpoint(t.Context(), at("3", 4), nil))
	require.Equal(t, []azeventhubs.Checkpoint{at("4", 5)}, checkpoints(t, s), "a position never goes back")

	other := at("9", 9)
	other.PartitionID = "2"
	require.NoError(t, s.SetCheckpoint(t.Context(), other, nil))
	require.Equal(t, []azeventhubs.Checkpoint{at("4", 5), other}, checkpoints(t, s))
	require.Empty(t, owners(t, s), "positions are no owners")

	offsetOnly := other
	offsetOnly.SequenceNumber, offsetOnly.Offset = nil, new("17")
	require.NoError(t, s.SetCheckpoint(t.Context(), offsetOnly, nil))
	require.Equal(t, offsetOnly, checkpoints(t, s)[1])
}

func TestCursorsRaceForward(t *testing.T) {
	const writers, positions = 8, 50
	s := newStore(bucket(t))
	partition := checkpoint.Partition{Namespace: namespace, Hub: hubName, Group: group, ID: "0"}
	var race sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		cursor := s.Cursor(partition)
		race.Go(func() {
			for i := w; i < positions; i += 1 + w%3 {
				if _, err := cursor.Save(t.Context(), checkpoint.Position{Sequence: int64(i), Offset: fmt.Sprint(i)}); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	race.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	got := checkpoints(t, s)
	require.Len(t, got, 1)
	require.Equal(t, int64(positions-1), *got[0].SequenceNumber)
}

func TestFence(t *testing.T) {
	kv := bucket(t)
	a, b := newStore(kv), newStore(kv)
	partition := checkpoint.Partition{Namespace: namespace, Hub: hubName, Group: group, ID: "0"}
	save := func(c *checkpoint.Cursor, sequence int64) (bool, error) {
		return c.Save(t.Context(), checkpoint.Position{Sequence: sequence, Offset: fmt.Sprint(sequence)})
	}
	owned := claim(t, a, ownership("0", "a", nil))
	frozen := a.Cursor(partition)
	saved, err := save(frozen, 10)
	require.NoError(t, err)
	require.True(t, saved)

	owned = claim(t, a, owned[0])
	saved, err = save(a.Cursor(partition), 11)
	require.NoError(t, err)
	require.True(t, saved)
	_, err = save(frozen, 12)
	require.NoError(t, err, "renewing is no change of owner")

	taken := claim(t, b, ownership("0", "b", owned[0].ETag))
	saved, err = save(b.Cursor(partition), 20)
	require.NoError(t, err)
	require.True(t, saved)

	_, err = save(frozen, 15)
	require.ErrorIs(t, err, checkpoint.ErrFenced)
	_, err = save(frozen, 25)
	require.ErrorIs(t, err, checkpoint.ErrFenced, "not even forward")
	require.Equal(t, int64(20), *checkpoints(t, a)[0].SequenceNumber)

	claim(t, a, ownership("0", "a", taken[0].ETag))
	saved, err = save(a.Cursor(partition), 15)
	require.NoError(t, err)
	require.False(t, saved, "the rightful owner does not go back either")
	saved, err = save(a.Cursor(partition), 26)
	require.NoError(t, err)
	require.True(t, saved)
	_, err = save(frozen, 27)
	require.ErrorIs(t, err, checkpoint.ErrFenced, "what was read under the old claim stays fenced")

	position, ok, err := a.Cursor(partition).Load(t.Context())
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, checkpoint.Position{Sequence: 26, Offset: "26"}, position)
}

func TestCloseEndsRetries(t *testing.T) {
	server := bustest.New(t)
	conn := server.Connect(t, bus.UserStreamer)
	kv, err := conn.JetStream().KeyValue(t.Context(), bus.BucketCheckpoints)
	require.NoError(t, err)
	s := checkpoint.New(kv, checkpoint.Settings{Timeout: time.Hour})
	server.Server.Shutdown()
	done := make(chan error, 1)
	go func() {
		_, err := s.ClaimOwnership(t.Context(), []azeventhubs.Ownership{ownership("0", "a", nil)}, nil)
		done <- err
	}()
	s.Close()
	select {
	case err := <-done:
		require.Error(t, err)
	case <-time.After(20 * time.Second):
		require.FailNow(t, "the claim did not end")
	}
}
