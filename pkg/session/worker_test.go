package session_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/runs"
	"github.com/entraflow/entraflow/pkg/seal"
	"github.com/entraflow/entraflow/pkg/session"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const patience = 20 * time.Second

// TestWhatCannotWorkSaysWhy has an integration that is disabled, then one of a cloud whose settings cannot be used, then
// one of a cloud that nobody knows: each change is seen at once, and who asks for a run learns why there is none.
func TestWhatCannotWorkSaysWhy(t *testing.T) {
	b := bustest.New(t)
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	sealer, err := seal.Open(ctx, seal.Config{KeyFile: filepath.Join(t.TempDir(), "seal.key")})
	require.NoError(t, err)
	defer sealer.Close()
	gateway, err := integrations.Open(ctx, b.Connect(t, bus.UserGateway), sealer)
	require.NoError(t, err)
	conn := b.Connect(t, bus.UserCollector)
	kept, err := integrations.Open(ctx, conn, sealer)
	require.NoError(t, err)
	shown, err := runs.Open(ctx, conn)
	require.NoError(t, err)
	connection := &controlv1.EntraConnection{
		TenantId: "11111111-2222-3333-4444-555555555555", ClientId: "11111111-2222-3333-4444-555555555556", Cloud: "broken",
	}
	i := &controlv1.Integration{Disabled: true, Connection: &controlv1.Integration_Entra{Entra: connection}}
	record, err := gateway.Create(ctx, "a", i, &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: "s3cr3t-value"}})
	require.NoError(t, err)

	worker := session.NewWorker(record, session.Settings{
		Service: "collector", Integrations: kept, Runs: shown, Logger: slog.New(slog.DiscardHandler), ProbeInterval: time.Hour,
		Endpoints: func(name string) (entra.Endpoints, error) {
			if name == "broken" {
				return entra.Endpoints{}, session.ErrCloud
			}
			return entra.Endpoints{}, errors.New("unknown")
		},
	}, func(context.Context, *session.Session) error { return errors.New("it cannot come so far") })
	held, err := lease.TryAcquire(ctx, conn, lease.Settings{Name: "tenant-a", Holder: "test"})
	require.NoError(t, err)
	defer held.Release(context.WithoutCancel(ctx))
	working, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(working, held) }()

	ask := func(id string) *controlv1.Run {
		_, err := shown.Create(ctx, &controlv1.Run{
			Name: runs.Name("a", id), Trigger: controlv1.RunTrigger_RUN_TRIGGER_ON_DEMAND,
			State: controlv1.RunState_RUN_STATE_PENDING, CreateTime: timestamppb.Now(),
		})
		require.NoError(t, err)
		var last *controlv1.Run
		require.NoError(t, shown.Watch(ctx, "a", id, func(r *controlv1.Run, _ uint64) bool {
			last = r
			return !runs.Ended(r.GetState())
		}))
		return last
	}
	change := func() {
		record, err = gateway.Update(ctx, record, record.Integration, nil)
		require.NoError(t, err)
		worker.Set(record)
	}
	run := ask("1")
	require.Equal(t, controlv1.RunState_RUN_STATE_CANCELLED, run.GetState())
	require.Equal(t, "disabled", run.GetProblem().GetCause())

	record.Integration.Disabled = false
	change()
	run = ask("2")
	require.Equal(t, controlv1.RunState_RUN_STATE_FAILED, run.GetState())
	require.Equal(t, string(entra.CauseNetworkTLS), run.GetProblem().GetCause())
	require.Contains(t, run.GetProblem().GetRemedy(), "collector")

	record.Integration.GetEntra().Cloud = "nowhere"
	change()
	run = ask("3")
	require.Equal(t, string(entra.CauseWrongCloud), run.GetProblem().GetCause())
	status, err := shown.Status(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, string(entra.CauseWrongCloud), status.GetProblem().GetCause())
	require.NotNil(t, status.GetUpdateTime())
	end()
	require.NoError(t, <-ended)
}

func TestRetriesGrowToABound(t *testing.T) {
	retry := time.Duration(0)
	for _, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		retry = session.NextRetry(retry)
		require.Equal(t, want, retry)
	}
}
