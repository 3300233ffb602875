package checkpoint_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/streamer/internal/checkpoint"
)

func TestRewind(t *testing.T) {
	const stepBack = 100 * time.Millisecond
	kv := bucket(t)
	open := func() *checkpoint.Store {
		return checkpoint.New(kv, checkpoint.Settings{Timeout: 10 * time.Second, StepBack: stepBack})
	}
	s := open()
	old := s.Cursor(checkpoint.Partition{Namespace: namespace, Hub: hubName, Group: group, ID: "old"})
	saved := map[int64]time.Time{}
	last := int64(0)
	for ; last < 40; last++ {
		_, err := old.Save(t.Context(), checkpoint.Position{Sequence: last, Offset: fmt.Sprint("o", last)})
		require.NoError(t, err)
		saved[last] = time.Now()
		<-time.After(stepBack / 10)
	}
	young := s.Cursor(checkpoint.Partition{Namespace: namespace, Hub: hubName, Group: group, ID: "young"})
	_, err := young.Save(t.Context(), checkpoint.Position{Sequence: 7})
	require.NoError(t, err)
	end := time.Now()

	require.NoError(t, open().Rewind(t.Context(), namespace, hubName, group))
	got := checkpoints(t, open())
	require.Len(t, got, 1, "a partition that is too young begins anew")
	require.Equal(t, "old", got[0].PartitionID)
	sequence := *got[0].SequenceNumber
	require.Equal(t, fmt.Sprint("o", sequence), *got[0].Offset)
	require.GreaterOrEqual(t, end.Sub(saved[sequence]), stepBack)
	require.Positive(t, sequence, "not to the beginning, either")

	again := open().Cursor(checkpoint.Partition{Namespace: namespace, Hub: hubName, Group: group, ID: "old"})
	moved, err := again.Save(t.Context(), checkpoint.Position{Sequence: sequence + 1})
	require.NoError(t, err)
	require.True(t, moved, "from there it goes on")
	require.NoError(t, open().Rewind(t.Context(), namespace, hubName, "second"), "no positions, no error")
}
