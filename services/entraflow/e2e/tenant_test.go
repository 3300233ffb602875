package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/seal"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	generator "github.com/entraflow/entraflow/services/simulator/tenant"
)

const (
	// collected is the integration's id.
	collected = "contoso"
	// cloudName is the simulator as a cloud of the collector's config.
	cloudName = "simulator"
)

// tenantOptions say what the simulated tenant is like.
type tenantOptions struct {
	users, days int
	seed        uint64
	// speed is how much faster than real the clocks of simulator and collectors run.
	speed float64
	// lateShare of the records come up to three hours late.
	lateShare float64
	// throttled keeps to Microsoft's limits, times scale.
	throttled bool
	scale     float64
	// directory and entra are more keys of the simulator's tenant and of its section entra.
	directory, entra map[string]any
	// disabled are data types that the integration has turned off.
	disabled []string
}

// simulatedTenant is a tenant of the simulator and how to reach it.
type simulatedTenant struct {
	generator *generator.Tenant
	anchor    time.Time
	clock     clock.Clock
	options   tenantOptions

	Login      string `json:"login"`
	Graph      string `json:"graph"`
	Admin      string `json:"admin"`
	AdminToken string `json:"admin_token"`
	CAFile     string `json:"ca_file"`
	Tenant     struct {
		TenantID   string `json:"tenant_id"`
		ClientID   string `json:"client_id"`
		SecretFile string `json:"secret_file"`
	} `json:"tenant"`
}

// startTenant starts the simulator with a tenant whose history ends now: nothing happens in it afterwards, but some of
// what happened shows late.
func (w *world) startTenant(ctx context.Context, t *testing.T, o *tenantOptions) {
	t.Helper()
	w.tenant.anchor = time.Now().UTC().Truncate(time.Second)
	w.tenant.clock = clock.NewAnchored(w.tenant.anchor, 0, o.speed)
	w.tenant.options = *o
	cfg := generator.DefaultConfig()
	cfg.Users, cfg.Days, cfg.Seed, cfg.End, cfg.Stop = o.users, o.days, o.seed, w.tenant.anchor, w.tenant.anchor
	cfg.Late.Share = o.lateShare
	var err error
	w.tenant.generator, err = generator.New(cfg)
	require.NoError(t, err)
	mode := "off"
	if o.throttled {
		mode = "on"
	}
	at := w.tenant.anchor.Format(time.RFC3339)
	quick := map[string]any{
		"users": o.users, "days": o.days, "seed": o.seed, "end": at, "stop": at, "late": map[string]any{"share": o.lateShare},
	}
	maps.Copy(quick, o.directory)
	section := map[string]any{
		"throttle": map[string]any{"mode": mode, "scale": max(o.scale, 1)},
		"quick":    map[string]any{"enabled": true, "secret_file": filepath.Join(w.dir, "tenant.secret"), "tenant": quick},
	}
	maps.Copy(section, o.entra)
	w.simulator.admin = ""
	w.configure(t, w.simulator, "simulator", map[string]any{
		"app": map[string]any{"admin": map[string]any{"address": ""}, "clock": w.clockConfig()},
		"simulator": map[string]any{
			"listen": map[string]any{"amqp": "", "admin": "127.0.0.1:0", "entra": "127.0.0.1:0"},
			"tls":    map[string]any{"ca_out": filepath.Join(w.dir, "ca.pem")},
			"entra":  section,
		},
	})
	require.NoError(t, w.simulator.start(ctx))
	require.NoError(t, w.simulator.process.Announced(ctx, &w.tenant))
}

// clockConfig is the clock that simulator and collectors share.
func (w *world) clockConfig() map[string]any {
	return map[string]any{"anchor": w.tenant.anchor.Format(time.RFC3339), "speed": w.tenant.options.speed}
}

