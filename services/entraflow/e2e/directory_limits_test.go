package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// withoutPeople are the data types that have an object for each user or more.
func withoutPeople() []string {
	return []string{
		string(entra.Users), string(entra.Devices), "user_activity", string(entra.AuthMethodsRegistration), string(entra.IntuneDevices),
	}
}

// messageLimit is the most that a message of NATS may have.
const messageLimit = 1 << 20

// TestDirectoryHugeGroup reads a group of very many members: all are there, and neither messages nor memory grow with it.
func TestDirectoryHugeGroup(t *testing.T) {
	t.Parallel()
	size := sizes.directory
	ctx, w, _ := newDirectoryWorld(t, 1, 0, &tenantOptions{
		users: size.huge, disabled: withoutPeople(),
		directory: map[string]any{"groups": 12, "huge_group_members": size.huge},
	})
	require.NoError(t, w.startServices(ctx))
	began := time.Now()
	w.integrate(ctx, t)
	a := w.tellAgreed(ctx, t, 0, "group")
	require.Less(t, a.largest, messageLimit)
	require.GreaterOrEqual(t, a.links, size.huge)
	var largest uint64
	require.NoError(t, w.queryable(t).QueryRow(ctx, "SELECT count() AS n FROM memberships GROUP BY group_id ORDER BY n DESC LIMIT 1").Scan(&largest))
	require.GreaterOrEqual(t, largest, uint64(size.huge)) //nolint:gosec // positive
	t.Logf("the largest group has %d members, all stored after %.1f s", largest, time.Since(began).Seconds())
	w.requireSmall(t, size.maxRSS)
}

// TestDirectoryThrottled answers every 50th request with a 429 that does not say how long to wait: nothing is missing.
func TestDirectoryThrottled(t *testing.T) {
	t.Parallel()
	size := sizes.directory
	ctx, w, c := newDirectoryWorld(t, 1, 0, &tenantOptions{
		users: size.users, entra: map[string]any{"delta": map[string]any{"page_size": 20, "slice_size": 20}},
	})
	require.NoError(t, w.fail(ctx, c.seed, map[string]any{"kind": "throttle", "every": 50}))
	require.NoError(t, w.startServices(ctx))
	w.integrate(ctx, t)
	changes, err := w.tenant.change(ctx, c.seed, int(size.changes), size.changes)
	require.NoError(t, err)
	w.tellAgreed(ctx, t, changes)
	var standing []struct{ Matched, Hits int }
	require.NoError(t, w.tenant.call(ctx, http.MethodGet, "/v1/entra/faults", nil, &standing))
	require.Len(t, standing, 1)
	require.Positive(t, standing[0].Hits)
	t.Logf("%d of %d requests were refused", standing[0].Hits, standing[0].Matched)
}

// forbidden are data types that are refused, by the permission that their problem must name.
var forbidden = map[string]struct{ path, permission string }{
	"applications":    {"/v1.0/applications", "Application.Read.All"},
	"named_locations": {"/namedLocations", "Policy.Read.All"},
}

// TestDirectoryForbidden refuses some data types for ever: the others are complete, and the gateway says of each refused one
// which permission it needs and what to do.
func TestDirectoryForbidden(t *testing.T) {
	t.Parallel()
	size := sizes.directory
	ctx, w, c := newDirectoryWorld(t, 1, 0, &tenantOptions{users: size.users})
	for _, refused := range forbidden {
		require.NoError(t, w.fail(ctx, c.seed, map[string]any{"kind": "forbidden", "path": refused.path}))
	}
	require.NoError(t, w.startServices(ctx))
	w.integrate(ctx, t)
	client, authorized := w.startGateway(ctx, t)
	changes, err := w.tenant.change(ctx, c.seed, int(size.changes), size.changes)
	require.NoError(t, err)
	w.tellAgreed(ctx, t, changes, "user", "group", "device", "service_principal")
	var shown *controlv1.Integration
	require.NoError(t, eventually(ctx, "the gateway to say what is refused", func() (bool, error) {
		answer, err := client.GetIntegration(authorized, &controlv1.GetIntegrationRequest{Name: "integrations/" + collected})
		shown = answer.GetIntegration()
		return err == nil && problemOf(shown, "applications") != nil && problemOf(shown, "named_locations") != nil, err
	}))
	for id, refused := range forbidden {
		problem := problemOf(shown, id)
		require.Equal(t, "permission_missing", problem.GetCause(), id)
		require.Contains(t, problem.GetDetail()+permissionOf(shown, id), refused.permission, id)
		require.NotEmpty(t, problem.GetRemedy(), id)
		t.Logf("%s: %s %s", id, problem.GetDetail(), problem.GetRemedy())
	}
	for _, id := range []string{"users", "groups", "devices", "service_principals"} {
		require.NotEqual(t, "permission_missing", problemOf(shown, id).GetCause(), id)
	}
}

// problemOf returns why a data type is not read: from how it goes, or from the test before that.
func problemOf(shown *controlv1.Integration, id string) *controlv1.Problem {
	for _, d := range shown.GetStatus().GetDataTypes() {
		if d.GetDataType() == id && d.GetProblem() != nil {
			return d.GetProblem()
		}
	}
	for _, d := range shown.GetStatus().GetReport().GetDataTypes() {
		if d.GetDataType() == id {
			return d.GetProblem()
		}
	}
	return nil
}

// permissionOf is the permission that the test of a data type says it needs; empty if it was not tested.
func permissionOf(shown *controlv1.Integration, id string) string {
	for _, d := range shown.GetStatus().GetReport().GetDataTypes() {
		if d.GetDataType() == id {
			return d.GetPermission()
		}
	}
	return ""
}

// startGateway starts the gateway until the test ends.
func (w *world) startGateway(ctx context.Context, t *testing.T) (client controlv1.IntegrationServiceClient, authorized context.Context) {
	t.Helper()
	address, token := freeAddress(t), filepath.Join(w.dir, "gateway.token")
	gateway := w.program(t, "gateway", func(err error) { w.sink.fail(fmt.Errorf("gateway: %w", err)) })
	gateway.service(t, w.dir, "gateway", map[string]any{"gateway": map[string]any{
		"nats": w.natsConfig(bus.UserGateway), "grpc": map[string]any{"address": address}, "token_file": token,
		"http":       map[string]any{"address": "127.0.0.1:0"},
		"seal":       map[string]any{"key_file": w.sealKey()},
		"clickhouse": w.storeConfig(),
	}})
	require.NoError(t, gateway.start(ctx))
	require.NoError(t, gateway.ready(ctx))
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	secret, err := config.ReadSecret(token)
	require.NoError(t, err)
	return controlv1.NewIntegrationServiceClient(conn), metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+secret.Reveal())
}
