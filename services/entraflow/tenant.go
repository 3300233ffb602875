package entraflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/entraflow/entraflow/services/collector"
	"github.com/entraflow/entraflow/services/simulator/entra/throttle"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

const (
	// simulatedCloud is the name of the simulated tenant's cloud.
	simulatedCloud = "simulator"
	defaultEntra   = "127.0.0.1:7443"
	// defaultThrottleScale lets 30 days of 2,000 users be collected in a few minutes: at Microsoft's own limits they
	// take some twenty.
	defaultThrottleScale = 20
	fileMode             = 0o600
)

// simulatesTenant reports whether there is a simulated tenant. A replay brings records of its own.
func (c Config) simulatesTenant() bool { return c.Simulator && c.Replay == "" }

// withTenant sets what the simulated tenant needs of the simulator and of those who read it.
func (c Config) withTenant() Config {
	quick := &c.Simulated.Entra.Quick
	quick.Enabled, quick.SecretFile = true, filepath.Join(c.credentials(), "simulator.secret")
	quick.TruthFile = filepath.Join(c.DataDir, "simulator-truth.json")
	c.Simulated.TLS.CAOut = filepath.Join(c.DataDir, "simulator-ca.pem")
	if c.Simulated.Listen.Entra == "" {
		c.Simulated.Listen.Entra = defaultEntra
	}
	limits := &c.Simulated.Entra.Throttle
	limits.Mode, limits.Scale = string(throttle.On), c.ThrottleScale
	if c.ThrottleScale == 0 {
		limits.Mode, limits.Scale = string(throttle.Off), 1
	}
	c.Collector.BudgetScale, c.DirectorySync.BudgetScale = c.ThrottleScale, c.ThrottleScale
	return c
}

// simulatedTenant makes the tenant that the simulator will have. It is the same whenever the data directory is
// used again with its seed, and goes on living from one run to the next.
func (e *Entraflow) simulatedTenant(cfg *Config) (*tenant.Tenant, error) {
	quick := &cfg.Simulated.Entra.Quick.Tenant
	now := e.set.Clock.Now().UTC().Truncate(time.Second)
	began, err := firstSeen(filepath.Join(cfg.DataDir, "simulator.json"), cfg.Seed, now)
	if err != nil {
		return nil, err
	}
	quick.Seed, quick.End = cfg.Seed, began
	if cfg.Once {
		quick.Stop = now // so that what is stored can be held against what there is
	}
	made, err := tenant.New(quick.Config)
	if err != nil {
		return nil, fmt.Errorf("making the simulated tenant: %w", err)
	}
	return made, nil
}

// firstSeen returns when a seed was first used in the data directory, and remembers it.
func firstSeen(path string, seed uint64, now time.Time) (time.Time, error) {
	seen := map[string]time.Time{}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &seen)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, fmt.Errorf("reading %s: %w", path, err)
	}
	key := fmt.Sprint(seed)
	if at, ok := seen[key]; ok {
		return at, nil
	}
	seen[key] = now
	if text, err = json.Marshal(seen); err != nil {
		return time.Time{}, fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.WriteFile(path, text, fileMode); err != nil {
		return time.Time{}, fmt.Errorf("remembering the simulated tenant: %w", err)
	}
	return now, nil
}

// cloud is where the simulated tenant's login and Graph are.
func (s *services) cloud(name string) (collector.CloudConfig, bool) {
	at := s.announced.Load()
	if name != simulatedCloud || at == nil || at.Login == "" {
		return collector.CloudConfig{}, false
	}
	return collector.CloudConfig{AuthorityURL: at.Login, GraphURL: at.Graph, CAFile: at.CAFile}, true
}
