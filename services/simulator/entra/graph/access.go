package graph

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/entraflow/entraflow/services/simulator/entra/login"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// maxTokens bounds the tokens remembered as verified; then all are forgotten.
const maxTokens = 10_000

// tokenCache remembers verified tokens, because a signature costs more than a small page.
type tokenCache struct {
	mu       sync.Mutex
	verified map[[32]byte]login.Claims
}

func (t *tokenCache) get(token string, now time.Time, verify func(string) (login.Claims, error)) (login.Claims, error) {
	key := sha256.Sum256([]byte(token))
	t.mu.Lock()
	claims, ok := t.verified[key]
	t.mu.Unlock()
	if ok && now.Before(claims.ExpiresAt.Time) {
		return claims, nil
	}
	claims, err := verify(token)
	if err != nil {
		return login.Claims{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.verified) >= maxTokens {
		clear(t.verified)
	}
	t.verified[key] = claims
	return claims, nil
}

// authenticate checks the token: signature, lifetime, audience, tenant.
func (g *Graph) authenticate(c *call) *apiError {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return unauthorized("Access token is empty.")
	}
	claims, err := g.tokens.get(token, c.now, g.set.Verify)
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return unauthorized("IDX14100: JWT is not well formed, there are no dots (.).")
	case errors.Is(err, jwt.ErrTokenExpired):
		return unauthorized("Lifetime validation failed, the token is expired.")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return unauthorized("Lifetime validation failed, the token is not yet valid.")
	case err != nil:
		return unauthorized("Access token validation failure. Invalid signature.")
	}
	if !slices.ContainsFunc(claims.Audience, c.isAudience) {
		return unauthorized("Access token validation failure. Invalid audience.")
	}
	t, err := g.set.State.Tenant(claims.TenantID)
	if err != nil {
		return unauthorized("Access token validation failure. Invalid tenant.")
	}
	c.claims, c.tenant = claims, t
	return nil
}

// isAudience accepts Graph's names and loopback ones, which the simulator's other listener may have been asked by.
func (c *call) isAudience(audience string) bool {
	if audience == login.GraphResource || audience == login.GraphAppID {
		return true
	}
	_, host, ok := strings.Cut(audience, "://")
	name, _, _ := strings.Cut(host, ":")
	return ok && (host == c.r.Host || name == "localhost" || name == "127.0.0.1")
}

func (c *call) holds(permissions ...string) bool {
	return slices.ContainsFunc(permissions, func(p string) bool { return slices.Contains(c.claims.Roles, p) })
}

// permit checks the application permissions of graph.md §4.1, then the licence.
func (c *call) permit() *apiError {
	permissions := c.resource.permissions
	if c.delta {
		permissions = c.resource.deltaPermissions
	}
	if !c.holds(permissions...) {
		if c.resource.report {
			return fail(http.StatusForbidden, "Authentication_MSGraphPermissionMissing",
				fmt.Sprintf("Calling principal does not have required MSGraph permissions %s", c.resource.permissions[0]))
		}
		return insufficient()
	}
	if c.selectsActivity() {
		if !c.holds("AuditLog.Read.All") {
			return insufficient()
		}
		if c.tenant.Licence() == tenant.Free {
			return notPremium()
		}
	}
	licence := c.tenant.Licence()
	if c.resource.licence == tenant.P1 && licence == tenant.Free || c.resource.licence == tenant.P2 && licence != tenant.P2 {
		return notPremium()
	}
	if c.resource.governance && licence != tenant.P2 {
		// The code and text are own knowledge; graph.md says P2 and no more.
		return fail(http.StatusBadRequest, "AadPremiumLicenseRequired",
			"The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.")
	}
	if c.resource.intune && !c.tenant.Source.Config().Intune {
		return badRequest("Request not applicable to target tenant.")
	}
	if c.tenant.LicenceTrap && c.resource.path == pathSignIns && !c.holds("Directory.Read.All", "Directory.ReadWrite.All") {
		return notPremium()
	}
	return nil
}

func insufficient() *apiError {
	return fail(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
}

func notPremium() *apiError {
	return fail(http.StatusForbidden, "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
		"Neither tenant is B2C or tenant doesn't have premium license")
}
