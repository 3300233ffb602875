package collector_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/entra/fault"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// TestFaultsLoseNothing collects under every fault that Microsoft's side has.
func TestFaultsLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	began := w.sim.Now()
	tenants := map[string]string{}
	faults := map[string]entra.Fault{
		"429 with Retry-After": {Kind: fault.Throttle, RetryAfterSeconds: 1},
		"429 without":          {Kind: fault.Throttle},
		"503":                  {Kind: fault.Unavailable},
		"503 with Retry-After": {Kind: fault.Unavailable, RetryAfterSeconds: 1},
		"504":                  {Kind: fault.GatewayTimeout},
		"502 of HTML":          {Kind: fault.BadGateway},
		"401":                  {Kind: fault.Unauthorized, Share: 0.04},
		"skip token":           {Kind: fault.SkipToken, Share: 0.5},
		"cut":                  {Kind: fault.Cut},
		"truncated gzip":       {Kind: fault.TruncatedGzip},
		"short page":           {Kind: fault.ShortPage, Share: 0.3},
		"empty page":           {Kind: fault.EmptyPage, Share: 0.3},
		"duplicates":           {Kind: fault.Duplicate, Share: 0.5},
	}
	ids := map[string]string{}
	for n, name := range sortedKeys(faults) {
		cfg := tenantConfig(uint64(n + 1))
		cfg.Users, cfg.Days = 100, 3
		cfg.Rates.NonInteractive = 30 // some pages a day
		tenants[name], ids[name] = w.addTenant(cfg), id(n)
		f := faults[name]
		f.Tenant, f.Path, f.Seed = tenants[name], "/auditLogs/", uint64(n)
		if f.Share == 0 {
			f.Share = 0.1
		}
		_, err := w.sim.InjectFault(f)
		require.NoError(t, err)
		w.connect(ids[name], tenants[name])
	}
	w.start(w.config())
	for _, name := range sortedKeys(faults) {
		t.Run(name, func(t *testing.T) {
			run := w.awaitRun(ids[name], initial)
			require.Equal(t, succeeded, run.GetState(), run)
			w.requireComplete(tenants[name], began)
		})
	}
	for _, f := range w.sim.Faults() {
		require.Positive(t, f.Hits, f.Kind)
	}
}

// TestAMomentAtTheWrongTime lets the first look at a data type fail: it is collected all the same.
func TestAMomentAtTheWrongTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := tenantConfig(1)
	cfg.Days = 2
	tenantID := w.addTenant(cfg)
	_, err := w.sim.InjectFault(entra.Fault{Kind: fault.Unavailable, Path: "/provisioning", Count: 5})
	require.NoError(t, err)
	w.connect("contoso", tenantID)
	began := w.sim.Now()
	w.start(w.config())
	run := w.awaitRun("contoso", initial)
	require.Equal(t, succeeded, run.GetState(), run)
	require.Contains(t, dataTypes(run), tenant.Provisioning)
	w.requireComplete(tenantID, began)
}

// TestAWindowThatTimesOutIsSplit lets the server take too long: the window is read in halves.
func TestAWindowThatTimesOutIsSplit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := tenantConfig(2)
	cfg.Days = 2
	tenantID := w.addTenant(cfg)
	_, err := w.sim.InjectFault(entra.Fault{Kind: fault.GatewayTimeout, Path: "/directoryAudits", After: 1, Count: 8})
	require.NoError(t, err)
	w.connect("contoso", tenantID)
	began := w.sim.Now()
	w.start(w.config(slowTail))
	run := w.awaitRun("contoso", initial)
	require.Equal(t, succeeded, run.GetState(), run)
	require.Positive(t, dataTypes(run)[tenant.Audit].GetRetries())
	w.requireComplete(tenantID, began)
}
