package entra

import (
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/state"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// AddTenant adds a tenant and returns its directory id. Its error is ErrExists or the configuration's.
func (s *Server) AddTenant(cfg TenantConfig) (string, error) {
	if err := cfg.Validate(); err != nil {
		return "", err
	}
	return s.state.AddTenant(cfg)
}

// Tenant returns what a tenant holds, for truth. Its error is ErrNotFound.
func (s *Server) Tenant(id string) (Source, error) {
	t, err := s.state.Tenant(id)
	if err != nil {
		return nil, err
	}
	return t.Source, nil
}

// SetLicence changes what a tenant has bought. Its error is ErrNotFound, or that of a licence that does not exist.
func (s *Server) SetLicence(tenantID string, licence tenant.Licence) error {
	return s.state.SetLicence(tenantID, licence)
}

// SetLicenceTrap says whether the licence check of sign-ins fails for apps without Directory.Read.All. Its error is
// ErrNotFound.
func (s *Server) SetLicenceTrap(tenantID string, on bool) error {
	return s.state.SetLicenceTrap(tenantID, on)
}

// AddApp adds an app with its credentials and grants. Its error is ErrExists, ErrNotFound for a grant's tenant, or the
// configuration's; then nothing was added.
func (s *Server) AddApp(cfg AppConfig) error { return s.state.AddApp(cfg) }

// AddIssuer adds a key that verifies federated assertions of an issuer.
func (s *Server) AddIssuer(cfg IssuerConfig) error { return s.state.AddIssuer(cfg) }

// AddSecret adds a secret to an app and returns its key id. Its error is ErrNotFound.
func (s *Server) AddSecret(clientID string, secret SecretConfig) (keyID string, err error) {
	return s.state.AddSecret(clientID, secret)
}

// ExpireSecret ends a secret of an app now; an empty keyID means all it has. Its error is ErrNotFound.
func (s *Server) ExpireSecret(clientID, keyID string) error {
	return s.state.ExpireSecret(clientID, keyID, s.clock.Now().Add(-time.Second))
}

// RemoveSecret takes a secret away from an app: it is wrong then, not expired. Its error is ErrNotFound.
func (s *Server) RemoveSecret(clientID, keyID string) error {
	return s.state.RemoveSecret(clientID, keyID)
}

// Secrets describes an app's secrets. Its error is ErrNotFound.
func (s *Server) Secrets(clientID string) ([]SecretInfo, error) {
	app, err := s.state.App(clientID)
	if err != nil {
		return nil, err
	}
	return app.Secrets(), nil
}

// SetGrant puts an app into a tenant, or replaces what it has there. Its error is ErrNotFound.
func (s *Server) SetGrant(clientID string, grant GrantConfig) error {
	return s.state.SetGrant(clientID, grant)
}

// RemoveGrant takes an app out of a tenant. Its error is ErrNotFound.
func (s *Server) RemoveGrant(clientID, tenantID string) error {
	return s.state.RemoveGrant(clientID, tenantID)
}

// SetConsents replaces the application permissions that an app has consent for in a tenant. Tokens that were issued
// keep theirs. Its error is ErrNotFound.
func (s *Server) SetConsents(clientID, tenantID string, consents []string) error {
	return s.state.ChangeGrant(clientID, tenantID, func(g *state.Grant) { g.Consents = consents })
}

// SetDisabled disables or enables an app in a tenant. Its error is ErrNotFound.
func (s *Server) SetDisabled(clientID, tenantID string, disabled bool) error {
	return s.state.ChangeGrant(clientID, tenantID, func(g *state.Grant) { g.Disabled = disabled })
}

// ForceError makes an app's token requests in a tenant fail with an AADSTS number, known or not; 0 ends that. Its error
// is ErrNotFound.
func (s *Server) ForceError(clientID, tenantID string, code int) error {
	return s.state.ChangeGrant(clientID, tenantID, func(g *state.Grant) { g.ForceError = code })
}

// SetThrottle switches the limits on or off and scales them. Its error is the configuration's.
func (s *Server) SetThrottle(cfg ThrottleConfig) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	s.throttle.Set(cfg.settings())
	return nil
}

// Throttle returns how the limits are kept.
func (s *Server) Throttle() ThrottleConfig {
	set := s.throttle.Settings()
	return ThrottleConfig{Mode: string(set.Mode), Scale: set.Scale}
}

// Counters returns the requests and 429s by bucket, tenant and app, in that order. Buckets are login, reports,
// sign_in_activity, identity_protection and directory.
func (s *Server) Counters() []Counter { return s.throttle.Counters() }

// ResetCounters forgets the counters; what was spent of the limits stays spent.
func (s *Server) ResetCounters() { s.throttle.ResetCounters() }

// InjectFault adds a fault and returns its id. Its error is ErrBadFault.
func (s *Server) InjectFault(f Fault) (id string, err error) { return s.faults.Inject(f) }

// ClearFault removes a fault, or all if id is empty. Its error is ErrNoFault.
func (s *Server) ClearFault(id string) error { return s.faults.Clear(id) }

// Faults returns the faults that stand, in the order they were injected.
func (s *Server) Faults() []StandingFault { return s.faults.List() }

// Token returns an access token for Graph as an app in a tenant would get it, without asking for its credential. Its
// error is ErrNotFound.
func (s *Server) Token(tenantID, clientID string) (string, error) {
	return s.login.Issue(tenantID, clientID)
}
