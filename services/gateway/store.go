package gateway

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

var errNotOpen = errors.New("store is not open yet")

// store is ClickHouse, opened when it is there: a gateway whose store is away serves events.
type store struct {
	cfg clickhouse.Config
	set Settings

	mu   sync.Mutex
	open *clickhouse.Store
}

func newStore(cfg clickhouse.Config, set Settings) *store { return &store{cfg: cfg, set: set} }

// Query asks the store; it fails while the store is not open.
func (s *store) Query(ctx context.Context, query string, args ...any) (driver.Rows, error) {
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	if open == nil {
		return nil, errNotOpen
	}
	return open.Conn().Query(ctx, query, args...)
}

// ping opens the store if it is not open, and asks for an answer. One goroutine calls it.
func (s *store) ping(ctx context.Context) error {
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	if open != nil {
		return open.Ping(ctx)
	}
	set := clickhouse.Settings{ReadOnly: true}
	if s.set.Engine != nil {
		set.Engine = s.set.Engine()
	}
	opened, err := clickhouse.Open(ctx, s.cfg, set)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = opened
	return nil
}

func (s *store) close(ctx context.Context) error {
	if s.open == nil {
		return nil
	}
	return s.open.Close(context.WithoutCancel(ctx)) // no statement is left to wait for
}

// probe keeps the health service and the metrics up to date on what the gateway depends on.
type probe struct {
	interval time.Duration
	store    *store
	conn     *bus.Conn
	server   *grpcserver.Server
	needs    *dependencies
}

// dependencies are what the gateway needs, as it was when last asked.
type dependencies struct {
	up *prometheus.GaugeVec

	mu    sync.Mutex
	known map[string]bool
}

func (d *dependencies) set(name string, up bool) {
	value := 0.0
	if up {
		value = 1
	}
	d.up.WithLabelValues(name).Set(value)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[string]bool{}
	}
	d.known[name] = up
}

// list returns them for a person.
func (d *dependencies) list() []*controlv1.Dependency {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []*controlv1.Dependency
	for _, name := range slices.Sorted(maps.Keys(d.known)) {
		dependency := &controlv1.Dependency{Name: name, Up: d.known[name]}
		if !dependency.GetUp() {
			dependency.Problem = "it does not answer; the gateway's log has the cause"
		}
		all = append(all, dependency)
	}
	return all
}

// probeTimeout bounds a probe.
const probeTimeout = 5 * time.Second

// run probes until ctx is done. It closes probed after the first time.
func (p probe) run(ctx context.Context, probed chan<- struct{}) {
	ticker := time.NewTicker(p.interval)
	defer ticker.Stop()
	last := p.probeStore(ctx, nil)
	close(probed)
	for ; ; last = p.probeStore(ctx, last) {
		p.set("bus", p.conn.NATS().IsConnected(), onBus...)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// probeStore logs changes only: a store may be away for long.
func (p probe) probeStore(ctx context.Context, last error) error {
	probing, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := p.store.ping(probing)
	if ctx.Err() != nil {
		return err
	}
	p.set("store", err == nil, onStore...)
	switch {
	case err != nil && last == nil:
		p.store.set.Logger.Warn("store is away", slog.Any("err", err))
	case err == nil && last != nil:
		p.store.set.Logger.Info("store is back")
	}
	return err
}

// What services need to answer, for the health service.
var (
	onBus = []string{
		controlv1.EventService_ServiceDesc.ServiceName, controlv1.IntegrationService_ServiceDesc.ServiceName,
		controlv1.ApiTokenService_ServiceDesc.ServiceName,
	}
	onStore = []string{
		controlv1.SignInService_ServiceDesc.ServiceName, controlv1.DirectoryService_ServiceDesc.ServiceName,
		controlv1.AuditService_ServiceDesc.ServiceName,
	}
)

func (p probe) set(dependency string, up bool, services ...string) {
	for _, service := range services {
		p.server.SetServing(service, up)
	}
	p.needs.set(dependency, up)
}
