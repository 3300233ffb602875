// Package oidc checks the bearer tokens of people who signed in with an OpenID Connect issuer,
// Entra ID or another: it reads the issuer's discovery document and keys over HTTPS, holds
// tokens against them and maps a claim to roles. It keeps keys in memory, writes nothing, signs
// nobody in, and never logs or repeats a token or what stands in one.
package oidc

import (
	"errors"
	"time"
)

// Errors of Verify. The texts are for the person who signed in; none repeats the token.
var (
	// ErrMalformed says that the bytes are no token that can be read, or that it lacks what
	// every token needs: a time of expiry and a subject.
	ErrMalformed = errors.New("the token cannot be read")
	// ErrExpired says that the token was good once: sign in again.
	ErrExpired = errors.New("the token has expired; sign in again")
	// ErrNotYetValid says that the token begins later, by more than the skew: one of the
	// two clocks is wrong.
	ErrNotYetValid = errors.New("the token is not valid yet; check the clocks of this server and of the issuer")
	// ErrWrongAudience says that the token is for another service.
	ErrWrongAudience = errors.New("the token is for another audience; ask for one for this service")
	// ErrWrongIssuer says that another issuer than the configured ones made the token.
	ErrWrongIssuer = errors.New("the token is of an issuer that is not trusted here")
	// ErrSignature says that no key of the issuer made the signature, or that its algorithm
	// is none that is trusted.
	ErrSignature = errors.New("the token is not signed by a key of its issuer; sign in again")
	// ErrNoRole says that the token is good, but no role is mapped to what it claims.
	ErrNoRole = errors.New("signed in, but no role is given to you; ask an administrator for one")
	// ErrIssuerAway says that the issuer's keys cannot be had, so no token can be checked.
	ErrIssuerAway = errors.New("the issuer that signs people in cannot be reached; try again in a minute")
)

// Roles that a claim can be mapped to.
const (
	RoleAdmin    = "admin"
	RoleHelpDesk = "help_desk"
	RoleReadOnly = "read_only"
)

// MaxToken is how many bytes a token may have.
const MaxToken = 16 << 10

// Claims is what a good token says of who carries it.
type Claims struct {
	// Issuer is the token's own: with Subject it names a person or program for good.
	Issuer string
	// Subject is the claim of Config.SubjectClaim, up to 256 bytes of printable text.
	Subject string
	// Name is the claim of Config.NameClaim, or upn, for people to read, up to 256 bytes without
	// characters that do not print; empty if there is none. It is personal data, and may be
	// given to another person later: decide nothing by it.
	Name string
	// Grants has at least one element. They are in the order of the claim, each one once.
	Grants []Grant
	// Expires is when the token ends, without the skew.
	Expires time.Time
}

// Grant is a role and where it holds.
type Grant struct {
	// Role is RoleAdmin, RoleHelpDesk or RoleReadOnly.
	Role string
	// Tenants are the ids of the tenants the role is limited to, in lower case; none if
	// AllTenants.
	Tenants []string
	// AllTenants says that the role is not limited.
	AllTenants bool
}
