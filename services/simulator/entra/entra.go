// Package entra plays Microsoft's side of Entra ID: the login host and Microsoft Graph, on one http.Handler, such that
// unmodified azidentity and msgraph-sdk-go cannot tell it from the real thing. It reads the PEM files of its
// configuration, makes the secret file of a quick tenant, opens no listener, and contacts nobody. Its state can be
// changed while it serves. It logs nothing, and returns no secret.
package entra

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/entra/fault"
	"github.com/entraflow/entraflow/services/simulator/entra/graph"
	"github.com/entraflow/entraflow/services/simulator/entra/login"
	"github.com/entraflow/entraflow/services/simulator/entra/people"
	"github.com/entraflow/entraflow/services/simulator/entra/state"
	"github.com/entraflow/entraflow/services/simulator/entra/throttle"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// Names of the packages below that callers need.
type (
	// Fault is a fault to inject.
	Fault = fault.Fault
	// StandingFault is a fault that waits for requests.
	StandingFault = fault.Standing
	// Counter counts one bucket's requests of an app in a tenant.
	Counter = throttle.Counter
	// Source has a tenant's logs and objects.
	Source = state.Source
	// SecretInfo describes a secret without it.
	SecretInfo = state.SecretInfo
)

// Errors that callers branch on.
var (
	// ErrNotFound says that a tenant, app, secret or grant does not exist.
	ErrNotFound = state.ErrNotFound
	// ErrExists says that a tenant or app exists already.
	ErrExists = state.ErrExists
	// ErrBadFault says that a fault's fields make no sense.
	ErrBadFault = fault.ErrBad
	// ErrNoFault says that no fault has that id.
	ErrNoFault = fault.ErrNotFound
)

// Settings is what the program sets.
type Settings struct {
	// Clock tells the time; the zero Clock is the real one. Records become visible, tokens expire and limits recover
	// by it.
	Clock clock.Clock
	// Source makes what a tenant holds; nil is the generator of package tenant.
	Source func(tenant.Config) (Source, error)
}

// Quick tells how to use the tenant of QuickConfig.
type Quick struct {
	TenantID   string `json:"tenant_id"`
	ClientID   string `json:"client_id"`
	SecretFile string `json:"secret_file"`
}

// Server is an http.Handler. It is safe for concurrent use and has nothing to close.
type Server struct {
	cfg      Config
	clock    clock.Clock
	state    *state.State
	throttle *throttle.Throttle
	faults   *fault.Set
	people   *people.People
	login    *login.Login
	graph    *graph.Graph
	quick    Quick
}

// New checks the configuration and builds a server with its tenants and apps. It reads PEM files; it listens nowhere.
func New(cfg Config, set Settings) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if set.Source == nil {
		set.Source = state.Generate
	}
	s := &Server{
		cfg: cfg, clock: set.Clock, state: state.New(set.Clock.Now, set.Source),
		throttle: throttle.New(cfg.Throttle.settings(), set.Clock.Now), faults: &fault.Set{},
		people: people.New(cfg.People, set.Clock.Now),
	}
	s.login = login.New(login.Settings{
		State: s.state, People: s.people, Throttle: s.throttle, Now: set.Clock.Now,
		TokenLifetime: cfg.TokenLifetime, CAETokenLifetime: cfg.CAETokenLifetime,
	})
	s.graph = graph.New(graph.Settings{
		State: s.state, Throttle: s.throttle, Faults: s.faults, Now: set.Clock.Now, Sleep: s.sleep,
		Verify: s.login.Verify, KeepPath: cfg.KeepPath, Delta: cfg.Delta.settings(),
	})
	if err := s.populate(); err != nil {
		return nil, err
	}
	return s, nil
}

