package people

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"time"
)

// codeLifetime is that of authorization codes; Entra's live about as long.
const codeLifetime = 10 * time.Minute

// authorization is what an authorization code stands for.
type authorization struct {
	SignIn
	redirect, challenge string
	expires             time.Time
}

// AddCode remembers a sign-in by a browser and returns its code. The challenge is by S256.
func (p *People) AddCode(s SignIn, redirect, challenge string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	code := random()
	p.codes.add(code, authorization{s, redirect, challenge, p.now().Add(codeLifetime)})
	return code
}

// Redeem uses a code up, even if it fails. Its errors are ErrNotFound, ErrExpired, ErrRedirect and ErrVerifier.
func (p *People) Redeem(code, redirect, verifier string) (SignIn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.codes.take(code)
	sum := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case !ok:
		return SignIn{}, ErrNotFound
	case !p.now().Before(a.expires):
		return SignIn{}, ErrExpired
	case a.redirect != redirect:
		return SignIn{}, ErrRedirect
	case subtle.ConstantTimeCompare([]byte(a.challenge), []byte(challenge)) != 1:
		return SignIn{}, ErrVerifier
	}
	return a.SignIn, nil
}
