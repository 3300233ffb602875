// Package people holds who can sign in to the simulated Entra, and their sign-ins under way: device codes (RFC 8628),
// authorization codes with PKCE (RFC 7636) and refresh tokens. Nobody has a password: whoever opens the pages, or the
// admin API, says who signs in. It keeps everything in memory, bounded, reads no request and signs no token.
package people

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/entraflow/entraflow/services/simulator/entra/state"
)

// Errors that callers branch on.
var (
	// ErrNotFound says that no person, code or token is that, or that it was used up or forgotten.
	ErrNotFound = errors.New("not found")
	// ErrPending says that nobody has decided on a device code yet.
	ErrPending = errors.New("nobody has decided yet")
	// ErrTooFast says that a device code is asked for sooner than its interval permits.
	ErrTooFast = errors.New("asked too soon")
	// ErrExpired says that a code was good once.
	ErrExpired = errors.New("expired")
	// ErrRefused says that the person did not want to sign in.
	ErrRefused = errors.New("refused")
	// ErrVerifier says that the code_verifier is not that of the code_challenge.
	ErrVerifier = errors.New("code_verifier does not match code_challenge")
	// ErrRedirect says that the redirect_uri is not that of the authorization request.
	ErrRedirect = errors.New("redirect_uri does not match")
)

// What is remembered at most; the oldest is forgotten first.
const (
	maxCodes   = 1_000
	maxRefresh = 10_000
)

// Person is somebody at one moment. It does not change.
type Person struct {
	// Username is the user principal name, Name is for people to read.
	Username string   `json:"username"`
	Name     string   `json:"name"`
	Roles    []string `json:"roles"`
}

// ObjectID is the person's id in a tenant. It derives from the username, so that it outlives the simulator.
func (p Person) ObjectID(tenantID string) string {
	return state.DerivedID("person", tenantID, p.Username)
}

// SignIn is what somebody signed in for.
type SignIn struct {
	Username string
	// Tenant is the tenant's name as the client wrote it, TenantID its id.
	Tenant, TenantID string
	// Scopes are those asked for. Nonce goes into the identity token.
	Scopes []string
	Nonce  string
}

// People is safe for concurrent use.
type People struct {
	cfg Config
	now func() time.Time

	mu      sync.Mutex
	persons []Person
	skew    time.Duration
	devices bounded[*device]
	codes   bounded[authorization]
	refresh bounded[SignIn]
}

// New returns the people of a configuration. The configuration is valid.
func New(cfg Config, now func() time.Time) *People {
	p := &People{cfg: cfg, now: now, devices: newBounded[*device](maxCodes), codes: newBounded[authorization](maxCodes), refresh: newBounded[SignIn](maxRefresh)}
	for _, one := range cfg.Persons {
		p.persons = append(p.persons, Person{Username: one.Username, Name: one.Name, Roles: slices.Clone(one.Roles)})
	}
	return p
}

// Config is the configuration People was made with.
func (p *People) Config() Config { return p.cfg }

// All returns everybody.
func (p *People) All() []Person {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.persons)
}

// Find returns a person by username, or by what is before its @ if that is one person. Its error is ErrNotFound.
func (p *People) Find(username string) (Person, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, err := p.find(username)
	if err != nil {
		return Person{}, err
	}
	return p.persons[i], nil
}

func (p *People) find(username string) (int, error) {
	found := -1
	for i, one := range p.persons {
		local, _, _ := strings.Cut(one.Username, "@")
		switch {
		case strings.EqualFold(one.Username, username):
			return i, nil
		case strings.EqualFold(local, username) && found >= 0:
			return 0, ErrNotFound
		case strings.EqualFold(local, username):
			found = i
		}
	}
	if found < 0 {
		return 0, ErrNotFound
	}
	return found, nil
}

// SetRoles replaces what a person may do; tokens that were issued keep theirs. Its error is ErrNotFound.
func (p *People) SetRoles(username string, roles []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, err := p.find(username)
	if err != nil {
		return err
	}
	p.persons[i].Roles = slices.Clone(roles)
	return nil
}

// SetSkew says how far the clock that people's tokens are stamped with is ahead; negative is behind.
func (p *People) SetSkew(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skew = d
}

// Skew is what SetSkew set.
func (p *People) Skew() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.skew
}

// AddRefresh remembers a sign-in and returns the token that renews it.
func (p *People) AddRefresh(s SignIn) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	token := random()
	p.refresh.add(token, s)
	return token
}

// Refresh returns the sign-in of a token. The token stays good, as Entra's do: who renews adds another and the client
// forgets this one. Its error is ErrNotFound.
func (p *People) Refresh(token string) (SignIn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.refresh.values[token]
	if !ok {
		return SignIn{}, ErrNotFound
	}
	return s, nil
}

// random is a value that cannot be guessed.
func random() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// bounded is a map that forgets what was added first.
type bounded[V any] struct {
	limit  int
	values map[string]V
	order  []string
}

func newBounded[V any](limit int) bounded[V] {
	return bounded[V]{limit: limit, values: map[string]V{}}
}

func (b *bounded[V]) add(key string, value V) {
	if len(b.order) >= b.limit {
		delete(b.values, b.order[0])
		b.order = slices.Delete(b.order, 0, 1)
	}
	b.values[key] = value
	b.order = append(b.order, key)
}

// take returns a value and forgets it.
func (b *bounded[V]) take(key string) (V, bool) {
	value, ok := b.values[key]
	if ok {
		delete(b.values, key)
		b.order = slices.DeleteFunc(b.order, func(other string) bool { return other == key })
	}
	return value, ok
}
