package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/entraflow/entraflow/pkg/clock"
)

// algorithms are the asymmetric ones of RFC 7518 and RFC 8037. With HS256 a public key could be
// used as a secret.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Settings is what the program sets.
type Settings struct {
	// Clock tells whether tokens are valid; the zero Clock is the real one.
	Clock clock.Clock
	// Logger is told when the issuer goes away and comes back; nil is silence.
	Logger *slog.Logger
	// Transport carries requests to the issuer; nil is the network, with Config.CAFile and
	// the proxy of the environment.
	Transport http.RoundTripper
}

// Verifier checks tokens. It is safe for concurrent use and has nothing to close.
type Verifier struct {
	cfg    Config
	clock  clock.Clock
	issuer *issuer
}

// New checks the configuration, which must have an issuer. It opens nothing: the issuer is asked
// for its keys at the first token.
func New(cfg Config, set Settings) (*Verifier, error) {
	if !cfg.Enabled() {
		return nil, errors.New("building the verifier of tokens: no issuer is set")
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if set.Logger == nil {
		set.Logger = slog.New(slog.DiscardHandler)
	}
	return &Verifier{cfg: cfg, clock: set.Clock, issuer: &issuer{cfg: cfg, set: set}}, nil
}

// Verify checks a token, without the word Bearer, and returns what it claims; with ErrNoRole,
// too, who it is. Its errors are those of this package. It waits for the issuer at most Config.Timeout, at the first token,
// when keys are older than KeysConfig.Refresh, and for tokens of unknown keys; ErrIssuerAway is
// remembered for a second at first and a minute at last. If ctx ends while another call
// waits for the issuer, the error is ctx's.
//
// Checks are those of RFC 7519 §7.2, RFC 8725 §3 and OpenID Connect Core §3.1.3.7 but nonce.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	jws, err := parse(token)
	if err != nil {
		return Claims{}, err
	}
	unsafe, err := readPayload(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return Claims{}, err
	}
	// Before the signature: tokens of others make nobody ask for keys.
	if iss := unsafe.text("iss"); iss != v.cfg.Issuer && !slices.Contains(v.cfg.AcceptedIssuers, iss) {
		return Claims{}, ErrWrongIssuer
	}
	signed, err := v.signed(ctx, jws)
	if err != nil {
		return Claims{}, err
	}
	p, err := readPayload(signed)
	if err != nil {
		return Claims{}, err
	}
	expires, err := v.checkTimes(p, v.clock.Now())
	if err != nil {
		return Claims{}, err
	}
	if !p.isFor(v.cfg.Audience) {
		return Claims{}, fmt.Errorf("%w: %s", ErrWrongAudience, strings.Join(v.cfg.Audience, " or "))
	}
	return v.claims(p, expires)
}

// parse reads the compact form and refuses algorithms and types that are no token's. The inner
// errors are dropped: they repeat what the token holds.
func parse(token string) (*jose.JSONWebSignature, error) {
	if len(token) > MaxToken {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrMalformed, MaxToken)
	}
	jws, err := jose.ParseSignedCompact(token, algorithms)
	if algorithm := (*jose.ErrUnexpectedSignatureAlgorithm)(nil); errors.As(err, &algorithm) {
		return nil, fmt.Errorf("%w: its algorithm is not trusted", ErrSignature)
	}
	if err != nil || len(jws.Signatures) != 1 {
		return nil, fmt.Errorf("%w: it is no JSON Web Token", ErrMalformed)
	}
	if typ, ok := jws.Signatures[0].Header.ExtraHeaders[jose.HeaderType]; ok && !isTokenType(typ) {
		return nil, fmt.Errorf("%w: it is of another type", ErrMalformed)
	}
	return jws, nil
}

// isTokenType is true of access tokens (RFC 9068) and of tokens of no type in particular.
func isTokenType(typ any) bool {
	text, _ := typ.(string)
	text = strings.TrimPrefix(strings.ToLower(text), "application/")
	return text == "jwt" || text == "at+jwt"
}

// signed returns the payload that a key of the issuer signed. If none did, the keys may be new:
// they are asked for again if it is time, and tried again if they changed.
func (v *Verifier) signed(ctx context.Context, jws *jose.JSONWebSignature) ([]byte, error) {
	keys, err := v.issuer.current(ctx)
	if err != nil {
		return nil, err
	}
	if payload, ok := keys.verify(jws); ok {
		return payload, nil
	}
	renewed, err := v.issuer.renewed(ctx, keys)
	if err != nil {
		return nil, err
	}
	if renewed != keys {
		if payload, ok := renewed.verify(jws); ok {
			return payload, nil
		}
	}
	return nil, ErrSignature
}

// checkTimes returns when the token ends.
func (v *Verifier) checkTimes(p payload, now time.Time) (time.Time, error) {
	expires, ok, err := p.date("exp")
	switch {
	case err != nil:
		return time.Time{}, err
	case !ok:
		return time.Time{}, fmt.Errorf("%w: it does not say when it expires", ErrMalformed)
	case !now.Before(expires.Add(v.cfg.Skew)):
		return time.Time{}, fmt.Errorf("%w: it did at %s", ErrExpired, expires.UTC().Format(time.RFC3339))
	}
	for _, name := range []string{"nbf", "iat"} {
		at, ok, err := p.date(name)
		if err != nil {
			return time.Time{}, err
		}
		if ok && now.Add(v.cfg.Skew).Before(at) {
			return time.Time{}, fmt.Errorf("%w: it begins at %s and it is %s here",
				ErrNotYetValid, at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
	}
	return expires, nil
}
