package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	generator "github.com/entraflow/entraflow/services/simulator/tenant"
)

type directorySize struct {
	users int
	// changes are made a second, at random.
	changes float64
	kills   int
	freeze  time.Duration
	// history is how many changes are made while the sink is away.
	history int
	// huge is the number of members of the largest group.
	huge int
	// maxRSS is the most memory that a replica may hold, in bytes.
	maxRSS int64
}

const (
	// deltaEvery and walkEvery are how often what changed, and what Graph tells no changes of, is read.
	deltaEvery, walkEvery = time.Second, 2 * time.Second
	// changesAtOnce is how many changes of a directory are asked for at once.
	changesAtOnce = 20
)

// directoryFaults is everything Graph is known to do wrong when a directory is read.
var directoryFaults = []map[string]any{
	{"kind": "throttle", "share": 0.01},
	{"kind": "throttle", "share": 0.01, "retry_after_seconds": 1},
	{"kind": "unavailable", "share": 0.02},
	{"kind": "page_token", "share": 0.02},
	{"kind": "empty_page", "share": 0.02},
	{"kind": "delta_repeat", "share": 0.1},
	{"kind": "delta_replay", "share": 0.1},
	{"kind": "cut", "share": 0.01},
}

// newDirectoryWorld starts a world in which replicas keep a tenant's directory that does not change yet.
func newDirectoryWorld(t *testing.T, replicas int, leaseTTL time.Duration, o *tenantOptions) (context.Context, *world, *chaos) {
	t.Helper()
	c := &chaos{seed: seed(t), logf: t.Logf}
	o.days, o.seed, o.speed = 1, c.seed, 1
	ctx, w := newWorld(t, options{directories: replicas, leaseTTL: leaseTTL, tenant: o})
	return ctx, w, c
}

// configureDirectories makes them quick to read again.
func (w *world) configureDirectories(t *testing.T) {
	t.Helper()
	for _, p := range w.directories {
		p.service(t, w.dir, "directorysync", map[string]any{"directorysync": map[string]any{
			"nats": w.natsConfig(bus.UserDirectorySync), "instance": p.name, "budget_scale": 0,
			"seal": map[string]any{"key_file": w.sealKey()}, "clouds": w.clouds(),
			"delta_interval": deltaEvery.String(), "walk_interval": walkEvery.String(),
		}})
	}
}

// clouds are the simulator as services are told of it.
func (w *world) clouds() map[string]any {
	return map[string]any{cloudName: map[string]any{
		"authority_url": w.tenant.Login, "graph_url": w.tenant.Graph, "ca_file": w.tenant.CAFile,
	}}
}

// fail injects faults.
func (w *world) fail(ctx context.Context, seed uint64, faults ...map[string]any) error {
	for i, fault := range faults {
		body := map[string]any{"seed": seed + uint64(i)} //nolint:gosec // small
		maps.Copy(body, fault)
		if err := w.tenant.call(ctx, http.MethodPost, "/v1/entra/faults", body, nil); err != nil {
			return err
		}
	}
	return nil
}

// heal removes all faults.
func (w *world) heal(ctx context.Context) error {
	return w.tenant.call(ctx, http.MethodDelete, "/v1/entra/faults", nil, nil)
}

func (s *simulatedTenant) path(rest string) string {
	return "/v1/entra/tenants/" + s.Tenant.TenantID + rest
}

// change makes random changes of the directory at a rate a second: n of them, or until ctx is done if n is 0. It returns how
// many it made.
func (s *simulatedTenant) change(ctx context.Context, seed uint64, n int, rate float64) (made int, err error) {
	every := time.Duration(changesAtOnce / rate * float64(time.Second))
	for n == 0 || made < n {
		body := map[string]any{"seed": seed + uint64(made), "n": changesAtOnce} //nolint:gosec // small
		if err := s.call(ctx, http.MethodPost, s.path("/directory/changes"), body, nil); err != nil {
			return made, ignoreDone(ctx, err)
		}
		made += changesAtOnce
		if err := pause(ctx, every); err != nil {
			return made, ignoreDone(ctx, err)
		}
	}
	return made, nil
}

// errEnough ends what goes on until it is told that it is enough.
var errEnough = errors.New("enough")

func ignoreDone(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errEnough) {
		return nil
	}
	return err
}

// expireTokens makes every delta token void, in one of Graph's two ways.
func (s *simulatedTenant) expireTokens(ctx context.Context, gone bool) error {
	return s.call(ctx, http.MethodPost, s.path("/directory/expire-tokens"), map[string]any{"gone": gone}, nil)
}

// collection asks for the JSON lines of a collection as it is. The caller closes them.
func (s *simulatedTenant) collection(ctx context.Context, c generator.Collection) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+s.path("/truth/"+string(c)), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.AdminToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("reading the truth of %s: %s", c, res.Status), res.Body.Close())
	}
	return res.Body, nil
}

// working returns the number of the replica that reads, once one does.
func (w *world) working(ctx context.Context) (int, error) {
	before := make([]float64, len(w.directories))
	for i, p := range w.directories {
		before[i] = -1
		if n, err := p.read(ctx); err == nil {
			before[i] = n
		}
	}
	found := 0
	err := eventually(ctx, "a replica to read the directory", func() (bool, error) {
		for i, p := range w.directories {
			if n, err := p.read(ctx); err == nil && n > max(before[i], 0) {
				found = i
				return true, nil
			}
		}
		return false, nil
	})
	return found, err
}

// read is how much a replica has read since it was started: objects and rounds.
func (p *program) read(ctx context.Context) (float64, error) {
	objects, err := p.metric(ctx, "entraflow_directorysync_objects_total")
	if err != nil {
		return 0, err
	}
	rounds, err := p.metric(ctx, "entraflow_directorysync_rounds_total", `result="ok"`)
	return objects + rounds, err
}

// requireSmall checks the most memory that any replica held.
func (w *world) requireSmall(t *testing.T, most int64) {
	t.Helper()
	for _, p := range append([]*program{w.simulator, w.nats, w.store, w.sink}, w.directories...) {
		t.Logf("%-11s started %2d times, peak RSS %d MiB", p.name, p.starts, p.peakRSS()/mib)
	}
	for _, p := range w.directories {
		require.LessOrEqual(t, p.peakRSS(), most, "memory of %s in bytes", p.name)
	}
}
