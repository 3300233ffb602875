package collector_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/services/collector"
)

// holders counts the tenants of each replica.
func (w *world) holders() map[string]int {
	w.tb.Helper()
	kv, err := w.operator.JetStream().KeyValue(context.Background(), bus.BucketLeases)
	require.NoError(w.tb, err)
	keys, err := kv.ListKeysFiltered(context.Background(), bus.Key(bus.UserCollector)+".*")
	require.NoError(w.tb, err)
	count := map[string]int{}
	for key := range keys.Keys() {
		parts, ok := bus.ParseKey(key)
		require.True(w.tb, ok)
		if entry, err := kv.Get(context.Background(), key); err == nil && parts[1][:7] == "tenant-" {
			for n, c := range string(entry.Value()) {
				if c == ' ' {
					count[string(entry.Value()[:n])]++
					break
				}
			}
		}
	}
	return count
}

func TestReplicasShareTheTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	began := w.sim.Now()
	tenants := map[string]string{}
	for n := range 6 {
		cfg := tenantConfig(uint64(20 + n))
		cfg.Users, cfg.Days = 100, 2
		tenants[id(n)] = w.addTenant(cfg)
		w.connect(id(n), tenants[id(n)])
	}
	first := w.start(w.config(slowTail))
	eventually(t, "one has all", func() bool { return w.holders()["one"] == 6 })
	second := w.start(w.config(slowTail, func(c *collector.Config) { c.Instance = "two" }))
	even := func() bool {
		count := w.holders()
		return count["one"] == 3 && count["two"] == 3
	}
	eventually(t, "each has its half", even)
	for name, tenantID := range tenants {
		w.awaitRun(name, initial)
		w.requireComplete(tenantID, began)
	}
	// It stays so.
	given := func() float64 { return float64(len(first.logs.String()) + len(second.logs.String())) }
	before := given()
	<-time.After(4 * time.Second)
	require.True(t, even())
	require.Equal(t, before, given(), "nothing moves") //nolint:testifylint // they are lengths

	first.wait()
	eventually(t, "the other has all", func() bool { return w.holders()["two"] == 6 })
}
