package collector_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/clock"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
	"github.com/entraflow/entraflow/services/collector"
	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// TestLateAndChangingRecords lets hours pass: what comes late is stored, and what changes replaces what it was.
func TestLateAndChangingRecords(t *testing.T) {
	t.Parallel()
	const (
		speed         = 1200 // an hour in three seconds
		reconcileSpan = 48 * time.Hour
	)
	clk := clock.New(0, speed)
	w := newWorldWith(t, clk)
	cfg := tenantConfig(5)
	cfg.End = clk.Now().UTC()
	cfg.Days = 2
	cfg.Late = tenant.Late{Share: 0.02, Max: 3 * time.Hour, Changing: 0.2}
	tenantID := w.addTenant(cfg)
	w.connect("contoso", tenantID)
	began := clk.Now()
	w.start(w.config(func(c *collector.Config) {
		c.Tenant.TailInterval = 5 * time.Minute
		c.Tenant.ReconcileInterval, c.Tenant.ReconcileSpan = 2*time.Hour, reconcileSpan
	}), func(s *collector.Settings) { s.Clock = clk })
	w.awaitRun("contoso", initial)
	visible := began.Add(3*time.Hour + 30*time.Minute)
	eventually(t, "some hours", func() bool { return clk.Now().After(visible.Add(30 * time.Minute)) })
	eventually(t, "the tail", func() bool {
		for _, d := range w.status("contoso").GetDataTypes() {
			if d.GetCoveredUntil().AsTime().Before(visible.Add(20 * time.Minute)) {
				return false
			}
		}
		return true
	})
	source, err := w.sim.Tenant(tenantID)
	require.NoError(t, err)
	generated, ok := source.(*tenant.Tenant)
	require.True(t, ok)
	first := w.truth(tenantID, tenant.Query{To: began, At: began})
	// Late ones of the history, and new ones with their late ones.
	want := w.truth(tenantID, tenant.Query{To: began.Add(30 * time.Minute), At: visible})
	require.NotEmpty(t, missing(want, first), "nothing came late")
	require.Empty(t, missing(want, w.collected(tenantID)))

	// A reconcile that begins now sees every change until now.
	before := clk.Now()
	var reconcile *controlv1.Run
	eventually(t, "a reconcile", func() bool {
		for _, r := range w.listRuns("contoso") {
			if r.GetTrigger() == controlv1.RunTrigger_RUN_TRIGGER_RECONCILE && r.GetEndTime() != nil && r.GetCreateTime().AsTime().After(before) {
				reconcile = r
				return true
			}
		}
		return false
	})
	require.Equal(t, succeeded, reconcile.GetState(), reconcile)
	newest, versions := map[string]*eventv1.Event{}, map[string]int{}
	for _, e := range w.events(tenantID) {
		if e.GetKind() != "signin" {
			continue
		}
		versions[e.GetSourceId()]++
		if newest[e.GetSourceId()].GetVersion() <= e.GetVersion() {
			newest[e.GetSourceId()] = e
		}
	}
	changed, since := 0, before.Add(-reconcileSpan)
	for _, log := range tenant.Logs()[:4] {
		for id := range generated.IDs(log, tenant.Query{From: since, To: began, At: began}) {
			was, _ := generated.Lookup(log, id, tenant.Query{At: began})
			is, _ := generated.Lookup(log, id, tenant.Query{At: before})
			later, _ := generated.Lookup(log, id, tenant.Query{At: w.sim.Now()})
			if string(was.JSON) == string(is.JSON) || string(is.JSON) != string(later.JSON) {
				continue
			}
			require.JSONEq(t, string(is.JSON), string(newest[id].GetRaw()), "the newest version is the changed one")
			if versions[id] > 1 { // some changed before they were read first
				changed++
			}
		}
	}
	require.Positive(t, changed)
}

// command asks for a run as the gateway does.
func (w *world) command(change func(*statev1.Command)) {
	w.tb.Helper()
	c := &statev1.Command{
		Id: "asked", Target: bus.UserCollector, Verb: collector.VerbCollect, Integration: "contoso",
		CreateTime: timestamppb.New(w.sim.Now()),
	}
	change(c)
	publisher := bustest.Publisher(w.tb, w.gateway)
	_, err := publisher.Publish(context.Background(), c, bus.PublishOptions{MessageID: c.GetId()})
	require.NoError(w.tb, err)
}

