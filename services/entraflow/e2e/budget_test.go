package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/budget"
)

type budgetSize struct {
	users, days int
	scale       float64 // of Microsoft's limits
	lasts       time.Duration
}

const (
	// leastUse is the share of the limit that a backfill must use, and mostRefused the share of its requests that
	// may be refused.
	leastUse, mostRefused = 0.9, 0.01
	// interactiveWithin is how soon a request that a person waits for must be answered during a backfill.
	interactiveWithin = 5 * time.Second
	// reportsLimit is Microsoft's for sign-ins and audits: requests a second of an application in a tenant.
	reportsLimit = 0.5
)

// bucketCount is what the simulator counted of one limit.
type bucketCount struct {
	Bucket    string    `json:"bucket"`
	Tenant    string    `json:"tenant"`
	App       string    `json:"app"`
	Requests  uint64    `json:"requests"`
	Throttled uint64    `json:"throttled"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}

// TestBackfillKeepsToTheLimits lets collectors backfill under Microsoft's limits: they use nearly all of it, are hardly
// ever refused, and a request of another service that a person waits for is answered soon.
func TestBackfillKeepsToTheLimits(t *testing.T) {
	for _, collectors := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d collectors", collectors), func(t *testing.T) {
			t.Parallel()
			size := sizes.budget
			ctx, w := newWorld(t, options{collectors: collectors, tenant: &tenantOptions{
				users: size.users, days: size.days, seed: 5, speed: 1, throttled: true, scale: size.scale,
			}})
			require.NoError(t, w.startServices(ctx))
			w.integrate(ctx, t)
			require.NoError(t, eventually(ctx, "a collector to read", func() (bool, error) {
				n := 0.0
				for _, p := range w.collectors {
					windows, err := p.metric(ctx, "entraflow_collector_windows_total")
					if err != nil {
						return false, err
					}
					n += windows
				}
				return n >= 1, nil
			}))
			require.NoError(t, w.tenant.call(ctx, http.MethodDelete, "/v1/entra/counters", nil, nil))
			slowest, asked := w.interactive(ctx, t, size)
			c := w.reports(ctx, t)
			use := float64(c.Requests-c.Throttled) / (reportsLimit * size.scale * c.Last.Sub(c.First).Seconds())
			refused := float64(c.Throttled) / float64(c.Requests)
			t.Logf("%d requests in %.0f s: %.1f %% of the limit used, %.2f %% refused; %d interactive requests, the slowest took %.1f s",
				c.Requests, c.Last.Sub(c.First).Seconds(), 100*use, 100*refused, asked, slowest.Seconds())
			require.GreaterOrEqual(t, use, leastUse)
			require.Less(t, refused, mostRefused)
			require.Less(t, slowest, interactiveWithin)
		})
	}
}

// interactive asks Graph as another service would, again and again, and returns how long the slowest answer took.
func (w *world) interactive(ctx context.Context, t *testing.T, size budgetSize) (slowest time.Duration, asked int) {
	t.Helper()
	kv, err := w.operator.Bucket(ctx, bus.BucketBudgets)
	require.NoError(t, err)
	limits, err := budget.New(budget.Settings{KV: budget.JetStream(kv), Replica: "remediation", Scale: size.scale})
	require.NoError(t, err)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- limits.Run(running) }()
	defer func() {
		stop()
		require.NoError(t, <-ended)
	}()
	endpoints, err := entra.NewEndpoints(entra.CloudGlobal, entra.Overrides{
		AuthorityURL: w.tenant.Login, GraphURL: w.tenant.Graph, CAFile: w.tenant.CAFile,
	})
	require.NoError(t, err)
	secret, err := config.ReadSecret(w.tenant.Tenant.SecretFile)
	require.NoError(t, err)
	transport := endpoints.Transport()
	defer transport.CloseIdleConnections()
	credential, err := entra.NewCredential(entra.CredentialSpec{
		TenantID: w.tenant.Tenant.TenantID, ClientID: w.tenant.Tenant.ClientID, Kind: entra.KindSecret, Secret: secret,
	}, endpoints, transport)
	require.NoError(t, err)
	client, err := entra.NewClient(entra.ClientSettings{
		Credential: credential, Endpoints: endpoints, Transport: transport, Budget: limits,
		TenantID: w.tenant.Tenant.TenantID, AppID: w.tenant.Tenant.ClientID,
	})
	require.NoError(t, err)
	audit, _ := entra.LookupDataType(entra.Audit)
	for began := time.Now(); time.Since(began) < size.lasts; asked++ {
		request := audit.Sample(time.Now())
		request.Class = budget.Interactive
		sent := time.Now()
		_, err := client.Get(ctx, request)
		require.NoError(t, err)
		slowest = max(slowest, time.Since(sent))
		require.NoError(t, pause(ctx, size.lasts/6))
	}
	return slowest, asked
}

// reports is what the simulator counted of the limit on sign-ins and audits of the application in its tenant.
func (w *world) reports(ctx context.Context, t *testing.T) bucketCount {
	t.Helper()
	var answer []bucketCount
	require.NoError(t, w.tenant.call(ctx, http.MethodGet, "/v1/entra/counters", nil, &answer))
	for _, c := range answer {
		if strings.HasPrefix(c.Bucket, "reports") && c.Tenant == w.tenant.Tenant.TenantID && c.App == w.tenant.Tenant.ClientID {
			return c
		}
	}
	t.Fatalf("no such limit among %v", answer)
	return bucketCount{}
}
