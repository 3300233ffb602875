package state

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// AddApp adds an app with its credentials and grants. Its error is ErrExists, ErrNotFound for a grant's tenant, or the
// configuration's; then nothing was added.
func (s *State) AddApp(cfg AppConfig) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("checking app: %w", err)
	}
	app := &App{ClientID: cfg.ClientID, Name: cfg.Name, Federated: cfg.Federated, SubjectNames: cfg.SubjectNames}
	for _, c := range cfg.Certificates {
		certificate, err := readCertificate(c)
		if err != nil {
			return err
		}
		app.certificates = append(app.certificates, certificate)
	}
	for _, c := range cfg.Secrets {
		app.secrets = append(app.secrets, newSecret(c))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apps[cfg.ClientID] != nil {
		return fmt.Errorf("adding app %s: %w", cfg.ClientID, ErrExists)
	}
	for _, g := range cfg.Grants {
		if s.tenants[g.Tenant] == nil {
			return fmt.Errorf("adding app to tenant %s: %w", g.Tenant, ErrNotFound)
		}
	}
	s.apps[cfg.ClientID] = app
	for _, g := range cfg.Grants {
		s.grants[grantKey{g.Tenant, cfg.ClientID}] = newGrant(g, cfg.ClientID)
	}
	return nil
}

func readCertificate(c CertificateConfig) (*x509.Certificate, error) {
	text, err := content(c.File, c.PEM)
	if err != nil {
		return nil, err
	}
	certificate, err := parseCertificate(text)
	if err != nil {
		return nil, fmt.Errorf("reading certificate of app: %w", err)
	}
	return certificate, nil
}

func newSecret(c SecretConfig) secret {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return secret{keyID: DerivedID(string(id)), hash: sha256.Sum256([]byte(c.Value.Reveal())), expires: c.Expires}
}

func newGrant(g GrantConfig, clientID string) *Grant {
	return &Grant{
		ObjectID: DerivedID("service principal", g.Tenant, clientID),
		Consents: slices.Clone(g.Consents), Disabled: g.Disabled, ForceError: g.ForceError,
	}
}

// App returns an app by its client id, in whatever case, or ErrNotFound.
func (s *State) App(clientID string) (*App, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if a := s.apps[strings.ToLower(clientID)]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("finding app: %w", ErrNotFound)
}

// Apps returns all apps in the order of their client ids.
func (s *State) Apps() []*App {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.apps), func(a, b *App) int { return strings.Compare(a.ClientID, b.ClientID) })
}

// Grant returns an app's service principal in a tenant, or ErrNotFound. tenantID is an id in lower case.
func (s *State) Grant(tenantID, clientID string) (Grant, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if g := s.grants[grantKey{tenantID, strings.ToLower(clientID)}]; g != nil {
		return *g, nil
	}
	return Grant{}, fmt.Errorf("finding app in tenant: %w", ErrNotFound)
}

func (s *State) changeApp(clientID string, change func(*App) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[strings.ToLower(clientID)]
	if a == nil {
		return fmt.Errorf("changing app: %w", ErrNotFound)
	}
	changed := *a
	changed.secrets = slices.Clone(a.secrets)
	if err := change(&changed); err != nil {
		return err
	}
	s.apps[a.ClientID] = &changed
	return nil
}

// AddSecret adds a secret to an app and returns its key id. Its error is ErrNotFound.
func (s *State) AddSecret(clientID string, c SecretConfig) (keyID string, err error) {
	added := newSecret(c)
	return added.keyID, s.changeApp(clientID, func(a *App) error {
		a.secrets = append(a.secrets, added)
		return nil
	})
}

// ExpireSecret ends a secret of an app at a time; an empty keyID means all. Its error is ErrNotFound.
func (s *State) ExpireSecret(clientID, keyID string, at time.Time) error {
	return s.eachSecret(clientID, keyID, func(one *secret) { one.expires = at })
}

func (s *State) eachSecret(clientID, keyID string, change func(*secret)) error {
	return s.changeApp(clientID, func(a *App) error {
		found := false
		for i := range a.secrets {
			if keyID == "" || a.secrets[i].keyID == keyID {
				change(&a.secrets[i])
				found = true
			}
		}
		if !found {
			return fmt.Errorf("finding secret of app: %w", ErrNotFound)
		}
		return nil
	})
}

// RemoveSecret takes a secret away. Its error is ErrNotFound.
func (s *State) RemoveSecret(clientID, keyID string) error {
	return s.changeApp(clientID, func(a *App) error {
		left := slices.DeleteFunc(slices.Clone(a.secrets), func(one secret) bool { return one.keyID == keyID })
		if len(left) == len(a.secrets) {
			return fmt.Errorf("finding secret of app: %w", ErrNotFound)
		}
		a.secrets = left
		return nil
	})
}

// SecretInfo describes a secret without it.
type SecretInfo struct {
	KeyID   string    `json:"key_id"`
	Expires time.Time `json:"expires,omitzero"`
}

// Secrets describes an app's secrets.
func (a *App) Secrets() []SecretInfo {
	infos := make([]SecretInfo, len(a.secrets))
	for i, s := range a.secrets {
		infos[i] = SecretInfo{KeyID: s.keyID, Expires: s.expires}
	}
	return infos
}

// SetGrant puts an app into a tenant, or changes what it has there. Its error is ErrNotFound.
func (s *State) SetGrant(clientID string, g GrantConfig) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clientID = strings.ToLower(clientID)
	if s.apps[clientID] == nil || s.tenants[g.Tenant] == nil {
		return fmt.Errorf("granting: app or tenant %w", ErrNotFound)
	}
	s.grants[grantKey{g.Tenant, clientID}] = newGrant(g, clientID)
	return nil
}

// RemoveGrant takes an app out of a tenant. Its error is ErrNotFound.
func (s *State) RemoveGrant(clientID, tenantID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := grantKey{tenantID, strings.ToLower(clientID)}
	if s.grants[key] == nil {
		return fmt.Errorf("finding app in tenant: %w", ErrNotFound)
	}
	delete(s.grants, key)
	return nil
}

// ChangeGrant changes a copy of what an app has in a tenant. Its error is ErrNotFound.
func (s *State) ChangeGrant(clientID, tenantID string, change func(*Grant)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := grantKey{tenantID, strings.ToLower(clientID)}
	g := s.grants[key]
	if g == nil {
		return fmt.Errorf("finding app in tenant: %w", ErrNotFound)
	}
	changed := *g
	change(&changed)
	s.grants[key] = &changed
	return nil
}
