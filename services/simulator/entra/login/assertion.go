package login

import (
	"crypto/sha1" //nolint:gosec // x5t is the SHA-1 thumbprint by RFC 7515.
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/entraflow/entraflow/services/simulator/entra/state"
)

const (
	bearerAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	clockSkew       = 5 * time.Minute
)

// authenticate checks the secret or the assertion.
func (l *Login) authenticate(q request, r *http.Request, app *state.App, now time.Time) *Error {
	form := r.PostForm
	if assertion := form.Get("client_assertion"); assertion != "" {
		if form.Get("client_assertion_type") != bearerAssertion {
			return failure(900144, q, "client_assertion_type")
		}
		return l.checkAssertion(q, r, app, assertion, now)
	}
	value := form.Get("client_secret")
	if _, password, ok := r.BasicAuth(); ok && value == "" {
		value = password
	}
	if value == "" {
		return failure(7000218, q, "")
	}
	switch app.CheckSecret(value, now) {
	case state.SecretValid:
		return nil
	case state.SecretExpired:
		return failure(7000222, q, "")
	}
	return failure(7000215, q, "")
}

func (l *Login) checkAssertion(q request, r *http.Request, app *state.App, assertion string, now time.Time) *Error {
	var claims jwt.RegisteredClaims
	token, _, err := jwt.NewParser().ParseUnverified(assertion, &claims)
	if err != nil {
		return failure(50027, q, "")
	}
	// An app signs for itself with a certificate; any other issuer is a federated one.
	if strings.EqualFold(claims.Issuer, q.clientID) || headerText(token, "x5t") != "" || headerText(token, "x5t#S256") != "" {
		return checkCertificate(q, r, app, token, claims, assertion, now)
	}
	return l.checkFederated(q, app, claims, assertion, now)
}

func headerText(token *jwt.Token, name string) string {
	text, _ := token.Header[name].(string)
	return text
}

// parse verifies an assertion's signature and lifetime with a key.
func parse(assertion string, key any, now time.Time, methods ...string) error {
	_, err := jwt.ParseWithClaims(assertion, &jwt.RegisteredClaims{}, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods(methods), jwt.WithTimeFunc(func() time.Time { return now }),
		jwt.WithLeeway(clockSkew), jwt.WithExpirationRequired())
	return err
}

func checkCertificate(q request, r *http.Request, app *state.App, token *jwt.Token, claims jwt.RegisteredClaims, assertion string, now time.Time) *Error {
	if !strings.EqualFold(claims.Issuer, q.clientID) || !strings.EqualFold(claims.Subject, q.clientID) {
		return failure(700021, q, "")
	}
	certificate, fault := findCertificate(q, app, token)
	if fault != nil {
		return fault
	}
	thumbprint := sha1.Sum(certificate.Raw) //nolint:gosec // see the import
	named := fmt.Sprintf("Thumbprint of key used by client: '%s'", strings.ToUpper(hex.EncodeToString(thumbprint[:])))
	switch err := parse(assertion, certificate.PublicKey, now, "RS256", "PS256"); {
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued),
		errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return failure(700024, q, validRange(claims, now))
	case err != nil:
		return failure(700027, q, "The key used is not the one of the certificate., "+named)
	case now.After(certificate.NotAfter.Add(clockSkew)) || now.Before(certificate.NotBefore.Add(-clockSkew)):
		return failure(1000502, q, "")
	case !slices.ContainsFunc(claims.Audience, func(a string) bool { return isTokenEndpoint(a, r) }):
		return failure(700027, q, "The assertion's audience is not the token endpoint., "+named)
	}
	return nil
}

func validRange(claims jwt.RegisteredClaims, now time.Time) string {
	show := func(d *jwt.NumericDate) string {
		if d == nil {
			return "not set"
		}
		return d.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("Current time: %s, assertion valid from %s, expiry time of assertion %s.",
		now.UTC().Format(time.RFC3339), show(claims.NotBefore), show(claims.ExpiresAt))
}

// thumbprintText is a header in unpadded base64url, as RFC 7515 has it; MSAL for Go pads it in plain base64.
func thumbprintText(token *jwt.Token, name string) string {
	return strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(headerText(token, name))
}

// findCertificate returns the registered certificate an assertion names, or the one it carries if the app accepts its
// subject.
func findCertificate(q request, app *state.App, token *jwt.Token) (*x509.Certificate, *Error) {
	s256, s1 := thumbprintText(token, "x5t#S256"), thumbprintText(token, "x5t")
	if c := app.Certificate(s256, s1); c != nil {
		return c, nil
	}
	if chain, _ := token.Header["x5c"].([]any); len(chain) > 0 && len(app.SubjectNames) > 0 {
		text, _ := chain[0].(string)
		der, _ := base64.StdEncoding.DecodeString(text)
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, failure(50027, q, "")
		}
		if slices.Contains(app.SubjectNames, c.Subject.String()) || slices.Contains(app.SubjectNames, c.Subject.CommonName) {
			return c, nil
		}
		return nil, failure(700030, q, c.Subject.String())
	}
	thumbprint := "not given"
	for _, text := range []string{s256, s1} {
		if b, err := base64.RawURLEncoding.DecodeString(text); err == nil && len(b) > 0 {
			thumbprint = strings.ToUpper(hex.EncodeToString(b))
			break
		}
	}
	return nil, failure(700027, q, "The key was not found., Thumbprint of key used by client: '"+thumbprint+"'")
}

// isTokenEndpoint accepts what Entra does: the token endpoint, v2.0 or v1, and the issuer.
func isTokenEndpoint(audience string, r *http.Request) bool {
	base := baseURL(r) + "/" + r.PathValue("tenant")
	for _, path := range []string{"/oauth2/v2.0/token", "/oauth2/token", "/v2.0", "/", ""} {
		if strings.EqualFold(audience, base+path) {
			return true
		}
	}
	return false
}

func (l *Login) checkFederated(q request, app *state.App, claims jwt.RegisteredClaims, assertion string, now time.Time) *Error {
	match := func(test func(state.FederatedConfig) bool) bool { return slices.ContainsFunc(app.Federated, test) }
	issuer := func(f state.FederatedConfig) bool { return f.Issuer == claims.Issuer }
	subject := func(f state.FederatedConfig) bool { return issuer(f) && f.Subject == claims.Subject }
	audience := func(f state.FederatedConfig) bool { return subject(f) && slices.Contains(claims.Audience, f.Audience) }
	switch {
	case !match(issuer):
		return failure(700211, q, claims.Issuer)
	case !match(subject):
		return failure(700213, q, claims.Subject)
	case !match(audience):
		return failure(700212, q, strings.Join(claims.Audience, " "))
	}
	keys := l.set.State.IssuerKeys(claims.Issuer)
	err := errors.New("the issuer has no keys")
	for _, key := range keys {
		err = parse(assertion, key, now, "RS256", "PS256", "RS384", "RS512", "ES256", "EdDSA")
		if err == nil || errors.Is(err, jwt.ErrTokenExpired) {
			break
		}
	}
	switch {
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return failure(700024, q, validRange(claims, now))
	case err != nil:
		return failure(50013, q, "The key was not found.")
	}
	return nil
}
