package entra

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Claims are what a token says. Nobody has verified them: they serve diagnosis, never authorization.
type Claims struct {
	// Roles are the application permissions that the tenant consented to, sorted; empty if there is no consent.
	Roles                     []string
	TenantID, AppID, ObjectID string
	Expires                   time.Time
}

// DecodeClaims reads a token's claims without verifying it. ok is false if it is no JWT: Microsoft calls its
// tokens opaque (graph.md §1).
func DecodeClaims(token string) (claims Claims, ok bool) {
	parts := strings.Split(token, ".")
	const jwtParts = 3
	if len(parts) != jwtParts {
		return Claims{}, false
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return Claims{}, false
	}
	var said struct {
		Roles []string `json:"roles"`
		TID   string   `json:"tid"`
		AppID string   `json:"appid"`
		AZP   string   `json:"azp"`
		OID   string   `json:"oid"`
		Exp   float64  `json:"exp"`
	}
	if json.Unmarshal(text, &said) != nil {
		return Claims{}, false
	}
	claims = Claims{Roles: said.Roles, TenantID: said.TID, AppID: said.AppID, ObjectID: said.OID}
	if claims.AppID == "" {
		claims.AppID = said.AZP
	}
	slices.Sort(claims.Roles)
	if said.Exp > 0 {
		claims.Expires = time.Unix(int64(said.Exp), 0).UTC()
	}
	return claims, true
}

// Has reports whether one of the permissions is among the roles.
func (c Claims) Has(permissions ...string) bool {
	return slices.ContainsFunc(permissions, func(p string) bool { return slices.Contains(c.Roles, p) })
}
