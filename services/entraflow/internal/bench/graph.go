package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/entraflow/internal/proc"
	"github.com/entraflow/entraflow/services/simulator/entra"
)

const (
	benchCloud = "simulator"
	// secretValue is every application's secret: it opens nothing but a simulator on loopback.
	secretValue = "bench-secret"
	fileMode    = 0o600
	month       = 30
)

// tenantSpec is a simulated tenant.
type tenantSpec struct {
	id    string
	users int
	// signIns is how many there are in a month; 0 is as many as so many users make.
	signIns uint64
	days    int
	seed    uint64
}

// numbered makes the id of a tenant or application.
func numbered(kind, n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", kind, n) }

// graphWorld is a simulator with tenants and a product, each a process.
type graphWorld struct {
	world
	product   *product
	collector *proc.Process // nil if the product has it
	announced struct {
		Login  string `json:"login"`
		Graph  string `json:"graph"`
		CAFile string `json:"ca_file"`
	}
	client controlv1.IntegrationServiceClient
	conn   *grpc.ClientConn
	token  config.Secret
}

// newGraphWorld starts a simulator with the tenants, whose limits are Microsoft's times scale (0: none), the product
// and a collector apart. close ends them.
func newGraphWorld(ctx context.Context, o Options, scale float64, tenants []tenantSpec) (_ *graphWorld, err error) {
	dir, err := os.MkdirTemp("", "entraflow-bench-")
	if err != nil {
		return nil, fmt.Errorf("making folder: %w", err)
	}
	w := &graphWorld{world: world{dir: dir, log: o.Log}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	file, err := w.write("simulator.yaml", w.simulatorConfig(scale, tenants))
	if err != nil {
		return nil, err
	}
	w.simulator, err = proc.Start(ctx, proc.Command{
		Path: filepath.Join(o.Programs, "simulator"), Args: []string{"--config", file}, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	if err := w.simulator.Announced(ctx, &w.announced); err != nil {
		return nil, err
	}
	if w.product, err = w.start(ctx, o, ChildRest); err != nil {
		return nil, err
	}
	if err := w.startCollector(ctx, o, scale); err != nil {
		return nil, err
	}
	return w, w.open()
}

func (w *graphWorld) simulatorConfig(scale float64, tenants []tenantSpec) map[string]any {
	now := time.Now().UTC().Format(time.RFC3339)
	mode := "on"
	if scale == 0 {
		mode, scale = "off", 1
	}
	var list, apps []any
	for i, spec := range tenants {
		t := map[string]any{
			"id": spec.id, "seed": spec.seed, "users": spec.users, "days": spec.days, "end": now, "stop": now, "incidents": false,
		}
		if spec.signIns > 0 {
			t["counts"] = map[string]any{
				"signin.interactive": spec.signIns / 4, "signin.non_interactive": spec.signIns - spec.signIns/4,
				"signin.service_principal": 0, "signin.managed_identity": 0, "audit": 0, "provisioning": 0,
				"risk_detection": 0, "risky_user": 0,
			}
		}
		list = append(list, t)
		apps = append(apps, map[string]any{
			"client_id": numbered(2, i), "secrets": []any{map[string]any{"value": secretValue}},
			"grants": []any{map[string]any{"tenant": spec.id, "consents": entra.ReadPermissions()}},
		})
	}
	return map[string]any{
		"app": map[string]any{"admin": map[string]any{"address": ""}},
		"simulator": map[string]any{
			"listen": map[string]any{"amqp": "", "admin": "", "entra": "127.0.0.1:0"},
			"tls":    map[string]any{"ca_out": filepath.Join(w.dir, "ca.pem")},
			"entra":  map[string]any{"throttle": map[string]any{"mode": mode, "scale": scale}, "tenants": list, "apps": apps},
		},
	}
}

func (w *graphWorld) startCollector(ctx context.Context, o Options, scale float64) error {
	credentials := filepath.Join(w.dir, "credentials")
	file, err := w.write("collector.yaml", map[string]any{
		"app": map[string]any{"admin": map[string]any{"address": ""}},
		"collector": map[string]any{
			"nats": map[string]any{
				"url": w.product.nats, "user": bus.UserCollector, "password_file": natsserver.PasswordFile(credentials, bus.UserCollector),
			},
			"seal": map[string]any{"key_file": filepath.Join(credentials, "seal.key")}, "budget_scale": scale,
			"clouds": map[string]any{benchCloud: map[string]any{
				"authority_url": w.announced.Login, "graph_url": w.announced.Graph, "ca_file": w.announced.CAFile,
			}},
		},
	})
	if err != nil {
		return err
	}
	w.collector, err = proc.Start(ctx, proc.Command{
		Path: filepath.Join(o.Programs, "collector"), Args: []string{"--config", file}, Log: o.Log,
	})
	return err
}

// write writes a config file and returns its path.
func (w *graphWorld) write(name string, sections map[string]any) (string, error) {
	text, err := json.Marshal(sections) // JSON is YAML
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, text, fileMode); err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	return path, nil
}

// open opens the API.
func (w *graphWorld) open() (err error) {
	if w.token, err = config.ReadSecret(filepath.Join(w.dir, "credentials", "gateway.token")); err != nil {
		return err
	}
	w.conn, err = grpc.NewClient(w.product.gateway, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("calling the gateway: %w", err)
	}
	w.client = controlv1.NewIntegrationServiceClient(w.conn)
	return nil
}

func (w *graphWorld) authorized(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+w.token.Reveal())
}

// integrate connects the i-th tenant.
func (w *graphWorld) integrate(ctx context.Context, i int, spec tenantSpec) error {
	_, err := w.client.CreateIntegration(w.authorized(ctx), &controlv1.CreateIntegrationRequest{
		IntegrationId: fmt.Sprintf("t%d", i),
		Integration: &controlv1.Integration{Connection: &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{
			TenantId: spec.id, ClientId: numbered(2, i), Cloud: benchCloud,
		}}},
		Credential: &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: secretValue}},
	})
	if err != nil {
		return fmt.Errorf("connecting tenant %d: %w", i, err)
	}
	return nil
}

func (w *graphWorld) close() error {
	var errs []error
	if w.conn != nil {
		errs = append(errs, w.conn.Close())
	}
	if w.collector != nil {
		errs = append(errs, w.collector.Stop(stopBudget))
	}
	if w.product != nil {
		errs = append(errs, w.product.stop())
	}
	if w.simulator != nil {
		errs = append(errs, w.simulator.Stop(stopBudget))
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}
