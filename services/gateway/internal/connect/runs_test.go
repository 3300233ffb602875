package connect_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

// commands returns what was asked of services.
func (w *world) commands() []*statev1.Command {
	w.t.Helper()
	stream, err := w.bus.Connect(w.t, bus.UserOperator).JetStream().Stream(w.t.Context(), statev1.CommandStream)
	require.NoError(w.t, err)
	var all []*statev1.Command
	for n := uint64(1); n <= stream.CachedInfo().State.LastSeq; n++ {
		m, err := stream.GetMsg(w.t.Context(), n)
		require.NoError(w.t, err)
		command := &statev1.Command{}
		require.NoError(w.t, proto.Unmarshal(m.Data, command))
		all = append(all, command)
	}
	return all
}

func TestCollectNowAsksOnce(t *testing.T) {
	w := newWorld(t)
	w.create("tenant", entraOf(tenantA), secretOf(secret))
	w.create("hub", hubOf(tenantA), stringOf(secret))
	since := timestamppb.New(time.Now().Add(-time.Hour))
	req := &controlv1.CollectNowRequest{Name: "integrations/tenant", RequestId: "mine", DataTypes: []string{"audit"}, Since: since}
	for range 3 {
		answer, err := w.client.CollectNow(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, "integrations/tenant/runs/mine", answer.GetRun().GetName())
		require.Equal(t, controlv1.RunState_RUN_STATE_PENDING, answer.GetRun().GetState())
	}
	want := []*statev1.Command{{
		Id: "mine", Target: "collector", Verb: "collect", TenantId: tenantA, Integration: "tenant",
		DataTypes: []string{"audit"}, Since: since,
	}}
	require.Empty(t, cmp.Diff(want, w.commands(), protocmp.Transform(), protocmp.IgnoreFields(&statev1.Command{}, "create_time")))

	answer, err := w.client.CollectNow(t.Context(), &controlv1.CollectNowRequest{Name: "integrations/tenant"})
	require.NoError(t, err)
	require.Regexp(t, "^integrations/tenant/runs/[a-z0-9]{26}$", answer.GetRun().GetName())
	require.Len(t, w.commands(), 3)
	_, err = w.client.CollectNow(t.Context(), &controlv1.CollectNowRequest{Name: "integrations/hub"})
	requireFault(t, err, codes.FailedPrecondition, "NOTHING_TO_COLLECT")
}

// Who reads what is named is asked for it, and both for all.
func TestCollectNowAsksWhoReadsIt(t *testing.T) {
	w := newWorld(t)
	w.create("tenant", entraOf(tenantA), secretOf(secret))
	require.NoError(t, w.runs().SetStatus(t.Context(), "tenant", &controlv1.IntegrationStatus{
		DataTypes: []*controlv1.DataTypeStatus{{DataType: "role_assignments"}},
	}))
	since := timestamppb.New(time.Now().Add(-time.Hour))
	long := strings.Repeat("x", 64)
	logs := func(id string, types ...string) *statev1.Command {
		return &statev1.Command{Id: id, Target: "collector", Verb: "collect", DataTypes: types, Since: since}
	}
	directory := func(id string, types ...string) *statev1.Command {
		return &statev1.Command{Id: id, Target: "directorysync", Verb: "sync", DataTypes: types}
	}
	var want []*statev1.Command
	for _, tc := range []struct {
		id    string
		types []string
		want  []*statev1.Command
	}{
		{"all", nil, []*statev1.Command{logs("all"), directory("directorysync-all")}},
		{"logs", []string{"audit"}, []*statev1.Command{logs("logs", "audit")}},
		{"directory", []string{"users", "role_assignments"}, []*statev1.Command{directory("directory", "users", "role_assignments")}},
		{
			"both",
			[]string{"users", "audit", "role_assignments"},
			[]*statev1.Command{logs("both", "audit"), directory("directorysync-both", "users", "role_assignments")},
		},
		{long, nil, []*statev1.Command{logs(long), directory("directorysync-7ce100971f64e7001e8fe5a51973ecdf")}},
	} {
		for range 2 { // the same request asks once
			answer, err := w.client.CollectNow(t.Context(), &controlv1.CollectNowRequest{
				Name: "integrations/tenant", RequestId: tc.id, DataTypes: tc.types, Since: since,
			})
			require.NoError(t, err)
			require.Equal(t, runs.Name("tenant", tc.id), answer.GetRun().GetName())
		}
		for _, command := range tc.want {
			command.TenantId, command.Integration = tenantA, "tenant"
		}
		want = append(want, tc.want...)
	}
	require.Empty(t, cmp.Diff(want, w.commands(), protocmp.Transform(), protocmp.IgnoreFields(&statev1.Command{}, "create_time")))
	_, err := w.client.CollectNow(t.Context(), &controlv1.CollectNowRequest{Name: "integrations/tenant", DataTypes: []string{"role_assignments", "weather"}})
	requireFault(t, err, codes.InvalidArgument, "REQUEST_INVALID")
}

