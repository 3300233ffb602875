package integrations_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/seal"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const tenant = "11111111-2222-4333-8444-555555555555"

func entra(display string) *controlv1.Integration {
	return &controlv1.Integration{
		DisplayName: display,
		Connection:  &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{TenantId: tenant, ClientId: tenant}},
	}
}

func secret(value string) *controlv1.Credential {
	return &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: value}}
}

func TestIntegrationsAreKeptSealedAndByRevision(t *testing.T) {
	b := bustest.New(t)
	sealer, err := seal.Open(t.Context(), seal.Config{KeyFile: filepath.Join(t.TempDir(), "k")})
	require.NoError(t, err)
	store, err := integrations.Open(t.Context(), b.Connect(t, bus.UserGateway), sealer)
	require.NoError(t, err)
	reader, err := integrations.Open(t.Context(), b.Connect(t, bus.UserCollector), sealer)
	require.NoError(t, err)

	const value = "s3cr3t-value"
	made, err := store.Create(t.Context(), "contoso", entra("Contoso"), secret(value))
	require.NoError(t, err)
	require.Equal(t, "integrations/contoso", made.Integration.GetName())
	require.Equal(t, tenant, made.TenantID())
	require.NotContains(t, string(made.Sealed), value)
	_, err = store.Create(t.Context(), "contoso", entra("again"), secret(value))
	require.ErrorIs(t, err, integrations.ErrExists)

	got, err := reader.Get(t.Context(), "contoso")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(made.Integration, got.Integration, protocmp.Transform()))
	credential, err := reader.Credential(t.Context(), got)
	require.NoError(t, err)
	require.Equal(t, value, credential.GetClientSecret())

	changed := proto.CloneOf(made.Integration)
	changed.Disabled = true
	next, err := store.Update(t.Context(), made, changed, nil)
	require.NoError(t, err)
	require.True(t, next.Integration.GetDisabled())
	require.NotEqual(t, made.Integration.GetEtag(), next.Integration.GetEtag())
	credential, err = reader.Credential(t.Context(), next)
	require.NoError(t, err)
	require.Equal(t, value, credential.GetClientSecret(), "kept without being given again")
	_, err = store.Update(t.Context(), made, changed, secret("other"))
	require.ErrorIs(t, err, integrations.ErrConflict)
	require.ErrorIs(t, store.Delete(t.Context(), made), integrations.ErrConflict)

	moved := next
	moved.ID = "fabrikam"
	_, err = reader.Credential(t.Context(), moved)
	require.ErrorIs(t, err, seal.ErrNotOpened, "a credential copied to another integration does not open")

	_, err = reader.Create(t.Context(), "x", entra("x"), secret("x"))
	require.Error(t, err, "the collector may not write")
	require.NoError(t, store.Delete(t.Context(), next))
	_, err = store.Get(t.Context(), "contoso")
	require.ErrorIs(t, err, integrations.ErrNotFound)
}

func TestWatchTellsWhatIsThereAndWhatChanges(t *testing.T) {
	b := bustest.New(t)
	sealer, err := seal.Open(t.Context(), seal.Config{KeyFile: filepath.Join(t.TempDir(), "k")})
	require.NoError(t, err)
	store, err := integrations.Open(t.Context(), b.Connect(t, bus.UserGateway), sealer)
	require.NoError(t, err)
	first, err := store.Create(t.Context(), "a", entra("A"), secret("x"))
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	changes := make(chan integrations.Change, 10)
	ended := make(chan error, 1)
	go func() { ended <- store.Watch(ctx, func(c integrations.Change) { changes <- c }) }()
	next := func() integrations.Change {
		select {
		case c := <-changes:
			return c
		case <-ctx.Done():
			t.Fatal("nothing came")
			return integrations.Change{}
		}
	}
	require.Equal(t, "A", next().Record.Integration.GetDisplayName())
	require.Equal(t, integrations.Change{}, next(), "all that was there")
	_, err = store.Update(t.Context(), first, entra("B"), nil)
	require.NoError(t, err)
	changed := next()
	require.Equal(t, "B", changed.Record.Integration.GetDisplayName())
	require.NoError(t, store.Delete(t.Context(), *changed.Record))
	require.Equal(t, integrations.Change{ID: "a"}, next())

	all, err := store.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
	cancel()
	require.NoError(t, <-ended)
}

func TestNames(t *testing.T) {
	id, ok := integrations.ID(integrations.Name("a-b"))
	require.True(t, ok)
	require.Equal(t, "a-b", id)
	for _, bad := range []string{"", "a", "integrations/", "integrations/a/runs/b"} {
		_, ok := integrations.ID(bad)
		require.False(t, ok, bad)
	}
}
