package directorysync_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/directorysync"
	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// TestDirectoryIsTheTruth makes random changes in several rounds, with faults of all sorts, expired tokens and restarts
// between them: at the end the stream holds what the tenant has, object by object.
func TestDirectoryIsTheTruth(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, func(c *entra.Config) { c.Delta.PageSize, c.Delta.SliceSize = 37, 11 })
			id := w.addTenant(tenantConfig(seed))
			if seed%2 == 1 {
				w.grant(id, "Device.Read.All") // else devices are read whole each time
			}
			w.connect("contoso", id)
			r := w.start(w.config())
			w.agree(id, time.Minute)

			for _, f := range []entra.Fault{
				{Kind: "throttle", Share: 0.02, RetryAfterSeconds: 1},
				{Kind: "unavailable", Share: 0.02},
				{Kind: "empty_page", Share: 0.1},
				{Kind: "page_token", Share: 0.02},
				{Kind: "delta_repeat", Share: 0.2},
				{Kind: "delta_replay", Share: 0.2},
				{Kind: "cut", Share: 0.01},
			} {
				f.Seed = seed
				_, err := w.sim.InjectFault(f)
				require.NoError(t, err)
			}
			const rounds, changes = 5, 1000
			for round := range rounds {
				d, err := w.sim.Directory(id)
				require.NoError(t, err)
				d.Change(seed*rounds+uint64(round), changes, time.Now()) //nolint:gosec // small
				if round%2 == 1 {
					for _, c := range []tenant.Collection{tenant.Users, tenant.Groups, tenant.Devices} {
						d.ExpireTokens(c, round%4 == 1)
					}
				}
				pause(time.Duration(100+250*round) * time.Millisecond)
				r.wait() // in the midst of it
				r = w.start(w.config())
			}
			require.NoError(t, w.sim.ClearFault(""))
			w.agree(id, 2*time.Minute)
		})
	}
}

// TestOneDataTypeDoesNotStopTheOthers: what is refused says so, with what to do, and all else is read.
func TestOneDataTypeDoesNotStopTheOthers(t *testing.T) {
	w := newWorld(t)
	id := w.addTenant(tenantConfig(4))
	_, err := w.sim.InjectFault(entra.Fault{Kind: "forbidden", Path: "/oauth2PermissionGrants"})
	require.NoError(t, err)
	w.connect("contoso", id)
	w.start(w.config())
	w.agree(id, time.Minute)

	run := w.awaitRun("contoso", controlv1.RunTrigger_RUN_TRIGGER_INITIAL)
	require.Equal(t, controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED, run.GetState())
	failed := map[string]string{}
	for _, p := range run.GetDataTypes() {
		if p.GetProblem() != nil {
			failed[p.GetDataType()] = p.GetProblem().GetCause()
		}
	}
	require.Equal(t, map[string]string{
		"oauth2_grants":    "permission_missing",
		"role_eligibility": "permission_missing", "role_schedules": "permission_missing", // not of the guide's set
	}, failed)
	status := w.awaitStatus("contoso", "oauth2_grants", func(s *controlv1.DataTypeStatus) bool { return s.GetProblem() != nil })
	require.Equal(t, "permission_missing", status.GetProblem().GetCause())
	require.NotEmpty(t, status.GetProblem().GetRemedy())
	require.False(t, status.GetEnabled())
	users := w.awaitStatus("contoso", "users", func(s *controlv1.DataTypeStatus) bool { return s.GetLastSuccessTime() != nil })
	require.Nil(t, users.GetProblem())
	require.EqualValues(t, 200, users.GetRows())
	devices := w.awaitStatus("contoso", "devices", func(s *controlv1.DataTypeStatus) bool { return s.GetLastSuccessTime() != nil })
	require.Equal(t, "whole_reading", devices.GetProblem().GetCause(), "Device.Read.All is not of the guide's set")
}

