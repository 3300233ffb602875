package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

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
	// groups is how many there are, each with members; 0 is groups of all sorts.
	groups, members int
	// without are permissions that the application does not have.
	without []string
}

func (s tenantSpec) consents() []string {
	return slices.DeleteFunc(entra.ReadPermissions(), func(p string) bool { return slices.Contains(s.without, p) })
}

// numbered makes the id of a tenant or application.
func numbered(kind, n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", kind, n) }

// graphSpec is a simulator with tenants, and who reads them.
type graphSpec struct {
	// reader is the service, whose config has more keys.
	reader string
	config map[string]any
	// scale multiplies Microsoft's limits; 0 is none.
	scale float64
	// latency is what each request takes at least.
	latency time.Duration
	tenants []tenantSpec
}

// graphWorld is a simulator with tenants, the product and the service that reads them, each a process.
type graphWorld struct {
	world
	product   *product
	reader    *proc.Process
	announced struct {
		Login      string `json:"login"`
		Graph      string `json:"graph"`
		CAFile     string `json:"ca_file"`
		Admin      string `json:"admin"`
		AdminToken string `json:"admin_token"`
	}
	client controlv1.IntegrationServiceClient
	conn   *grpc.ClientConn
	token  config.Secret
}

// newGraphWorld starts a simulator with the tenants, the product and apart from that the service that reads them. close
// ends them.
func newGraphWorld(ctx context.Context, o Options, spec graphSpec) (_ *graphWorld, err error) {
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
	file, err := w.write("simulator.yaml", w.simulatorConfig(spec))
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
	if err := w.startReader(ctx, o, spec); err != nil {
		return nil, err
	}
	return w, w.open()
}

func (w *graphWorld) simulatorConfig(graph graphSpec) map[string]any {
	now := time.Now().UTC().Format(time.RFC3339)
	mode, scale := "on", graph.scale
	if scale == 0 {
		mode, scale = "off", 1
	}
	var list, apps []any
	for i, spec := range graph.tenants {
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
		if spec.groups > 0 {
			t["groups"], t["members_per_group"], t["devices_per_user"] = spec.groups, spec.members, 0
		}
		list = append(list, t)
		apps = append(apps, map[string]any{
			"client_id": numbered(2, i), "secrets": []any{map[string]any{"value": secretValue}},
			"grants": []any{map[string]any{"tenant": spec.id, "consents": spec.consents()}},
		})
	}
	return map[string]any{
		"app": map[string]any{"admin": map[string]any{"address": ""}},
		"simulator": map[string]any{
			"listen": map[string]any{"amqp": "", "admin": "127.0.0.1:0", "entra": "127.0.0.1:0"},
			"tls":    map[string]any{"ca_out": filepath.Join(w.dir, "ca.pem")},
			"entra": map[string]any{
				"throttle": map[string]any{"mode": mode, "scale": scale}, "latency": graph.latency.String(), "tenants": list, "apps": apps,
			},
		},
	}
}

func (w *graphWorld) startReader(ctx context.Context, o Options, spec graphSpec) error {
	credentials := filepath.Join(w.dir, "credentials")
	section := map[string]any{
		"nats": map[string]any{
			"url": w.product.nats, "user": spec.reader, "password_file": natsserver.PasswordFile(credentials, spec.reader),
		},
		"seal": map[string]any{"key_file": filepath.Join(credentials, "seal.key")}, "budget_scale": spec.scale,
		"clouds": map[string]any{benchCloud: map[string]any{
			"authority_url": w.announced.Login, "graph_url": w.announced.Graph, "ca_file": w.announced.CAFile,
		}},
	}
	maps.Copy(section, spec.config)
	file, err := w.write(spec.reader+".yaml", map[string]any{
		"app": map[string]any{"admin": map[string]any{"address": ""}}, spec.reader: section,
	})
	if err != nil {
		return err
	}
	w.reader, err = proc.Start(ctx, proc.Command{
		Path: filepath.Join(o.Programs, spec.reader), Args: []string{"--config", file}, Log: o.Log,
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
	if w.reader != nil {
		errs = append(errs, w.reader.Stop(stopBudget))
	}
	if w.product != nil {
		errs = append(errs, w.product.stop())
	}
	if w.simulator != nil {
		errs = append(errs, w.simulator.Stop(stopBudget))
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}
