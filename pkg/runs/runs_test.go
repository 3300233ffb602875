package runs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

func open(t *testing.T) (writer *runs.Store, reader *runs.Reader) {
	t.Helper()
	b := bustest.New(t)
	writer, err := runs.Open(t.Context(), b.Connect(t, bus.UserCollector))
	require.NoError(t, err)
	reader, err = runs.OpenReader(t.Context(), b.Connect(t, bus.UserGateway))
	require.NoError(t, err)
	return writer, reader
}

// openTwo returns what two services write, and a reader of both.
func openTwo(t *testing.T) (one, two *runs.Store, all *runs.Reader) {
	t.Helper()
	b := bustest.New(t)
	store := func(service string) *runs.Store {
		set := bus.Settings{Service: service, InProcess: b.Server}
		s, err := runs.Open(t.Context(), b.ConnectWith(t, b.Server.Config(bus.UserOperator), set))
		require.NoError(t, err)
		return s
	}
	all, err := runs.OpenReader(t.Context(), b.Connect(t, bus.UserGateway))
	require.NoError(t, err)
	return store("one"), store("two"), all
}

func run(integration, id string, second int64, state controlv1.RunState) *controlv1.Run {
	return &controlv1.Run{
		Name: runs.Name(integration, id), State: state, CreateTime: timestamppb.New(time.Unix(second, 0)),
	}
}

func TestTheLaterWriterWins(t *testing.T) {
	writer, reader := open(t)
	r := run("a", "1", 1, controlv1.RunState_RUN_STATE_PENDING)
	first, err := writer.Create(t.Context(), r)
	require.NoError(t, err)
	_, err = writer.Create(t.Context(), r)
	require.ErrorIs(t, err, runs.ErrExists)

	r.State = controlv1.RunState_RUN_STATE_RUNNING
	second, err := writer.Update(t.Context(), r, first)
	require.NoError(t, err)
	_, err = writer.Update(t.Context(), r, first)
	require.ErrorIs(t, err, runs.ErrTaken)
	got, revision, err := reader.Get(t.Context(), "a", "1")
	require.NoError(t, err)
	require.Equal(t, second, revision)
	require.Equal(t, controlv1.RunState_RUN_STATE_RUNNING, got.GetState())
	_, _, err = reader.Get(t.Context(), "a", "9")
	require.ErrorIs(t, err, runs.ErrNotFound)
}

func TestRunsAreListedNewestFirstAndPruned(t *testing.T) {
	writer, reader := open(t)
	for i := range runs.Kept + 3 {
		_, err := writer.Create(t.Context(), run("a", fmt.Sprint(i), int64(i), controlv1.RunState_RUN_STATE_SUCCEEDED))
		require.NoError(t, err)
	}
	_, err := writer.Create(t.Context(), run("a", "old-and-running", -1, controlv1.RunState_RUN_STATE_RUNNING))
	require.NoError(t, err)
	_, err = writer.Create(t.Context(), run("ab", "other", 5, controlv1.RunState_RUN_STATE_SUCCEEDED))
	require.NoError(t, err)
	require.NoError(t, writer.Prune(t.Context(), "a"))
	all, err := reader.List(t.Context(), "a")
	require.NoError(t, err)
	require.Len(t, all, runs.Kept+1)
	require.Equal(t, runs.Name("a", fmt.Sprint(runs.Kept+2)), all[0].GetName())
	require.Equal(t, runs.Name("a", "old-and-running"), all[runs.Kept].GetName())

	require.NoError(t, writer.SetStatus(t.Context(), "a", &controlv1.IntegrationStatus{}))
	require.NoError(t, writer.Forget(t.Context(), "a"))
	all, err = reader.List(t.Context(), "a")
	require.NoError(t, err)
	require.Empty(t, all)
	status, err := reader.Status(t.Context(), "a")
	require.NoError(t, err)
	require.Nil(t, status)
	all, err = reader.List(t.Context(), "ab")
	require.NoError(t, err)
	require.Len(t, all, 1, "another integration's stay")
}

func TestWatchFollowsARunToItsEnd(t *testing.T) {
	writer, reader := open(t)
	r := run("a", "1", 1, controlv1.RunState_RUN_STATE_PENDING)
	revision, err := writer.Create(t.Context(), r)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var states []controlv1.RunState
	err = reader.Watch(ctx, "a", "1", func(got *controlv1.Run, _ uint64) bool {
		states = append(states, got.GetState())
		if runs.Ended(got.GetState()) {
			return false
		}
		r.State = got.GetState() + 1
		revision, err = writer.Update(t.Context(), r, revision)
		require.NoError(t, err)
		return true
	})
	require.NoError(t, err)
	require.Equal(t, []controlv1.RunState{
		controlv1.RunState_RUN_STATE_PENDING, controlv1.RunState_RUN_STATE_RUNNING, controlv1.RunState_RUN_STATE_SUCCEEDED,
	}, states)
}

func TestTheGatewayMayNotWrite(t *testing.T) {
	store, err := runs.Open(t.Context(), bustest.New(t).Connect(t, bus.UserGateway))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = store.Create(ctx, run("a", "2", 1, controlv1.RunState_RUN_STATE_PENDING))
	require.Error(t, err)
}

func TestNames(t *testing.T) {
	integration, id, ok := runs.Parse(runs.Name("a", "b"))
	require.True(t, ok)
	require.Equal(t, []string{"a", "b"}, []string{integration, id})
	for _, bad := range []string{"", "integrations/a", "integrations/a/runs/", "integrations//runs/b", "x/a/runs/b"} {
		_, _, ok := runs.Parse(bad)
		require.False(t, ok, bad)
	}
}