// TestAReplicaTakesOver stops the one that has the tenant.
func TestAReplicaTakesOver(t *testing.T) {
	w := newWorld(t)
	id := w.addTenant(tenantConfig(5))
	w.connect("contoso", id)
	first := w.start(w.config())
	w.agree(id, time.Minute)
	w.awaitRun("contoso", controlv1.RunTrigger_RUN_TRIGGER_INITIAL)
	second := w.start(w.config(func(c *directorysync.Config) { c.Instance = "two" }))
	assigned := w.awaitStatus("contoso", "app_role_assignments", func(s *controlv1.DataTypeStatus) bool { return s.GetLastSuccessTime() != nil })
	first.wait()
	d, err := w.sim.Directory(id)
	require.NoError(t, err)
	d.Change(5, 500, time.Now())
	w.agree(id, time.Minute)
	second.wait()
	all, err := w.runs.List(t.Context(), "contoso")
	require.NoError(t, err)
	require.Len(t, all, 1, "what may not be read makes no new run of everything")
	status := w.awaitStatus("contoso", "app_role_assignments", func(s *controlv1.DataTypeStatus) bool { return s.GetCoveredUntil() != nil })
	require.Equal(t, assigned.GetRows(), status.GetRows(), "what is read once a day is not read again")
}

// grant lets the application do one thing more.
func (w *world) grant(tenantID, permission string) {
	w.tb.Helper()
	consents := append(entra.ReadPermissions(), permission)
	require.NoError(w.tb, w.sim.SetGrant(clientID, entra.GrantConfig{Tenant: tenantID, Consents: consents}))
}

// awaitRun waits until a run of that trigger has ended.
func (w *world) awaitRun(integration string, trigger controlv1.RunTrigger) *controlv1.Run {
	w.tb.Helper()
	var ended *controlv1.Run
	require.Eventually(w.tb, func() bool {
		all, err := w.runs.List(w.tb.Context(), integration)
		require.NoError(w.tb, err)
		for _, run := range all {
			if run.GetTrigger() == trigger && runs.Ended(run.GetState()) {
				ended = run
			}
		}
		return ended != nil
	}, time.Minute, 50*time.Millisecond)
	return ended
}

// awaitStatus waits until a data type stands as wanted.
func (w *world) awaitStatus(integration, dataType string, wanted func(*controlv1.DataTypeStatus) bool) *controlv1.DataTypeStatus {
	w.tb.Helper()
	var found *controlv1.DataTypeStatus
	require.Eventually(w.tb, func() bool {
		status, err := w.runs.Status(w.tb.Context(), integration)
		require.NoError(w.tb, err)
		for _, s := range status.GetDataTypes() {
			if s.GetDataType() == dataType && wanted(s) {
				found = s
			}
		}
		return found != nil
	}, time.Minute, 50*time.Millisecond, dataType)
	return found
}

// TestMailboxesAreReadIfAskedFor: they take a request for each user.
func TestMailboxesAreReadIfAskedFor(t *testing.T) {
	w := newWorld(t)
	id := w.addTenant(tenantConfig(8))
	w.connect("contoso", id)
	w.start(w.config(func(c *directorysync.Config) { c.Tenant.OptIn = []string{"mailboxes", "mailbox_rules"} }))
	run := w.awaitRun("contoso", controlv1.RunTrigger_RUN_TRIGGER_INITIAL)
	states := map[string]controlv1.RunState{}
	for _, p := range run.GetDataTypes() {
		states[p.GetDataType()] = p.GetState()
	}
	require.Equal(t, controlv1.RunState_RUN_STATE_SUCCEEDED, states["mailboxes"])
	require.Equal(t, controlv1.RunState_RUN_STATE_SUCCEEDED, states["mailbox_rules"])
	stored := w.read(id)
	purposes, forwarding := map[string]int{}, 0
	for _, o := range stored["mailbox"] {
		require.Contains(t, stored["user"], o.GetId())
		purposes[o.GetMailbox().GetPurpose()]++
	}
	for _, o := range stored["mailbox_rules"] {
		forwarding += len(o.GetMailbox().GetForwarding())
	}
	require.Positive(t, purposes["user"])
	require.Positive(t, purposes["shared"])
	require.Positive(t, forwarding)
	require.Less(t, len(stored["mailbox"]), len(stored["user"]), "not everybody has a mailbox")
	require.Len(t, stored["mailbox_usage"], len(stored["mailbox"]))
}
