package login

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // Entra's key ids are SHA-1 thumbprints.
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const keyBits = 2048

var errUnknownKey = errors.New("the signing key is not known, or was taken back")

// ring is the signing keys: the last one signs, those before it verify until they are taken back. The first key is made
// when it is first needed: that takes a third of a second.
type ring struct {
	now func() time.Time

	mu   sync.Mutex
	keys []signingKey
}

type signingKey struct {
	id      string
	private *rsa.PrivateKey
	// until is when a key that was replaced is taken back; zero is never.
	until time.Time
}

// current returns the key that signs.
func (r *ring) current() signingKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) == 0 {
		r.keys = append(r.keys, newKey())
	}
	return r.keys[len(r.keys)-1]
}

// all returns the keys that verify.
func (r *ring) all() []signingKey {
	r.current()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire()
	return slices.Clone(r.keys)
}

func (r *ring) expire() {
	now := r.now()
	r.keys = slices.DeleteFunc(r.keys, func(k signingKey) bool { return !k.until.IsZero() && !now.Before(k.until) })
}

// rotate signs with a new key and keeps all others for a time; 0 takes them back at once. It returns the new key's id.
func (r *ring) rotate(keep time.Duration) string {
	r.current()
	key := newKey()
	r.mu.Lock()
	defer r.mu.Unlock()
	until := r.now().Add(keep)
	for i, k := range r.keys {
		if k.until.IsZero() || until.Before(k.until) {
			r.keys[i].until = until
		}
	}
	r.expire()
	r.keys = append(r.keys, key)
	return key.id
}

// find is a jwt.Keyfunc.
func (r *ring) find(token *jwt.Token) (any, error) {
	for _, k := range r.all() {
		if k.id == token.Header["kid"] {
			return k.private.Public(), nil
		}
	}
	return nil, errUnknownKey
}

func newKey() signingKey {
	private, _ := rsa.GenerateKey(rand.Reader, keyBits) // never fails for 2048 bits
	sum := sha1.Sum(x509.MarshalPKCS1PublicKey(&private.PublicKey))
	return signingKey{id: base64.RawURLEncoding.EncodeToString(sum[:]), private: private}
}

// sign makes a token of claims.
func (k signingKey) sign(claims jwt.Claims) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"], token.Header["x5t"] = k.id, k.id
	return token.SignedString(k.private)
}

// set is a JSON Web Key Set of the public keys.
func (r *ring) set(issuer string) map[string]any {
	var all []map[string]any
	for _, k := range r.all() {
		all = append(all, map[string]any{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.id, "x5t": k.id,
			"n":      base64.RawURLEncoding.EncodeToString(k.private.N.Bytes()),
			"e":      base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.private.E)).Bytes()),
			"issuer": issuer,
		})
	}
	return map[string]any{"keys": all}
}

// Rotate signs with a new key from now on. The keys before it are told, and verify, for as long as keep; 0 takes them
// back at once. It returns the new key's id.
func (l *Login) Rotate(keep time.Duration) string { return l.keys.rotate(keep) }
