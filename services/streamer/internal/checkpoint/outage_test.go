package checkpoint_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/streamer/internal/checkpoint"
)

// flaky is a real bucket whose answers get lost now and then: before the request arrives, or after.
type flaky struct {
	jetstream.KeyValue
	mu   sync.Mutex
	dice *rand.Rand
}

func (f *flaky) roll() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dice.IntN(4)
}

var errLost = errors.New("answer lost")

func (f *flaky) lose(do func() error) error {
	switch f.roll() {
	case 0:
		return errLost
	case 1:
		if err := do(); err != nil {
			return err
		}
		return errLost
	}
	return do()
}

func (f *flaky) Get(ctx context.Context, key string) (e jetstream.KeyValueEntry, err error) {
	err = f.lose(func() error { e, err = f.KeyValue.Get(ctx, key); return err })
	return e, err
}

func (f *flaky) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (r uint64, err error) {
	err = f.lose(func() error { r, err = f.KeyValue.Create(ctx, key, value, opts...); return err })
	return r, err
}

func (f *flaky) Update(ctx context.Context, key string, value []byte, revision uint64) (r uint64, err error) {
	err = f.lose(func() error { r, err = f.KeyValue.Update(ctx, key, value, revision); return err })
	return r, err
}

func (f *flaky) Watch(ctx context.Context, keys string, opts ...jetstream.WatchOpt) (w jetstream.KeyWatcher, err error) {
	if f.roll() == 0 {
		return nil, errLost
	}
	return f.KeyValue.Watch(ctx, keys, opts...)
}

func TestLostAnswersAreNoLostClaims(t *testing.T) {
	retries := prometheus.NewCounter(prometheus.CounterOpts{Name: "retries_total", Help: "Tried again."})
	s := checkpoint.New(&flaky{KeyValue: bucket(t), dice: rand.New(rand.NewPCG(1, 2))}, checkpoint.Settings{Timeout: 20 * time.Second, Retries: retries})
	partition := checkpoint.Partition{Namespace: namespace, Hub: hubName, Group: group, ID: "0"}
	got := claim(t, s, ownership("0", "a", nil))
	require.Len(t, got, 1)
	cursor := s.Cursor(partition)
	for i := range int64(10) {
		got = claim(t, s, got[0])
		require.Len(t, got, 1, "round %d", i)
		_, err := cursor.Save(t.Context(), checkpoint.Position{Sequence: i})
		require.NoError(t, err)
		require.Equal(t, i, *checkpoints(t, s)[0].SequenceNumber)
	}
	require.Equal(t, got, owners(t, s))
	require.Positive(t, testutil.ToFloat64(retries))
}
