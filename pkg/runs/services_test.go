package runs_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// patience is how long a test waits for what must happen, poll how often it looks.
const patience, poll = 20 * time.Second, 20 * time.Millisecond

const (
	pending   = controlv1.RunState_RUN_STATE_PENDING
	running   = controlv1.RunState_RUN_STATE_RUNNING
	succeeded = controlv1.RunState_RUN_STATE_SUCCEEDED
	failed    = controlv1.RunState_RUN_STATE_FAILED
)

func names(all []*controlv1.Run) (ids []string) {
	for _, r := range all {
		_, id, _ := runs.Parse(r.GetName())
		ids = append(ids, id)
	}
	return ids
}

// bounded is a context that ends before the test would hang.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestServicesKeepApart(t *testing.T) {
	one, two, all := openTwo(t)
	ctx := bounded(t)
	for n, id := range []string{"1", "2", "3"} {
		store := one
		if id == "2" {
			store = two
		}
		_, err := store.Create(ctx, run("a", id, int64(n), succeeded))
		require.NoError(t, err)
	}
	list := func(r interface {
		List(ctx context.Context, integration string) ([]*controlv1.Run, error)
	},
	) []string {
		found, err := r.List(ctx, "a")
		require.NoError(t, err)
		return names(found)
	}
	require.Equal(t, []string{"3", "1"}, list(one))
	require.Equal(t, []string{"2"}, list(two))
	require.Equal(t, []string{"3", "2", "1"}, list(all))
	_, _, err := two.Get(ctx, "a", "1")
	require.ErrorIs(t, err, runs.ErrNotFound)
	got, _, err := all.Get(ctx, "a", "2")
	require.NoError(t, err)
	require.Equal(t, runs.Name("a", "2"), got.GetName())
	watched := 0
	require.NoError(t, all.Watch(ctx, "a", "2", func(*controlv1.Run, uint64) bool { watched++; return false }))
	require.Equal(t, 1, watched)

	status := func(dataType string) *controlv1.IntegrationStatus {
		return &controlv1.IntegrationStatus{DataTypes: []*controlv1.DataTypeStatus{{DataType: dataType}}}
	}
	require.NoError(t, two.SetStatus(ctx, "a", status("users")))
	require.NoError(t, one.SetStatus(ctx, "a", status("audit")))
	require.NoError(t, one.SetStatus(ctx, "b", status("other")))
	found, err := all.Status(ctx, "a")
	require.NoError(t, err)
	want := &controlv1.IntegrationStatus{DataTypes: []*controlv1.DataTypeStatus{{DataType: "audit"}, {DataType: "users"}}}
	require.Empty(t, cmp.Diff(want, found, protocmp.Transform()))
	found, err = two.Status(ctx, "a")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(status("users"), found, protocmp.Transform()))

	require.NoError(t, one.Forget(ctx, "a"))
	require.Equal(t, []string{"2"}, list(all))
	found, err = all.Status(ctx, "a")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(status("users"), found, protocmp.Transform()))
}

func TestMerge(t *testing.T) {
	at := func(second int64) *timestamppb.Timestamp { return timestamppb.New(time.Unix(second, 0)) }
	broken := &controlv1.Problem{Cause: "secret_expired"}
	own := &controlv1.Problem{Cause: "permission_missing"}
	type status = controlv1.IntegrationStatus
	types := func(all ...*controlv1.DataTypeStatus) []*controlv1.DataTypeStatus { return all }
	report := func(second int64, connected bool, tested ...*controlv1.DataTypeReport) *controlv1.ConnectionReport {
		return &controlv1.ConnectionReport{Connected: connected, TestTime: at(second), DataTypes: tested}
	}
	tested := func(id string, enabled bool) *controlv1.DataTypeReport {
		return &controlv1.DataTypeReport{DataType: id, Enabled: enabled}
	}
	for name, tc := range map[string]struct {
		written []*status
		want    *status
	}{
		"nobody": {nil, nil},
		"one":    {[]*status{{Problem: broken}}, &status{Problem: broken}},
		"both fail": {
			[]*status{{Problem: broken, UpdateTime: at(2)}, {Problem: own, UpdateTime: at(1), DataTypes: types(&controlv1.DataTypeStatus{DataType: "users"})}},
			&status{Problem: broken, UpdateTime: at(2), DataTypes: types(&controlv1.DataTypeStatus{DataType: "users"})},
		},
		"one fails": {
			[]*status{
				{UpdateTime: at(1), DataTypes: types(&controlv1.DataTypeStatus{DataType: "audit"})},
				{UpdateTime: at(2), Problem: broken, DataTypes: types(
					&controlv1.DataTypeStatus{DataType: "users"}, &controlv1.DataTypeStatus{DataType: "groups", Problem: own},
				)},
			},
			&status{UpdateTime: at(2), DataTypes: types(
				&controlv1.DataTypeStatus{DataType: "audit"}, &controlv1.DataTypeStatus{DataType: "users", Problem: broken},
				&controlv1.DataTypeStatus{DataType: "groups", Problem: own},
			)},
		},
		"reports": {
			[]*status{
				{UpdateTime: at(1), Report: report(1, true, tested("users", false), tested("audit", true))},
				{UpdateTime: at(1), Report: report(2, false, tested("users", true), tested("groups", true))},
			},
			&status{UpdateTime: at(1), Report: report(2, false, tested("users", true), tested("groups", true), tested("audit", true))},
		},
		"who reads it counts": {
			[]*status{
				{UpdateTime: at(1), Report: report(2, true, tested("users", false))},
				{UpdateTime: at(1), Report: report(1, false, tested("users", true))},
			},
			&status{UpdateTime: at(1), Report: report(2, true, tested("users", true))},
		},
		"one has no report": {
			[]*status{{UpdateTime: at(1)}, {UpdateTime: at(1), Report: report(1, true)}},
			&status{UpdateTime: at(1), Report: report(1, true)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, cmp.Diff(tc.want, runs.Merge(tc.written), protocmp.Transform()))
		})
	}
}

