// Package tenant generates simulated Microsoft Entra tenants: their sign-ins, audits, provisioning,
// risk, users, applications and service principals, as Graph beta and Event Hubs write them.
//
// It is a function from a Config to values: the same Config gives the same bytes. Nothing is stored;
// every object derives from (seed, log, slot of time, index), so a tenant of a million users and ten
// million sign-ins takes no more memory than a small one. It has no clock, opens nothing, and knows
// nothing of HTTP, licences' errors, throttling or faults.
package tenant

import (
	"fmt"
	"time"
)

// Tenant is a simulated tenant. All methods are safe for concurrent use.
type Tenant struct {
	cfg        Config
	ids        sealer
	start, end ticks
	population population
	series     [logCount]series
	// round is how many risky users there are before the first is updated again.
	round     uint64
	incidents []Incident
	cache     slotCache
}

// New returns the tenant of cfg. Its error is cfg.Validate's.
func New(cfg Config) (*Tenant, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking tenant config: %w", err)
	}
	cfg.End = cfg.End.UTC().Truncate(time.Second)
	t := &Tenant{cfg: cfg, ids: newSealer(cfg.Seed), cache: slotCache{heads: map[slotKey][]head{}}}
	if cfg.ID == "" {
		t.cfg.ID = t.ids.seal(classTenant, 0, 0).String()
	}
	if cfg.ClientID == "" {
		t.cfg.ClientID = t.ids.seal(classApp, 0, 0).String()
	}
	t.start, t.end = ticksOf(t.Start()), ticksOf(cfg.End)
	t.population = newPopulation(&t.cfg)
	for i := range t.series {
		t.series[i] = newSeries(i, t.Start().Unix(), cfg.End.Unix(), cfg.total(i))
	}
	t.round = t.riskyRound(t.series[logRiskyUser].flow.total)
	if cfg.Incidents {
		t.weaveIncidents()
	}
	return t, nil
}

// ID returns the directory id.
func (t *Tenant) ID() string { return t.cfg.ID }

// Config returns the tenant's Config with all derived values set.
func (t *Tenant) Config() Config { return t.cfg }

// Start returns when the history begins: Days of 24 hours before End.
func (t *Tenant) Start() time.Time {
	const day = 24 * time.Hour
	return t.cfg.End.Add(-time.Duration(t.cfg.Days) * day)
}
