package collector_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/collector"
	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// quickTail reads the newest again and again.
func quickTail(c *collector.Config) {
	c.Tenant.TailInterval, c.Tenant.OverlapInterval = 200*time.Millisecond, time.Second
}

// shortTokens makes clients sign in again and again.
func shortTokens(c *entra.Config) { c.TokenLifetime = time.Minute }

// stored is everything that NATS keeps, streams and buckets alike, by stream.
func (w *world) stored() map[string][][]byte {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all := map[string][][]byte{}
	names := w.operator.JetStream().StreamNames(ctx)
	for name := range names.Name() {
		all[name] = w.stream(name, ">")
	}
	require.NoError(w.tb, names.Err())
	return all
}

func (w *world) requireNoSecret(r *run, secrets ...string) {
	w.tb.Helper()
	w.mu.Lock()
	for token := range w.tokens { // all begin alike; of the rest some will do
		const some = 20
		_, value, _ := strings.Cut(token, " ")
		header, rest, _ := strings.Cut(value, ".")
		_, signature, _ := strings.Cut(rest, ".")
		if secrets = append(secrets, signature); len(secrets) > some {
			secrets = append(secrets, header)
			break
		}
	}
	w.mu.Unlock()
	kept := w.stored()
	require.Contains(w.tb, kept, "KV_integrations")
	require.NotEmpty(w.tb, kept["KV_integrations"])
	require.NotEmpty(w.tb, kept["KV_checkpoints"])
	require.NotEmpty(w.tb, kept["KV_runs"])
	require.NotEmpty(w.tb, kept["EVENTS"])
	logs := r.logs.String()
	require.NotEmpty(w.tb, logs)
	for _, text := range secrets {
		require.NotEmpty(w.tb, text)
		require.NotContains(w.tb, logs, text)
		for name, messages := range kept {
			for _, m := range messages {
				require.False(w.tb, bytes.Contains(m, []byte(text)), "a secret is in %s", name)
			}
		}
	}
	require.NotContains(w.tb, logs, "Bearer ")
	require.NotContains(w.tb, logs, "eyJ")
}

func TestSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, clock.Real(), shortTokens)
	cfg := tenantConfig(8)
	cfg.Days = 3
	tenantID := w.addTenant(cfg)
	// Failures are what is logged.
	_, err := w.sim.InjectFault(entra.Fault{Kind: "unauthorized", Share: 0.05, Path: "/auditLogs/"})
	require.NoError(t, err)
	_, err = w.sim.InjectFault(entra.Fault{Kind: "unavailable", Share: 0.1})
	require.NoError(t, err)
	w.connect("contoso", tenantID)
	r := w.start(w.config(quickTail))
	w.awaitRun("contoso", initial)
	require.NoError(t, w.sim.ExpireSecret(clientID, ""))
	eventually(t, "the failure", func() bool { return w.status("contoso").GetProblem().GetCause() == "secret_expired" })
	r.wait()
	require.Contains(t, r.logs.String(), "level=DEBUG")
	w.requireNoSecret(r, secret)
}

// TestResetCredentials lets the secret expire in the middle and gives another.
func TestResetCredentials(t *testing.T) {
	t.Parallel()
	const another = "an0ther-value"
	w := newWorldWith(t, clock.Real(), shortTokens)
	cfg := tenantConfig(9)
	cfg.Users, cfg.Days, cfg.Rates.NonInteractive = 100, 6, 20
	tenantID := w.addTenant(cfg)
	slow, err := w.sim.InjectFault(entra.Fault{Kind: "slow", Delay: 300 * time.Millisecond, Path: "/auditLogs/"})
	require.NoError(t, err)
	record := w.connect("contoso", tenantID)
	r := w.start(w.config(quickTail))
	eventually(t, "some windows", func() bool { return r.metric("entraflow_collector_windows_total") > 4 })
	require.NoError(t, w.sim.ExpireSecret(clientID, ""))
	eventually(t, "the problem", func() bool { return w.status("contoso").GetProblem() != nil })
	problem := w.status("contoso").GetProblem()
	require.Equal(t, "secret_expired", problem.GetCause())
	require.Equal(t, "AADSTS7000222", problem.GetCode())
	require.Contains(t, problem.GetRemedy(), "new secret")
	require.NotEmpty(t, w.status("contoso").GetDataTypes(), "what is known stays")

	require.NoError(t, w.sim.ClearFault(slow))
	_, err = w.sim.AddSecret(clientID, entra.SecretConfig{Value: config.NewSecret(another)})
	require.NoError(t, err)
	_, err = w.store.Update(t.Context(), record, record.Integration, clientSecret(another))
	require.NoError(t, err)
	began := w.sim.Now()
	run := w.awaitRun("contoso", initial)
	require.Equal(t, succeeded, run.GetState(), run)
	eventually(t, "no problem", func() bool { return w.status("contoso").GetProblem() == nil })
	w.requireComplete(tenantID, began.Add(-time.Second))
	w.requireNoSecret(r, secret, another)
}