func (w *world) awaitAsked(id string) *controlv1.Run {
	w.tb.Helper()
	var run *controlv1.Run
	eventually(w.tb, "run "+id, func() bool {
		r, _, err := w.runs.Get(context.Background(), "contoso", id)
		run = r
		return err == nil && r.GetEndTime() != nil
	})
	return run
}

func TestCollectNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := tenantConfig(6)
	tenantID := w.addTenant(cfg)
	w.connect("contoso", tenantID)
	slow, err := w.sim.InjectFault(entra.Fault{Kind: "slow", Delay: 700 * time.Millisecond, Path: "/auditLogs/"})
	require.NoError(t, err)
	w.start(w.config(slowTail))
	eventually(t, "the first run", func() bool { return len(w.listRuns("contoso")) == 1 })

	began := w.sim.Now()
	w.command(func(c *statev1.Command) { c.TenantId, c.Id = tenantID, "early" })
	w.command(func(c *statev1.Command) { c.TenantId, c.Id = tenantID, "early" })
	w.command(func(c *statev1.Command) { c.TenantId, c.Id, c.Integration = tenantID, "nobody", "gone" })
	eventually(t, "both under way", func() bool {
		running := 0
		for _, r := range w.listRuns("contoso") {
			if r.GetState() == controlv1.RunState_RUN_STATE_RUNNING {
				running++
			}
		}
		return running == 2
	})
	require.NoError(t, w.sim.ClearFault(slow))
	run := w.awaitAsked("early")
	require.Equal(t, succeeded, run.GetState(), run)
	require.Equal(t, onDemand, run.GetTrigger())
	require.Len(t, run.GetDataTypes(), len(tenant.Logs()))
	require.Equal(t, succeeded, w.awaitRun("contoso", initial).GetState())
	w.requireComplete(tenantID, began)

	w.command(func(c *statev1.Command) {
		c.TenantId, c.Id, c.DataTypes, c.Since = tenantID, "some", []string{"audit", "users"}, timestamppb.New(began.AddDate(0, 0, -2))
	})
	run = w.awaitAsked("some")
	require.Equal(t, controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED, run.GetState(), run)
	types := dataTypes(run)
	require.Equal(t, []string{"audit", "users"}, sortedKeys(types))
	require.Equal(t, succeeded, types["audit"].GetState())
	require.Equal(t, "nothing_to_collect", types["users"].GetProblem().GetCause(), "no log")
	want := len(w.truth(tenantID, tenant.Query{From: began.AddDate(0, 0, -2), To: began, At: began}, tenant.Audit)["audit"])
	require.InDelta(t, want, types["audit"].GetRows(), 5, "read again, though it was read before")

	w.command(func(c *statev1.Command) { c.TenantId, c.Id, c.DataTypes = tenantID, "none", []string{"users"} })
	run = w.awaitAsked("none")
	require.Equal(t, controlv1.RunState_RUN_STATE_FAILED, run.GetState(), run)
	require.Len(t, w.listRuns("contoso"), 4)
}

func TestADisabledIntegrationEndsItsRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenantID := w.addTenant(tenantConfig(7))
	record := w.connect("contoso", tenantID)
	_, err := w.sim.InjectFault(entra.Fault{Kind: "slow", Delay: time.Second, Path: "/auditLogs/"})
	require.NoError(t, err)
	w.start(w.config(slowTail))
	eventually(t, "the first run", func() bool { return len(w.listRuns("contoso")) == 1 })
	record.Integration.Disabled = true
	record, err = w.store.Update(t.Context(), record, record.Integration, nil)
	require.NoError(t, err)
	run := w.awaitRun("contoso", initial)
	require.Equal(t, controlv1.RunState_RUN_STATE_CANCELLED, run.GetState())
	w.command(func(c *statev1.Command) { c.TenantId, c.Id = tenantID, "asked" })
	require.Equal(t, "disabled", w.awaitAsked("asked").GetProblem().GetCause())
	require.NotEmpty(t, w.status("contoso").GetReport().GetDataTypes(), "what is known stays")

	require.NoError(t, w.store.Delete(t.Context(), record))
	eventually(t, "nothing left", func() bool {
		kv, err := w.operator.JetStream().KeyValue(t.Context(), bus.BucketCheckpoints)
		require.NoError(t, err)
		keys, err := kv.ListKeys(t.Context())
		require.NoError(t, err)
		n := 0
		for range keys.Keys() {
			n++
		}
		return n == 0 && len(w.listRuns("contoso")) == 0 && w.status("contoso").GetReport() == nil
	})
}
