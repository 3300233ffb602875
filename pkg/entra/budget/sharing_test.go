package budget_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

// TestReplicasShareARealBucket has two replicas load a server that counts a sliding window, with NATS
// between them and the real clock.
func TestReplicasShareARealBucket(t *testing.T) {
	server := bustest.New(t)
	kvOf := func() budget.KV {
		js, err := jetstream.New(server.Connect(t, bus.UserCollector).NATS())
		require.NoError(t, err)
		kv, err := js.KeyValue(t.Context(), bus.BucketBudgets)
		require.NoError(t, err)
		return budget.JetStream(kv)
	}
	const scale, limit, seconds = 20, 100, 6
	graph := &window{limit: limit, width: 10 * time.Second}
	ctx, cancel := context.WithTimeout(t.Context(), seconds*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	counts := map[string]int{}
	r := budget.Request{Workload: budget.Reports, AppID: app, TenantID: tenant}
	for _, name := range []string{"a", "b"} {
		b := start(t, budget.Settings{KV: kvOf(), Replica: name, Scale: scale})
		load(ctx, &wg, b, 8, r, func(time.Duration) {
			graph.ask()
			mu.Lock()
			counts[name]++
			mu.Unlock()
		})
	}
	wg.Wait()
	require.Zero(t, graph.refused)
	require.GreaterOrEqual(t, graph.accepted, limit*seconds/10*9/10)
	require.Greater(t, counts["a"], graph.accepted/4, "%v", counts)
	require.Greater(t, counts["b"], graph.accepted/4, "%v", counts)
}

func TestConflictsAreToldApart(t *testing.T) {
	server := bustest.New(t)
	js, err := jetstream.New(server.Connect(t, bus.UserCollector).NATS())
	require.NoError(t, err)
	bucket, err := js.KeyValue(t.Context(), bus.BucketBudgets)
	require.NoError(t, err)
	kv := budget.JetStream(bucket)
	value, revision, err := kv.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Nil(t, value)
	require.Zero(t, revision)
	first, err := kv.Create(t.Context(), "k", []byte("1"))
	require.NoError(t, err)
	_, err = kv.Create(t.Context(), "k", []byte("1"))
	require.ErrorIs(t, err, budget.ErrConflict)
	second, err := kv.Update(t.Context(), "k", []byte("2"), first)
	require.NoError(t, err)
	_, err = kv.Update(t.Context(), "k", []byte("3"), first)
	require.ErrorIs(t, err, budget.ErrConflict)
	value, revision, err = kv.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "2", string(value))
	require.Equal(t, second, revision)
}