// TestOneDataTypeDoesNotStopTheOthers takes permissions and licences away and gives them back.
func TestOneDataTypeDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := tenantConfig(10)
	cfg.Licence = tenant.Free
	cfg.Days = 3
	tenantID := w.addTenant(cfg)
	w.connect("contoso", tenantID)
	began := w.sim.Now()
	w.start(w.config(quickTail, func(c *collector.Config) { c.Tenant.ProbeInterval = 2 * time.Second }))
	run := w.awaitRun("contoso", initial)
	require.Equal(t, succeeded, run.GetState(), run)
	require.Equal(t, []string{tenant.Audit}, sortedKeys(dataTypes(run)))
	w.requireComplete(tenantID, began, tenant.Audit)
	report := w.status("contoso").GetReport()
	require.True(t, report.GetConnected(), "users can be read")
	for _, d := range report.GetDataTypes() {
		if d.GetDataType() == tenant.Interactive {
			require.Equal(t, controlv1.Availability_AVAILABILITY_LICENCE_MISSING, d.GetAvailability())
			require.NotEmpty(t, d.GetProblem().GetRemedy())
			require.False(t, d.GetEnabled())
		}
	}

	require.NoError(t, w.sim.SetLicence(tenantID, tenant.P2))
	began = w.sim.Now()
	eventually(t, "the licence is noticed", func() bool {
		newest := w.listRuns("contoso")[0]
		return len(newest.GetDataTypes()) == len(tenant.Logs()) && newest.GetState() == succeeded
	})
	require.Len(t, w.status("contoso").GetDataTypes(), len(tenant.Logs()))
	w.requireComplete(tenantID, began)
}

// TestAPermissionTakenAway stops one data type in the middle of its life, and no other.
func TestAPermissionTakenAway(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, clock.Real(), shortTokens)
	cfg := tenantConfig(11)
	cfg.Days = 2
	tenantID := w.addTenant(cfg)
	w.connect("contoso", tenantID)
	w.start(w.config(quickTail))
	w.awaitRun("contoso", initial)
	var consents []string
	for _, p := range entra.ReadPermissions() {
		if p != "IdentityRiskyUser.Read.All" {
			consents = append(consents, p)
		}
	}
	require.NoError(t, w.sim.SetConsents(clientID, tenantID, consents))
	problems := func() map[string]*controlv1.Problem {
		found := map[string]*controlv1.Problem{}
		for _, d := range w.status("contoso").GetDataTypes() {
			if d.GetProblem() != nil {
				found[d.GetDataType()] = d.GetProblem()
			}
		}
		return found
	}
	eventually(t, "the problem", func() bool { return len(problems()) > 0 })
	require.Equal(t, []string{tenant.RiskyUser}, sortedKeys(problems()))
	require.Equal(t, "permission_missing", problems()[tenant.RiskyUser].GetCause())
	began := w.sim.Now()
	eventually(t, "the others go on", func() bool {
		later := 0
		for _, d := range w.status("contoso").GetDataTypes() {
			if d.GetCoveredUntil().AsTime().After(began.Add(3 * time.Second)) {
				later++
			}
		}
		return later == len(tenant.Logs())-1
	})
	w.requireComplete(tenantID, began, tenant.Interactive, tenant.Audit)
}
