package entraflow_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/entraflow/entraflow/pkg/app/apptest"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/directorysync"
	"github.com/entraflow/entraflow/services/entraflow"
	"github.com/entraflow/entraflow/services/entraflow/internal/directory"
	"github.com/entraflow/entraflow/services/simulator/entra"
)

const (
	testClientID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	testSecret   = "s3cret-value-of-the-application"
	testCloud    = "lab"
)

// TestTheStoreIsTheTruthAfterChanges makes 5,000 random changes of a tenant in several rounds, with expired tokens and
// faults between them: at the end ClickHouse holds the tenant's directory, object by object.
func TestTheStoreIsTheTruthAfterChanges(t *testing.T) {
	for _, seed := range []uint64{11, 12} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			sim, cloud := lab(t)
			var c entra.TenantConfig
			c.SetDefaults()
			c.Seed, c.Users, c.Days = seed, 300, 1
			tenantID, err := sim.AddTenant(c)
			require.NoError(t, err)
			require.NoError(t, sim.SetGrant(testClientID, entra.GrantConfig{Tenant: tenantID, Consents: entra.ReadPermissions()}))
			product := startProduct(t, cloud)
			product.connect(t, tenantID)
			conn := product.store(t)
			agree(t, sim, tenantID, conn)

			for _, f := range []entra.Fault{
				{Kind: "throttle", Share: 0.02, RetryAfterSeconds: 1},
				{Kind: "page_token", Share: 0.02},
				{Kind: "delta_repeat", Share: 0.2},
				{Kind: "delta_replay", Share: 0.2},
			} {
				f.Seed = seed
				_, err := sim.InjectFault(f)
				require.NoError(t, err)
			}
			const rounds, changes = 5, 1000
			for round := range rounds {
				d, err := sim.Directory(tenantID)
				require.NoError(t, err)
				d.Change(seed*rounds+uint64(round), changes, time.Now()) //nolint:gosec // small
				if round%2 == 1 {
					d.ExpireTokens("", round%4 == 1)
				}
				<-time.After(500 * time.Millisecond)
			}
			require.NoError(t, sim.ClearFault(""))
			agree(t, sim, tenantID, conn)
		})
	}
}

// lab is Microsoft's side in this process, and the cloud that it is.
func lab(t *testing.T) (*entra.Server, directorysync.CloudConfig) {
	t.Helper()
	cfg := entra.DefaultConfig()
	cfg.Throttle.Mode = "off"
	cfg.Apps = []entra.AppConfig{{
		ClientID: testClientID, Name: "entraflow", Secrets: []entra.SecretConfig{{Value: config.NewSecret(testSecret)}},
	}}
	sim, err := entra.New(cfg, entra.Settings{Clock: clock.Real()})
	require.NoError(t, err)
	server := httptest.NewTLSServer(sim)
	t.Cleanup(server.Close)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(caFile, certificate, 0o600))
	return sim, directorysync.CloudConfig{AuthorityURL: server.URL, GraphURL: server.URL, CAFile: caFile}
}

// running is the whole product but the collector.
type running struct {
	cfg entraflow.Config
	at  entraflow.Addresses
}

func startProduct(t *testing.T, cloud directorysync.CloudConfig) running {
	t.Helper()
	cfg := entraflow.DefaultConfig()
	cfg.DataDir, cfg.Elsewhere = t.TempDir(), []string{"collector"}
	cfg.NATS.Listen, cfg.ClickHouse.Listen, cfg.Gateway.GRPC.Address = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Gateway.HTTP.Address = ""
	cfg.DirectorySync.Clouds = map[string]directorysync.CloudConfig{testCloud: cloud}
	cfg.DirectorySync.BudgetScale = 0
	cfg.DirectorySync.Tenant.DeltaInterval, cfg.DirectorySync.Tenant.WalkInterval = 200*time.Millisecond, time.Second
	product, err := entraflow.New(cfg, entraflow.Settings{Settings: apptest.Settings(t), Stdout: &bytes.Buffer{}})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context())) // it ends before the simulator does
	ended := make(chan error, 1)
	go func() { ended <- product.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	select {
	case <-product.Ready():
	case err := <-ended:
		require.NoError(t, err)
		require.FailNow(t, "the product ended")
	}
	return running{cfg: cfg, at: product.Addresses()}
}

func (r running) secret(t *testing.T, name string) string {
	t.Helper()
	secret, err := config.ReadSecret(filepath.Join(r.cfg.DataDir, "credentials", name))
	require.NoError(t, err)
	return secret.Reveal()
}

// connect adds the tenant by the API, as a user does.
func (r running) connect(t *testing.T, tenantID string) {
	t.Helper()
	conn, err := grpc.NewClient(r.at.Gateway, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+r.secret(t, "gateway.token"))
	_, err = controlv1.NewIntegrationServiceClient(conn).CreateIntegration(ctx, &controlv1.CreateIntegrationRequest{
		IntegrationId: "lab",
		Integration: &controlv1.Integration{Connection: &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{
			TenantId: tenantID, ClientId: testClientID, Cloud: testCloud,
		}}},
		Credential: &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: testSecret}},
	})
	require.NoError(t, err)
}

// store is a connection that may only read.
func (r running) store(t *testing.T) driver.Conn {
	t.Helper()
	at, err := url.Parse(r.at.ClickHouse)
	require.NoError(t, err)
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{at.Host},
		Auth: clickhouse.Auth{Database: r.cfg.Sink.ClickHouse.Database, Username: "reader", Password: r.secret(t, "clickhouse.password")},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// agree waits until the store is the simulator's truth, which stands still.
func agree(t *testing.T, sim *entra.Server, tenantID string, conn driver.Conn) {
	t.Helper()
	truth := directory.New()
	var kinds []string
	d, err := sim.Directory(tenantID)
	require.NoError(t, err)
	for _, c := range directory.Collections() {
		var lines strings.Builder
		require.NoError(t, d.WriteTruth(&lines, c.Name, time.Now()))
		require.NoError(t, truth.TakeTruth(c.Kind, strings.NewReader(lines.String())))
		kinds = append(kinds, c.Kind)
	}
	for deadline := time.Now().Add(2 * time.Minute); ; {
		stored, err := directory.ReadStore(t.Context(), conn, kinds)
		if err == nil {
			err = stored.DiffersFrom(truth)
		}
		if err == nil {
			return
		}
		require.True(t, time.Now().Before(deadline), "%v", err)
		<-time.After(time.Second)
	}
}