// One of three data types succeeds, one fails, and one is not done when the session ends.
func TestAJobGoesOnInTheNextSession(t *testing.T) {
	store, _ := open(t)
	k := &runs.Keeper{Store: store, Integration: "a", Logger: slog.New(slog.DiscardHandler)}
	run, _, err := k.Unfinished(t.Context(), controlv1.RunTrigger_RUN_TRIGGER_INITIAL)
	require.NoError(t, err)
	require.Nil(t, run)
	run, revision, err := k.Create(t.Context(), controlv1.RunTrigger_RUN_TRIGGER_INITIAL, "initial")
	require.NoError(t, err)
	require.Regexp(t, "^integrations/a/runs/collector-initial-[0-9]+$", run.GetName())

	ctx, end := context.WithCancel(bounded(t))
	defer end()
	shown := errors.New("not shown")
	watching, within := make(chan struct{}), bounded(t)
	go func() {
		defer close(watching)
		shown = store.Watch(within, "a", "", func(r *controlv1.Run, _ uint64) bool {
			states := map[string]controlv1.RunState{}
			for _, d := range r.GetDataTypes() {
				states[d.GetDataType()] = d.GetState()
			}
			if states["good"] != succeeded || states["bad"] != failed {
				return true
			}
			end()
			return false
		})
	}()
	problem := &controlv1.Problem{Cause: "permission_missing"}
	k.Execute(ctx, runs.Job{Run: run, Revision: revision, DataTypes: []string{"good", "bad", "slow"}, Work: func(ctx context.Context, id string, p *runs.Progress) *controlv1.Problem {
		p.Update(id, func(d *controlv1.DataTypeProgress) { d.Rows += 7 })
		switch id {
		case "good":
			return nil
		case "slow":
			<-ctx.Done()
		}
		return problem
	}})
	<-watching
	require.NoError(t, shown)
	run, revision, err = k.Unfinished(t.Context(), controlv1.RunTrigger_RUN_TRIGGER_INITIAL)
	require.NoError(t, err)
	require.Equal(t, running, run.GetState())
	require.Equal(t, running, run.GetDataTypes()[2].GetState())

	k.Execute(t.Context(), runs.Job{Run: run, Revision: revision, DataTypes: []string{"slow"}, Work: func(_ context.Context, id string, p *runs.Progress) *controlv1.Problem {
		p.Update(id, func(d *controlv1.DataTypeProgress) { d.Rows++ })
		return nil
	}})
	_, id, _ := runs.Parse(run.GetName())
	run, _, err = store.Get(t.Context(), "a", id)
	require.NoError(t, err)
	require.Equal(t, controlv1.RunState_RUN_STATE_PARTLY_SUCCEEDED, run.GetState())
	require.EqualValues(t, 8, run.GetDataTypes()[2].GetRows())
	require.Empty(t, cmp.Diff(problem, run.GetDataTypes()[1].GetProblem(), protocmp.Transform()))
}

func TestRefusalEndsRuns(t *testing.T) {
	store, _ := open(t)
	k := &runs.Keeper{Store: store, Integration: "a", Logger: slog.New(slog.DiscardHandler)}
	asked := run("a", "asked", 1, pending)
	asked.Trigger = controlv1.RunTrigger_RUN_TRIGGER_ON_DEMAND
	asked.DataTypes = []*controlv1.DataTypeProgress{{DataType: "done", State: succeeded}, {DataType: "open", State: pending}}
	own := run("a", "own", 1, running)
	own.Trigger = controlv1.RunTrigger_RUN_TRIGGER_INITIAL
	for _, r := range []*controlv1.Run{own, asked} {
		_, err := store.Create(t.Context(), r)
		require.NoError(t, err)
	}
	problem := &controlv1.Problem{Cause: "secret_expired"}
	refuse := func(refusal runs.Refusal, until string) *controlv1.Run {
		ctx, cancel := context.WithCancel(bounded(t))
		defer cancel()
		refusing := make(chan struct{})
		go func() {
			defer close(refusing)
			k.Refuse(ctx, refusal)
		}()
		var ended *controlv1.Run
		require.NoError(t, store.Watch(bounded(t), "a", until, func(r *controlv1.Run, _ uint64) bool {
			ended = r
			return !runs.Ended(r.GetState())
		}))
		cancel()
		<-refusing
		return ended
	}
	held := func() bool { return true }
	got := refuse(runs.Refusal{State: failed, Problem: problem, AskedOnly: true, Held: held}, "asked")
	require.Equal(t, failed, got.GetState())
	require.Equal(t, []controlv1.RunState{succeeded, failed}, []controlv1.RunState{got.GetDataTypes()[0].GetState(), got.GetDataTypes()[1].GetState()})
	require.Empty(t, cmp.Diff(problem, got.GetProblem(), protocmp.Transform()))
	require.NotNil(t, got.GetEndTime())
	kept, _, err := store.Get(t.Context(), "a", "own")
	require.NoError(t, err)
	require.Equal(t, running, kept.GetState(), "nobody asked for it")
	got = refuse(runs.Refusal{State: controlv1.RunState_RUN_STATE_CANCELLED, Problem: problem, Held: held}, "own")
	require.Equal(t, controlv1.RunState_RUN_STATE_CANCELLED, got.GetState())
}
