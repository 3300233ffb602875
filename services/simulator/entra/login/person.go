package login

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/entraflow/entraflow/services/simulator/entra/people"
	"github.com/entraflow/entraflow/services/simulator/entra/state"
	"github.com/entraflow/entraflow/services/simulator/entra/throttle"
)

// Grants that people sign in with.
const (
	grantDevice  = "urn:ietf:params:oauth:grant-type:device_code"
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

func isPersonGrant(grant string) bool {
	return slices.Contains([]string{grantDevice, grantCode, grantRefresh}, grant)
}

// openIDScopes are those that are for no resource.
var openIDScopes = []string{"openid", "profile", "email", "offline_access"}

// issuePerson answers a token request of a person's grant.
func (l *Login) issuePerson(q request, r *http.Request, _ time.Time) ([]byte, *Error) {
	t, fault := l.checkClient(q)
	if fault != nil {
		return nil, fault
	}
	form := r.PostForm
	var s people.SignIn
	var err error
	switch form.Get("grant_type") {
	case grantDevice:
		s, err = l.set.People.Poll(form.Get("device_code"))
	case grantCode:
		s, err = l.set.People.Redeem(form.Get("code"), form.Get("redirect_uri"), form.Get("code_verifier"))
	case grantRefresh:
		s, err = l.set.People.Refresh(form.Get("refresh_token"))
	}
	if err != nil {
		return nil, grantFailure(q, form.Get("grant_type"), err)
	}
	if s.TenantID != t.ID() {
		return nil, failure(70000, q, "")
	}
	return l.answerPerson(q, r, s)
}

// checkClient finds the tenant and holds the client against the one registration that people sign in to.
func (l *Login) checkClient(q request) (*state.Tenant, *Error) {
	if q.clientID == "" {
		return nil, failure(900144, q, "client_id")
	}
	t, fault := l.findTenant(q)
	if fault != nil {
		return nil, fault
	}
	if d := l.set.Throttle.Take(throttle.BucketLogin, t.ID(), q.clientID, throttle.Login()); !d.OK {
		fault := failure(90055, q, "")
		fault.RetryAfter = int(d.RetryAfter / time.Second)
		return nil, fault
	}
	if !strings.EqualFold(q.clientID, l.set.People.Config().ClientID) {
		return nil, failure(700016, q, "")
	}
	return t, nil
}

func grantFailure(q request, grant string, err error) *Error {
	switch {
	case errors.Is(err, people.ErrPending):
		return failure(70016, q, "")
	case errors.Is(err, people.ErrTooFast):
		// RFC 8628 §3.5. Microsoft documents none.
		return &Error{Code: 70016, Status: http.StatusBadRequest, Name: "slow_down", Text: "Polling too often."}
	case errors.Is(err, people.ErrRefused):
		return failure(65004, q, "")
	case errors.Is(err, people.ErrExpired) && grant == grantDevice:
		return failure(70019, q, "")
	case errors.Is(err, people.ErrNotFound) && grant == grantDevice:
		return failure(70018, q, "")
	case errors.Is(err, people.ErrExpired):
		return failure(70008, q, "")
	case errors.Is(err, people.ErrVerifier):
		return failure(501481, q, "")
	case errors.Is(err, people.ErrRedirect):
		return failure(50011, q, "")
	}
	return failure(70000, q, "")
}

// checkScopes returns the scopes asked for. Others than OpenID's and the app's own are refused.
func (l *Login) checkScopes(q request, scope string) ([]string, *Error) {
	scopes := strings.Fields(scope)
	if len(scopes) == 0 {
		return nil, failure(900144, q, "scope")
	}
	for _, s := range scopes {
		if _, ours := l.set.People.Config().Resource(s); !ours && !slices.Contains(openIDScopes, s) {
			return nil, failure(70011, q, s)
		}
	}
	return scopes, nil
}

// answerPerson is the body for somebody who signed in.
func (l *Login) answerPerson(q request, r *http.Request, s people.SignIn) ([]byte, *Error) {
	person, err := l.set.People.Find(s.Username)
	if err != nil {
		return nil, failure(50034, q, s.Username)
	}
	issuer := baseURL(r) + "/" + s.Tenant + "/v2.0"
	access, err := l.signPerson(l.accessClaims(person, s, issuer, l.set.People.Config().TokenVersion))
	if err != nil {
		return nil, failure(90033, q, "")
	}
	seconds := int(l.set.TokenLifetime/time.Second) - 1 // as Entra: 3599
	answer := map[string]any{
		"token_type": "Bearer", "scope": strings.Join(s.Scopes, " "), "expires_in": seconds, "ext_expires_in": seconds, "access_token": access,
	}
	if slices.Contains(s.Scopes, "openid") {
		identity, err := l.signPerson(l.identityClaims(person, s, issuer))
		if err != nil {
			return nil, failure(90033, q, "")
		}
		answer["id_token"] = identity
	}
	if slices.Contains(s.Scopes, "offline_access") {
		answer["refresh_token"] = l.set.People.AddRefresh(s)
	}
	body, _ := json.Marshal(answer) // texts and numbers marshal
	return body, nil
}

// stamped has the times of a token by the issuer's clock, which may be wrong, and what says who signed in.
func (l *Login) stamped(p people.Person, s people.SignIn) jwt.MapClaims {
	now := l.set.Now().Add(l.set.People.Skew())
	return jwt.MapClaims{
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(l.set.TokenLifetime).Unix(),
		"oid": p.ObjectID(s.TenantID), "sub": state.DerivedID("pairwise", s.TenantID, p.Username, l.set.People.Config().ClientID),
		"tid": s.TenantID, "name": p.Name, "uti": newID(),
	}
}

// accessClaims are those of Entra's access tokens of a version (Access token claims reference). If no scope is the
// app's own, the token is for Graph.
func (l *Login) accessClaims(p people.Person, s people.SignIn, issuer string, version int) jwt.MapClaims {
	cfg := l.set.People.Config()
	claims := l.stamped(p, s)
	var permissions []string
	for _, scope := range s.Scopes {
		permission, ours := cfg.Resource(scope)
		if permission == ".default" {
			permission = "access_as_user"
		}
		if ours && !slices.Contains(permissions, permission) {
			permissions = append(permissions, permission)
		}
	}
	own := len(permissions) > 0
	if version == 2 && own {
		maps.Copy(claims, jwt.MapClaims{"iss": issuer, "aud": cfg.ClientID, "azp": cfg.ClientID, "azpacr": "0", "preferred_username": p.Username, "ver": "2.0"})
	} else {
		maps.Copy(claims, jwt.MapClaims{
			"iss": "https://sts.windows.net/" + s.TenantID + "/", "aud": cfg.AppIDURI, "appid": cfg.ClientID, "appidacr": "0",
			"upn": p.Username, "unique_name": p.Username, "ver": "1.0",
		})
	}
	if !own {
		claims["aud"] = GraphAppID
		return claims
	}
	claims["scp"] = strings.Join(permissions, " ")
	if len(p.Roles) > 0 {
		claims["roles"] = p.Roles
	}
	return claims
}

// identityClaims are those of an identity token (OpenID Connect Core §2).
func (l *Login) identityClaims(p people.Person, s people.SignIn, issuer string) jwt.MapClaims {
	claims := l.stamped(p, s)
	maps.Copy(claims, jwt.MapClaims{"iss": issuer, "aud": l.set.People.Config().ClientID, "preferred_username": p.Username, "ver": "2.0"})
	if s.Nonce != "" {
		claims["nonce"] = s.Nonce
	}
	if len(p.Roles) > 0 {
		claims["roles"] = p.Roles
	}
	return claims
}

func (l *Login) signPerson(claims jwt.MapClaims) (string, error) {
	signed, err := l.keys.current().sign(claims)
	if err != nil {
		return "", fmt.Errorf("signing a person's token: %w", err)
	}
	return signed, nil
}

// PersonToken asks for an access token of a person without a sign-in.
type PersonToken struct {
	// Tenant is the tenant's id, Username the person.
	Tenant   string `json:"tenant"`
	Username string `json:"username"`
	// Issuer is the iss of version 2; it is required for that, as this package does not know its own address.
	Issuer string `json:"issuer"`
	// Version is 1 or 2; 0 is as configured.
	Version int `json:"version"`
	// Claims replace those that the token would have; null takes one away.
	Claims map[string]any `json:"claims"`
}

// ErrIssuer says that PersonToken.Issuer is missing.
var ErrIssuer = errors.New("issuer must be set for tokens of version 2")

// IssuePerson returns the token. Its errors are state.ErrNotFound, people.ErrNotFound and ErrIssuer.
func (l *Login) IssuePerson(ask PersonToken) (string, error) {
	t, err := l.set.State.Tenant(ask.Tenant)
	if err != nil {
		return "", err
	}
	person, err := l.set.People.Find(ask.Username)
	if err != nil {
		return "", fmt.Errorf("finding the person: %w", err)
	}
	cfg := l.set.People.Config()
	if ask.Version == 0 {
		ask.Version = cfg.TokenVersion
	}
	if _, overridden := ask.Claims["iss"]; ask.Version == 2 && ask.Issuer == "" && !overridden {
		return "", ErrIssuer
	}
	s := people.SignIn{Username: person.Username, Tenant: t.ID(), TenantID: t.ID(), Scopes: []string{cfg.AppIDURI + "/.default"}}
	claims := l.accessClaims(person, s, ask.Issuer, ask.Version)
	maps.Copy(claims, ask.Claims)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return l.signPerson(claims)
}
