package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/entra"
)

const (
	simulated  = "simulated-3"
	newSecret  = "the-new-secret-of-the-test"
	adminToken = "simulator-admin-of-the-test"
)

// TestResetCredentials lets the secret of a collected tenant expire: the integration says so and what to do, a wrong
// secret is refused, a new one is tested and taken, and collecting goes on without a restart and without a gap.
func TestResetCredentials(t *testing.T) {
	t.Parallel()
	admin := freeAddress(t)
	ctx, p := newProduct(t, map[string]any{"simulator": true, "seed": 3, "throttle_scale": 0}, map[string]any{
		"collector": map[string]any{"tail_interval": "1s", "tail_overlap": "1m", "overlap_interval": "5s", "overlap": "1m"},
		"simulator": map[string]any{
			"admin_token": adminToken,
			"listen":      map[string]any{"amqp": freeAddress(t), "admin": admin, "entra": freeAddress(t)},
			"entra": map[string]any{
				"token_lifetime": "10s", // an expired secret shows when a token is asked for
				"quick":          map[string]any{"tenant": map[string]any{"users": 100, "days": 2, "scale": 60, "incidents": false}},
			},
		},
	})
	p.tenant = simulatedTenant{Admin: admin, AdminToken: adminToken}
	p.start(ctx, t)
	require.NoError(t, eventually(ctx, "the tenant to be collected", func() (bool, error) {
		shown, err := p.show(ctx)
		return err == nil && shown.collected(), err
	}))
	shown, err := p.show(ctx)
	require.NoError(t, err)
	app, tenantID := shown.Entra.ClientID, shown.Entra.TenantID

	require.NoError(t, p.tenant.call(ctx, http.MethodPost, "/v1/entra/apps/"+app+"/secrets/all/expire", nil, nil))
	require.NoError(t, eventually(ctx, "the integration to say that its secret has expired", func() (bool, error) {
		shown, err = p.show(ctx)
		return err == nil && shown.Status.Problem.Cause == "secret_expired", err
	}))
	require.Equal(t, "AADSTS7000222", shown.Status.Problem.Code)
	require.NotEmpty(t, shown.Status.Problem.Remedy)

	out, err := p.reset(ctx, t, "not-the-secret")
	require.Error(t, err, "a secret that does not sign in is not taken")
	require.Contains(t, out, "secret")
	require.NotContains(t, out, "not-the-secret")

	require.NoError(t, p.tenant.call(ctx, http.MethodPost, "/v1/entra/apps/"+app+"/secrets", map[string]any{"value": newSecret}, nil))
	out, err = p.reset(ctx, t, newSecret)
	require.NoError(t, err, out)
	require.NotContains(t, out, newSecret)
	reset := time.Now()
	require.NoError(t, eventually(ctx, "collecting to go on", func() (bool, error) {
		shown, err = p.show(ctx)
		return err == nil && shown.Status.Problem.Cause == "" && shown.collectedSince(reset), err
	}))

	// What happened in between is there too. Counted up to the reset, all of it was seen by now.
	require.NoError(t, eventually(ctx, "no record to be missing", func() (bool, error) {
		return p.holdsTruth(ctx, t, tenantID, reset)
	}))
	logged, err := p.up.logged(newSecret)
	require.NoError(t, err)
	require.False(t, logged, "the secret is in the log")
	p.terminate(t)
}

// integrationShown is what `entractl integration show -o json` prints, as far as it matters here.
type integrationShown struct {
	Entra struct {
		TenantID string `json:"tenant_id"`
		ClientID string `json:"client_id"`
	} `json:"entra"`
	Status struct {
		Problem struct {
			Cause, Code, Remedy string
		} `json:"problem"`
		DataTypes []struct {
			DataType        entra.DataType `json:"data_type"`
			LastSuccessTime time.Time      `json:"last_success_time"`
			CoveredFrom     time.Time      `json:"covered_from"`
		} `json:"data_types"`
	} `json:"status"`
}

// collected reports whether every log was read once.
func (s integrationShown) collected() bool { return s.collectedSince(time.Time{}) }

func (s integrationShown) collectedSince(since time.Time) bool {
	logs := 0
	for _, t := range s.Status.DataTypes {
		if info, known := entra.LookupDataType(t.DataType); !known || !info.Log {
			continue
		}
		logs++
		if t.LastSuccessTime.IsZero() || t.LastSuccessTime.Before(since) || t.CoveredFrom.IsZero() {
			return false
		}
	}
	return logs > 0
}

func (p *product) show(ctx context.Context) (integrationShown, error) {
	var shown integrationShown
	out, err := p.entractl(ctx, "integration", "show", simulated, "-o", "json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &shown)
	}
	return shown, err
}

// reset gives the integration another secret, as a person would.
func (p *product) reset(ctx context.Context, t *testing.T, secret string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	return p.entractl(ctx, "integration", "reset-credentials", simulated, "--secret-file", file)
}

// entractl runs the command line client and returns what it prints.
func (p *product) entractl(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"--server", p.gateway, "--token-file", filepath.Join(p.credentials, "gateway.token")}, args...)
	command := exec.CommandContext(ctx, filepath.Join(programs, "entractl"), args...) //nolint:gosec // ours
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("entractl %s: %w: %s", args[4], err, out.String())
	}
	return out.String(), nil
}

// holdsTruth reports whether the store has as many records of the tenant before a time as the simulator says there are.
func (p *product) holdsTruth(ctx context.Context, t *testing.T, tenantID string, to time.Time) (bool, error) {
	t.Helper()
	to = to.UTC().Truncate(time.Second) // the store cuts times to milliseconds
	var truth map[string]uint64
	last := to.Add(-100 * time.Nanosecond).Format("2006-01-02T15:04:05.0000000Z")
	if err := p.tenant.call(ctx, http.MethodGet, "/v1/entra/tenants/"+tenantID+"/truth?to="+last+"&at="+last, nil, &truth); err != nil {
		return false, err
	}
	want := truth["signin.interactive"] + truth["signin.non_interactive"] + truth["signin.service_principal"] + truth["signin.managed_identity"]
	got := count(ctx, t, p.queryable(t), fmt.Sprintf(
		"SELECT count() FROM sign_ins FINAL WHERE tenant_id = '%s' AND occurred_at < toDateTime64('%s', 3, 'UTC')",
		tenantID, to.Format("2006-01-02 15:04:05.000")))
	if want == 0 || got != want {
		return false, fmt.Errorf("%d sign-ins are stored, %d happened", got, want)
	}
	return true, nil
}
