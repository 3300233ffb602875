package collector_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

const (
	initial   = controlv1.RunTrigger_RUN_TRIGGER_INITIAL
	onDemand  = controlv1.RunTrigger_RUN_TRIGGER_ON_DEMAND
	succeeded = controlv1.RunState_RUN_STATE_SUCCEEDED
)

func TestFirstCollectionIsTheTruth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := tenantConfig(uint64(time.Now().UnixNano()))
	t.Logf("seed %d", cfg.Seed)
	tenantID := w.addTenant(cfg)
	w.connect("contoso", tenantID)
	began := w.sim.Now()
	w.start(w.config())
	run := w.awaitRun("contoso", initial)
	require.Equal(t, succeeded, run.GetState(), run)
	w.requireComplete(tenantID, began)

	types := dataTypes(run)
	require.ElementsMatch(t, tenant.Logs(), sortedKeys(types))
	truth := w.truth(tenantID, tenant.Query{To: began, At: began})
	rows := 0
	for name, d := range types {
		require.Equal(t, succeeded, d.GetState(), name)
		require.Equal(t, d.GetWindowsTotal(), d.GetWindowsDone(), name)
		require.Positive(t, d.GetWindowsDone(), name)
		require.Zero(t, d.GetUnreadable(), name)
		rows += int(d.GetRows())
	}
	want := 0
	for _, ids := range truth {
		want += len(ids)
	}
	require.InDelta(t, want, rows, float64(want)/100, "rows of the run")

	var status *controlv1.IntegrationStatus
	eventually(t, "the status of the end", func() bool {
		status = w.status("contoso")
		return len(status.GetDataTypes()) == len(tenant.Logs()) && status.GetDataTypes()[0].GetRows() > 0
	})
	require.True(t, status.GetReport().GetConnected())
	require.Nil(t, status.GetProblem())
	for _, d := range status.GetDataTypes() {
		require.True(t, d.GetEnabled())
		require.False(t, d.GetStalled())
		require.Nil(t, d.GetProblem())
		require.WithinDuration(t, w.sim.Now(), d.GetCoveredUntil().AsTime(), 2*time.Minute, d.GetDataType())
		require.True(t, d.GetCoveredFrom().AsTime().Before(began.AddDate(0, 0, -10)), d.GetDataType())
	}
	// The newest day comes first. Several windows are read at once, so that it is so on the whole.
	mean := func(from, to time.Time) float64 {
		sum, n := 0, 0
		for place, e := range w.events(tenantID) {
			if at := e.GetOccurredAt().AsTime(); e.GetKind() == "signin" && at.After(from) && at.Before(to) {
				sum, n = sum+place, n+1
			}
		}
		require.Positive(t, n)
		return float64(sum) / float64(n)
	}
	require.Less(t, mean(began.AddDate(0, 0, -1), began), mean(began.AddDate(0, 0, -10), began.AddDate(0, 0, -9)))
}