// configure writes the config file of a program.
func (w *world) configure(t *testing.T, p *program, name string, sections map[string]any) {
	t.Helper()
	text, err := json.Marshal(sections) // JSON is YAML
	require.NoError(t, err)
	file := filepath.Join(w.dir, p.name+".yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	p.command.Path = filepath.Join(programs, name)
	p.command.Args = []string{"--config", file}
}

func (w *world) configureCollectors(t *testing.T, o *tenantOptions) {
	t.Helper()
	for _, p := range w.collectors {
		p.admin = freeAddress(t)
		scale := 0.0
		if o.throttled {
			scale = max(o.scale, 1)
		}
		w.configure(t, p, "collector", map[string]any{
			"app": map[string]any{"admin": map[string]any{"address": p.admin}, "clock": w.clockConfig()},
			"collector": map[string]any{
				"nats": w.natsConfig(bus.UserCollector), "instance": p.name, "budget_scale": scale,
				"seal":   map[string]any{"key_file": w.sealKey()},
				"clouds": w.clouds(),
			},
		})
	}
}

func (w *world) sealKey() string { return filepath.Join(w.dir, "seal.key") }

// integrate saves the integration as the gateway does.
func (w *world) integrate(ctx context.Context, t *testing.T) {
	t.Helper()
	sealer, err := seal.Open(ctx, seal.Config{KeyFile: w.sealKey()})
	require.NoError(t, err)
	defer sealer.Close()
	cfg := bus.DefaultConfig()
	cfg.URL, cfg.User = "nats://"+w.natsAddress, bus.UserGateway
	cfg.Password, err = config.ReadSecret(natsserver.PasswordFile(w.credentials, bus.UserGateway))
	require.NoError(t, err)
	conn, err := bus.Connect(ctx, cfg, bus.Settings{Service: bus.UserGateway})
	require.NoError(t, err)
	defer conn.Close()
	store, err := integrations.Open(ctx, conn, sealer)
	require.NoError(t, err)
	secret, err := config.ReadSecret(w.tenant.Tenant.SecretFile)
	require.NoError(t, err)
	_, err = store.Create(ctx, collected, &controlv1.Integration{
		DisabledDataTypes: w.tenant.options.disabled,
		Connection: &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{
			TenantId: w.tenant.Tenant.TenantID, ClientId: w.tenant.Tenant.ClientID, Cloud: cloudName,
		}},
	}, &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: secret.Reveal()}})
	require.NoError(t, err)
}

// call asks the simulator's admin API and reads the answer into answer, if it is not nil.
func (s *simulatedTenant) call(ctx context.Context, method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.Admin+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.AdminToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err = io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// truth is the event ids of all logs as of now, by table.
func (s *simulatedTenant) truth() map[string]map[string]bool {
	tables := map[string]map[string]bool{}
	q := generator.Query{At: s.clock.Now()}
	for _, log := range generator.Logs() {
		kind, table := kindAndTable(log)
		if tables[table] == nil {
			tables[table] = map[string]bool{}
		}
		if log == generator.RiskyUser {
			continue // a state: its event id has a time in it
		}
		for id := range s.generator.IDs(log, q) {
			tables[table][bus.EventID(s.generator.ID(), kind, id, nil)] = true
		}
	}
	return tables
}

func kindAndTable(log string) (kind, table string) {
	switch log {
	case generator.Audit:
		return "audit", "audits"
	case generator.Provisioning:
		return "provisioning", "provisioning"
	case generator.RiskDetection:
		return "risk_detection", "risk_detections"
	case generator.RiskyUser:
		return "risky_user", "risky_users"
	default:
		return "signin", "sign_ins"
	}
}

// storedIDs reads the ids in a table.
func storedIDs(ctx context.Context, conn driver.Conn, table string) (map[string]bool, error) {
	rows, err := conn.Query(ctx, "SELECT id FROM "+table+" FINAL")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		if found[id] {
			return nil, fmt.Errorf("%s is twice in %s", id, table)
		}
		found[id] = true
	}
	return found, rows.Err()
}

// difference says how many ids of the truth are missing in a table and how many it has too many.
func difference(want, got map[string]bool) (missing, extra int) {
	for id := range want {
		if !got[id] {
			missing++
		}
	}
	for id := range got {
		if !want[id] {
			extra++
		}
	}
	return missing, extra
}

// matches reports whether the store holds exactly the tenant's truth.
func (w *world) matches(ctx context.Context, conn driver.Conn, truth map[string]map[string]bool) error {
	var errs []error
	for table, want := range truth {
		got, err := storedIDs(ctx, conn, table)
		if err != nil {
			return err
		}
		if table == "risky_users" {
			if n := w.tenant.generator.Truth(generator.Query{At: w.tenant.clock.Now()})[generator.RiskyUser]; uint64(len(got)) != n {
				errs = append(errs, fmt.Errorf("%s: %d, not %d", table, len(got), n))
			}
			continue
		}
		if missing, extra := difference(want, got); missing+extra > 0 {
			errs = append(errs, fmt.Errorf("%s: %d of %d missing, %d too many", table, missing, len(want), extra))
		}
	}
	return errors.Join(errs...)
}
