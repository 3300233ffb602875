// Package state holds what the simulated Entra knows: tenants with their licences, app registrations with their
// credentials, and which app has which consents in which tenant. It reads the files that certificates and keys are
// configured with, keeps secrets as hashes, and never returns one.
package state

import (
	"crypto/sha1" //nolint:gosec // x5t is the SHA-1 thumbprint by RFC 7515.
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/directory"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// Errors that callers branch on.
var (
	// ErrNotFound says that a tenant, app or secret does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a tenant or app exists already.
	ErrExists = errors.New("exists already")
)

// Source has a tenant's logs and objects. *tenant.Tenant is one.
type Source interface {
	directory.Base
	Page(log string, q tenant.Query, after tenant.Position, limit int) (records []tenant.Record, next tenant.Position, done bool)
	Truth(q tenant.Query) map[string]uint64
}

// Generate makes the Source of a tenant. Its error is that of the configuration.
func Generate(cfg tenant.Config) (Source, error) { return tenant.New(cfg) }

// Tenant is a tenant at one moment. It does not change, but what Directory holds does.
type Tenant struct {
	// Source's ID and licence are the tenant's.
	Source Source
	// Directory is what Source holds of the directory, and the changes made to it.
	Directory   *directory.Directory
	Domains     []string
	OtherCloud  bool
	LicenceTrap bool
}

// ID returns the directory id.
func (t *Tenant) ID() string { return t.Source.ID() }

// Licence returns what the tenant has bought.
func (t *Tenant) Licence() tenant.Licence { return t.Source.Config().Licence }

// App is an app registration at one moment. It does not change.
type App struct {
	ClientID, Name string
	Federated      []FederatedConfig
	SubjectNames   []string
	secrets        []secret
	certificates   []*x509.Certificate
}

type secret struct {
	keyID   string
	hash    [sha256.Size]byte
	expires time.Time
}

// Grant is an app's service principal in a tenant at one moment.
type Grant struct {
	// ObjectID is the service principal's.
	ObjectID   string
	Consents   []string
	Disabled   bool
	ForceError int
}

// SecretState is the outcome of CheckSecret.
type SecretState int

// The outcomes.
const (
	SecretWrong SecretState = iota
	SecretExpired
	SecretValid
)

// CheckSecret compares value with the app's secrets in constant time.
func (a *App) CheckSecret(value string, now time.Time) SecretState {
	hash := sha256.Sum256([]byte(value))
	state := SecretWrong
	for _, s := range a.secrets {
		if subtle.ConstantTimeCompare(hash[:], s.hash[:]) != 1 {
			continue
		}
		if s.expires.IsZero() || now.Before(s.expires) {
			return SecretValid
		}
		state = SecretExpired
	}
	return state
}

// Certificate returns the registered certificate with a thumbprint in base64url, of SHA-256 or of SHA-1, or nil.
func (a *App) Certificate(sha256Print, sha1Print string) *x509.Certificate {
	for _, c := range a.certificates {
		s2, s1 := sha256.Sum256(c.Raw), sha1.Sum(c.Raw) //nolint:gosec // see the import
		if sha256Print != "" && sha256Print == base64.RawURLEncoding.EncodeToString(s2[:]) ||
			sha256Print == "" && sha1Print == base64.RawURLEncoding.EncodeToString(s1[:]) {
			return c
		}
	}
	return nil
}

type grantKey struct{ tenant, app string }

// State is safe for concurrent use.
type State struct {
	now     func() time.Time
	source  func(tenant.Config) (Source, error)
	mu      sync.RWMutex
	tenants map[string]*Tenant
	apps    map[string]*App
	grants  map[grantKey]*Grant
	issuers map[string][]any
}

// New returns a state without tenants. now is the clock for tenants without an end; source makes what they hold.
func New(now func() time.Time, source func(tenant.Config) (Source, error)) *State {
	return &State{
		now: now, source: source, tenants: map[string]*Tenant{}, apps: map[string]*App{},
		grants: map[grantKey]*Grant{}, issuers: map[string][]any{},
	}
}

// AddTenant adds a tenant and returns its id. Its error is ErrExists or the configuration's.
func (s *State) AddTenant(cfg TenantConfig) (string, error) {
	if cfg.End.IsZero() {
		cfg.End = s.now().UTC().Truncate(time.Second)
	}
	source, err := s.source(cfg.Config)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := source.ID()
	if s.tenants[id] != nil {
		return "", fmt.Errorf("adding tenant %s: %w", id, ErrExists)
	}
	changed := directory.New(source, directory.Schedule{Rate: cfg.Changes.Rate, Seed: cfg.Changes.Seed})
	s.tenants[id] = &Tenant{Source: source, Directory: changed, Domains: cfg.Domains, OtherCloud: cfg.OtherCloud, LicenceTrap: cfg.LicenceTrap}
	return id, nil
}

// Tenant returns the tenant with an id or domain, in whatever case, or ErrNotFound.
func (s *State) Tenant(name string) (*Tenant, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	name = strings.ToLower(name)
	if t := s.tenants[name]; t != nil {
		return t, nil
	}
	for _, t := range s.tenants {
		if slices.ContainsFunc(t.Domains, func(d string) bool { return strings.EqualFold(d, name) }) {
			return t, nil
		}
	}
	return nil, fmt.Errorf("finding tenant: %w", ErrNotFound)
}

// Tenants returns all tenants in the order of their ids.
func (s *State) Tenants() []*Tenant {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.tenants), func(a, b *Tenant) int { return strings.Compare(a.ID(), b.ID()) })
}

// changeTenant replaces a tenant by a changed copy.
func (s *State) changeTenant(id string, change func(*Tenant) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[strings.ToLower(id)]
	if t == nil {
		return fmt.Errorf("changing tenant: %w", ErrNotFound)
	}
	changed := *t
	if err := change(&changed); err != nil {
		return err
	}
	s.tenants[t.ID()] = &changed
	return nil
}

// SetLicence changes what a tenant has bought. Its error is ErrNotFound, or that of a licence that does not exist.
func (s *State) SetLicence(id string, licence tenant.Licence) error {
	return s.changeTenant(id, func(t *Tenant) error {
		cfg := t.Source.Config()
		cfg.Licence = licence
		source, err := s.source(cfg)
		if err != nil {
			return err
		}
		t.Source = source
		t.Directory.Rebase(source)
		return nil
	})
}

// SetLicenceTrap switches the trap of the licence check of sign-ins. Its error is ErrNotFound.
func (s *State) SetLicenceTrap(id string, on bool) error {
	return s.changeTenant(id, func(t *Tenant) error { t.LicenceTrap = on; return nil })
}

// AddIssuer adds a key that verifies assertions of an issuer, next to those it has.
func (s *State) AddIssuer(cfg IssuerConfig) error {
	text, err := content(cfg.KeyFile, cfg.PEM)
	if err != nil {
		return err
	}
	key, err := parsePublicKey(text)
	if err != nil {
		return fmt.Errorf("reading the key of an issuer: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuers[cfg.Issuer] = append(s.issuers[cfg.Issuer], key)
	return nil
}

// IssuerKeys returns the public keys of an issuer.
func (s *State) IssuerKeys(issuer string) []any {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.issuers[issuer])
}

func content(file, text string) ([]byte, error) {
	if file == "" {
		return []byte(text), nil
	}
	b, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading PEM file: %w", err)
	}
	return b, nil
}

// DerivedID is a GUID that depends on its parts alone.
func DerivedID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