func runOf(id string, state controlv1.RunState, rows uint64) *controlv1.Run {
	return &controlv1.Run{
		Name: runs.Name("tenant", id), State: state, CreateTime: timestamppb.New(time.Unix(1_800_000_000, 0)),
		DataTypes: []*controlv1.DataTypeProgress{{DataType: "audit", Rows: rows}},
	}
}

func TestRunsComeInPagesNewestFirst(t *testing.T) {
	w := newWorld(t)
	w.create("tenant", entraOf(tenantA), secretOf(secret))
	store := w.runs()
	for n := range 5 {
		run := runOf(fmt.Sprint(n), controlv1.RunState_RUN_STATE_SUCCEEDED, 1)
		run.CreateTime = timestamppb.New(time.Unix(int64(1_800_000_000+n), 0))
		_, err := store.Create(t.Context(), run)
		require.NoError(t, err)
	}
	var all []string
	req := &controlv1.ListRunsRequest{Parent: "integrations/tenant", PageSize: 2}
	for {
		page, err := w.only.ListRuns(t.Context(), req)
		require.NoError(t, err)
		for _, run := range page.GetRuns() {
			all = append(all, run.GetName()[len("integrations/tenant/runs/"):])
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	require.Equal(t, []string{"4", "3", "2", "1", "0"}, all)
	req.PageToken = "gone"
	_, err := w.client.ListRuns(t.Context(), req)
	requireFault(t, err, codes.InvalidArgument, "REQUEST_INVALID")
}

func TestWatchRunFollowsARunToItsEnd(t *testing.T) {
	w := newWorld(t)
	w.create("tenant", entraOf(tenantA), secretOf(secret))
	store := w.runs()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// It may be watched before the collector has made it.
	stream, err := w.only.WatchRun(ctx, &controlv1.WatchRunRequest{Name: runs.Name("tenant", "r")})
	require.NoError(t, err)
	revision, err := store.Create(ctx, runOf("r", controlv1.RunState_RUN_STATE_PENDING, 0))
	require.NoError(t, err)
	for n, state := range []controlv1.RunState{
		controlv1.RunState_RUN_STATE_RUNNING, controlv1.RunState_RUN_STATE_RUNNING, controlv1.RunState_RUN_STATE_SUCCEEDED,
	} {
		got, err := stream.Recv()
		require.NoError(t, err)
		require.EqualValues(t, n, got.GetRun().GetDataTypes()[0].GetRows())
		revision, err = store.Update(ctx, runOf("r", state, uint64(n+1)), revision)
		require.NoError(t, err)
	}
	got, err := stream.Recv()
	require.NoError(t, err)
	require.Equal(t, controlv1.RunState_RUN_STATE_SUCCEEDED, got.GetRun().GetState())
	_, err = stream.Recv()
	require.ErrorIs(t, err, io.EOF)

	// A run that has ended is sent once.
	stream, err = w.client.WatchRun(ctx, &controlv1.WatchRunRequest{Name: runs.Name("tenant", "r")})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	_, err = stream.Recv()
	require.ErrorIs(t, err, io.EOF)
}

func TestWatchRunOfNone(t *testing.T) {
	w := newWorld(t)
	w.create("tenant", entraOf(tenantA), secretOf(secret))
	stream, err := w.client.WatchRun(t.Context(), &controlv1.WatchRunRequest{Name: runs.Name("tenant", "none")})
	require.NoError(t, err)
	_, err = stream.Recv()
	requireFault(t, err, codes.NotFound, "RUN_NOT_FOUND")
}

func TestWatchRunEndsWithTheGateway(t *testing.T) {
	w := newWorld(t)
	w.create("tenant", entraOf(tenantA), secretOf(secret))
	_, err := w.runs().Create(t.Context(), runOf("r", controlv1.RunState_RUN_STATE_RUNNING, 0))
	require.NoError(t, err)
	stream, err := w.client.WatchRun(t.Context(), &controlv1.WatchRunRequest{Name: runs.Name("tenant", "r")})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	w.stop()
	_, err = stream.Recv()
	requireFault(t, err, codes.Unavailable, "SERVER_STOPPING")
}

func TestWithoutNATSItSaysSo(t *testing.T) {
	w := newWorld(t)
	w.create("tenant", entraOf(tenantA), secretOf(secret))
	w.bus.Server.Shutdown()
	_, err := w.client.GetIntegration(t.Context(), &controlv1.GetIntegrationRequest{Name: "integrations/tenant"})
	requireFault(t, err, codes.Unavailable, "BUS_UNAVAILABLE")
}