// populate adds what the configuration lists.
func (s *Server) populate() error {
	for _, t := range s.cfg.Tenants {
		if _, err := s.AddTenant(t); err != nil {
			return err
		}
	}
	for _, a := range s.cfg.Apps {
		if err := s.AddApp(a); err != nil {
			return err
		}
	}
	faults := s.cfg.Faults
	if s.cfg.Latency > 0 {
		faults = append(slices.Clip(faults), Fault{Kind: fault.Latency, Delay: s.cfg.Latency})
	}
	for _, f := range faults {
		if _, err := s.faults.Inject(f); err != nil {
			return err
		}
	}
	for _, i := range s.cfg.Issuers {
		if err := s.state.AddIssuer(i); err != nil {
			return err
		}
	}
	return nil
}

// StartQuick adds the tenant of QuickConfig, if it is enabled, and makes its secret file.
func (s *Server) StartQuick() (Quick, error) {
	q := s.cfg.Quick
	if !q.Enabled || s.quick.TenantID != "" {
		return s.quick, nil
	}
	secret, err := config.EnsureSecretFile(q.SecretFile)
	if err != nil {
		return Quick{}, fmt.Errorf("making the secret of the quick tenant: %w", err)
	}
	id, err := s.AddTenant(q.Tenant)
	if err != nil {
		return Quick{}, err
	}
	clientID := state.DerivedID("quick app", id)
	err = s.AddApp(AppConfig{
		ClientID: clientID, Name: "Entraflow", Secrets: []SecretConfig{{Value: secret}},
		Grants: []GrantConfig{{Tenant: id, Consents: ReadPermissions()}},
	})
	if err != nil {
		return Quick{}, err
	}
	s.quick = Quick{TenantID: id, ClientID: clientID, SecretFile: q.SecretFile}
	return s.quick, s.writeTruth(id, q.TruthFile)
}

// writeTruth writes a tenant's truth as of now.
func (s *Server) writeTruth(id, path string) error {
	one, err := s.state.Tenant(id)
	if err != nil || path == "" {
		return err
	}
	one.Directory.Advance(s.clock.Now())
	t, err := tenant.New(one.Source.Config()) // a Source need not know its incidents; the generator does
	if err != nil {
		return fmt.Errorf("writing the truth of the quick tenant: %w", err)
	}
	var text bytes.Buffer
	if err := t.WriteTruth(&text, tenant.Query{At: s.clock.Now()}, one.Directory.Counts()); err != nil {
		return fmt.Errorf("writing the truth of the quick tenant: %w", err)
	}
	if err := os.WriteFile(path, text.Bytes(), truthMode); err != nil {
		return fmt.Errorf("writing the truth of the quick tenant: %w", err)
	}
	return nil
}

// truthMode is the mode of a truth file: a simulated tenant has no secrets.
const truthMode = 0o644

func (s *Server) sleep(r *http.Request, d time.Duration) error { return s.clock.Sleep(r.Context(), d) }

// ServeHTTP is the login host and Graph: paths of v1.0 and beta are Graph's.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if graph.IsPath(r.URL.Path) {
		s.graph.ServeHTTP(w, r)
		return
	}
	if s.spoilLogin(w, r) {
		return
	}
	s.login.ServeHTTP(w, r)
}

// spoilLogin answers in place of the login host if a fault says so. A fault that names an app does not hit it: who asks
// is in the form, which is the login host's to read.
func (s *Server) spoilLogin(w http.ResponseWriter, r *http.Request) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if t, err := s.state.Tenant(name); err == nil {
		name = t.ID()
	}
	hits := s.faults.Draw(fault.Request{Tenant: name, Path: r.URL.Path},
		fault.Slow, fault.Throttle, fault.Unavailable, fault.GatewayTimeout, fault.BadGateway)
	for _, f := range hits {
		if f.Kind == fault.Slow {
			if s.clock.Sleep(r.Context(), f.Delay) != nil {
				panic(http.ErrAbortHandler) // the client is gone
			}
			continue
		}
		if f.Kind == fault.Throttle {
			s.throttle.CountFault(throttle.BucketLogin, name, "")
		}
		graph.WriteFault(w, r, f, s.clock.Now())
		return true
	}
	return false
}

// Now is the time of the server's clock.
func (s *Server) Now() time.Time { return s.clock.Now() }
