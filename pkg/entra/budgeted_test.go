package entra_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
	"github.com/entraflow/entraflow/pkg/entra/internal/fake"
)

// slidingGraph lets in so many requests within a window and answers the others with 429 without Retry-After.
// Each answer takes a while, so that pages come one after the other and not at once.
type slidingGraph struct {
	limit int
	width time.Duration
	next  http.HandlerFunc

	mu       sync.Mutex
	times    []time.Time
	accepted atomic.Int64
	refused  atomic.Int64
}

func (g *slidingGraph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	now := time.Now()
	for len(g.times) > 0 && now.Sub(g.times[0]) >= g.width {
		g.times = g.times[1:]
	}
	g.times = append(g.times, now)
	over := len(g.times) > g.limit
	g.mu.Unlock()
	if over {
		g.refused.Add(1)
		fake.Fail("UnknownError", http.StatusTooManyRequests)(w, r)
		return
	}
	g.accepted.Add(1)
	g.next(w, r)
}

// TestTwoReplicasUseTheLimit has the clients of two replicas read as fast as they may, with NATS between them,
// and a person ask in between.
func TestTwoReplicasUseTheLimit(t *testing.T) {
	const scale, limit, duration = 20, 100, 8 * time.Second
	server := bustest.New(t)
	w := newWorld(t)
	graph := &slidingGraph{limit: limit, width: 10 * time.Second, next: body(`{"value":[]}`)}
	w.server.Graph = graph.ServeHTTP
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var work, runs sync.WaitGroup
	stop, halt := context.WithCancel(context.WithoutCancel(t.Context()))
	defer runs.Wait()
	defer halt()
	var clients []*entra.Client
	for _, name := range []string{"a", "b"} {
		js, err := jetstream.New(server.Connect(t, bus.UserCollector).NATS())
		require.NoError(t, err)
		kv, err := js.KeyValue(t.Context(), bus.BucketBudgets)
		require.NoError(t, err)
		b, err := budget.New(budget.Settings{KV: budget.JetStream(kv), Replica: name, Scale: scale})
		require.NoError(t, err)
		runs.Go(func() { _ = b.Run(stop) })
		credential, err := entra.NewCredential(spec(), w.server.Endpoints(t), w.transport)
		require.NoError(t, err)
		client, err := entra.NewClient(entra.ClientSettings{
			Credential: credential, Endpoints: w.server.Endpoints(t), Transport: w.transport, Budget: b,
			TenantID: fake.Tenant, AppID: fake.App,
		})
		require.NoError(t, err)
		clients = append(clients, client)
	}
	read := entra.Request{Path: "/beta/auditLogs/signIns", Workload: budget.Reports}
	for range 8 {
		work.Go(func() {
			for ctx.Err() == nil {
				_, _ = clients[0].Get(ctx, read)
			}
		})
	}
	urgent := read
	urgent.Class = budget.Interactive
	var slowest time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := clients[1].Get(ctx, urgent); err == nil {
			slowest = max(slowest, time.Since(began))
		}
		select {
		case <-ctx.Done():
		case <-time.After(400 * time.Millisecond):
		}
	}
	work.Wait()
	require.GreaterOrEqual(t, graph.accepted.Load(), int64(limit*8/10*9/10))
	require.Less(t, graph.refused.Load()*100, graph.accepted.Load())
	require.Less(t, slowest, 1200*time.Millisecond)
}
