package collector_test

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/services/collector"
	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/entra/fault"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// slowTail leaves the newest alone, so that what is read is the first collection.
func slowTail(c *collector.Config) {
	c.Tenant.TailInterval, c.Tenant.OverlapInterval = time.Hour, time.Hour
}

// TestRestartsLoseNothing stops the collector at random moments of the first collection.
func TestRestartsLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := tenantConfig(3)
	cfg.Users, cfg.Days, cfg.Rates.NonInteractive = 100, 6, 20
	tenantID := w.addTenant(cfg)
	// Slow enough to be met in the middle.
	_, err := w.sim.InjectFault(entra.Fault{Kind: fault.Slow, Delay: 100 * time.Millisecond, Path: "/auditLogs/"})
	require.NoError(t, err)
	w.connect("contoso", tenantID)
	began := w.sim.Now()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
	stops := 0
	for range 6 {
		r := w.start(w.config(slowTail))
		<-time.After(time.Duration(300+random.IntN(900)) * time.Millisecond)
		if len(w.listRuns("contoso")) == 0 || w.listRuns("contoso")[0].GetEndTime() == nil {
			stops++
		}
		r.wait()
	}
	require.Greater(t, stops, 2, "stopped too late to matter")
	w.start(w.config(slowTail))
	run := w.awaitRun("contoso", initial)
	require.Equal(t, succeeded, run.GetState(), run)
	require.Len(t, w.listRuns("contoso"), 1, "the run goes on, there is no second")
	w.requireComplete(tenantID, began)

	// What was saved as read was not read again, but for the hours that may still change.
	want := 0
	for _, ids := range w.truth(tenantID, tenant.Query{To: began, At: began}) {
		want += len(ids)
	}
	rows := 0
	for _, d := range run.GetDataTypes() {
		require.Equal(t, d.GetWindowsTotal(), d.GetWindowsDone(), d.GetDataType())
		rows += int(d.GetRows())
	}
	require.Greater(t, float64(rows), 0.98*float64(want))
	require.Less(t, float64(rows), 1.4*float64(want), "windows that were saved are not read again")
}

// frontier passes a connection to NATS on until it is frozen: then nothing comes through, either way, and no end of it
// is told.
type frontier struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	thawed   chan struct{} // closed while bytes pass
	copies   sync.WaitGroup
	conns    []net.Conn
}

func newFrontier(t *testing.T, target string) *frontier {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &frontier{listener: listener, target: target, thawed: make(chan struct{})}
	close(f.thawed)
	f.copies.Go(f.accept)
	t.Cleanup(func() {
		f.thaw()
		_ = f.listener.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			_ = c.Close()
		}
		f.mu.Unlock()
		f.copies.Wait()
	})
	return f
}

func (f *frontier) accept() {
	for {
		near, err := f.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", f.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		f.mu.Lock()
		f.conns = append(f.conns, near, far)
		f.mu.Unlock()
		f.copies.Go(func() { f.pass(near, far) })
		f.copies.Go(func() { f.pass(far, near) })
	}
}

func (f *frontier) pass(to io.WriteCloser, from io.Reader) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		f.mu.Lock()
		thawed := f.thawed
		f.mu.Unlock()
		<-thawed
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (f *frontier) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.thawed = make(chan struct{})
}

func (f *frontier) thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.thawed:
	default:
		close(f.thawed)
	}
}

// TestTakeover cuts the replica that collects off from NATS, and lets it come back later.
func TestTakeover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := tenantConfig(4)
	cfg.Users, cfg.Days, cfg.Rates.NonInteractive = 100, 6, 20
	tenantID := w.addTenant(cfg)
	_, err := w.sim.InjectFault(entra.Fault{Kind: fault.Slow, Delay: 300 * time.Millisecond, Path: "/auditLogs/"})
	require.NoError(t, err)
	fences := w.watchFences()
	w.connect("contoso", tenantID)
	began := w.sim.Now()

	natsURL, err := url.Parse(w.bus.Server.Config(bus.UserCollector).URL)
	require.NoError(t, err)
	frontier := newFrontier(t, natsURL.Host)
	first := w.start(w.config(slowTail, func(c *collector.Config) { c.NATS.URL = "nats://" + frontier.listener.Addr().String() }))
	eventually(t, "windows of the first", func() bool { return first.metric("entraflow_collector_windows_total") > 5 })
	second := w.start(w.config(slowTail, func(c *collector.Config) { c.Instance = "two" }))
	frontier.freeze()
	frozen := time.Now()
	eventually(t, "windows of the second", func() bool { return second.metric("entraflow_collector_windows_total") > 0 })
	require.Less(t, time.Since(frozen), 30*time.Second)
	frontier.thaw()
	run := w.awaitRun("contoso", initial)
	require.Equal(t, succeeded, run.GetState(), run)
	require.Contains(t, first.logs.String(), "lease lost")
	w.requireComplete(tenantID, began)
	first.wait()
	second.wait()
	fences(t)
}

// watchFences follows every cursor; the returned function checks that no earlier holder wrote after a later one.
func (w *world) watchFences() func(*testing.T) {
	w.tb.Helper()
	kv, err := w.operator.JetStream().KeyValue(context.Background(), bus.BucketCheckpoints)
	require.NoError(w.tb, err)
	watcher, err := kv.WatchAll(context.Background(), jetstream.IgnoreDeletes())
	require.NoError(w.tb, err)
	var watching sync.WaitGroup
	writes := map[string][]uint64{}
	watching.Go(func() {
		for entry := range watcher.Updates() {
			if entry != nil {
				writes[entry.Key()] = append(writes[entry.Key()], binary.BigEndian.Uint64(entry.Value()))
			}
		}
	})
	return func(t *testing.T) {
		t.Helper()
		require.NoError(t, watcher.Stop())
		watching.Wait()
		holders := map[uint64]bool{}
		for key, fences := range writes {
			for n, fence := range fences {
				holders[fence] = true
				require.True(t, n == 0 || fence >= fences[n-1], "cursor %s: %v", key, fences)
			}
		}
		require.Greater(t, len(holders), 1)
	}
}
