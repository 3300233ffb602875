package oidc

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
)

// AllTenants in RoleConfig.Tenants stands for every tenant.
const AllTenants = "all"

const (
	maxSkew    = 5 * time.Minute
	maxTimeout = time.Minute
	maxStale   = 24 * time.Hour
)

// Config says who signs people in, and what they may do then.
type Config struct {
	// Issuer is the URL of the issuer, such as https://login.microsoftonline.com/<tenant
	// id>/v2.0: https, or http on loopback. Its discovery document must name the same. If
	// it is empty, nobody signs in by OpenID Connect.
	Issuer string `yaml:"issuer"`
	// AcceptedIssuers are further issuers that sign with the same keys. Entra's access
	// tokens of version 1 have https://sts.windows.net/<tenant id>/.
	AcceptedIssuers []string `yaml:"accepted_issuers"`
	// Audience is whom tokens must be for; one of them is enough. Entra's tokens of version
	// 2 have the client id of the API, those of version 1 its URI, such as api://entraflow.
	Audience []string `yaml:"audience"`
	// ClientID is the public client that command-line programs sign in with. It is given
	// out to whoever asks; tokens are not checked against it. Empty offers no such sign-in.
	ClientID string `yaml:"client_id"`
	// Scopes are what those programs ask for; with Entra api://<app>/.default must be among
	// them.
	Scopes []string `yaml:"scopes"`
	// RolesClaim is the claim that holds a text or a list of texts: its name, or, if there
	// is none of that name, a path of names with dots, such as realm_access.roles.
	RolesClaim string `yaml:"roles_claim"`
	// Roles maps each value of that claim to a role. Values that are not here give none.
	Roles map[string]RoleConfig `yaml:"roles"`
	// SubjectClaim names the person for good. Empty is oid, or sub where there is no oid.
	SubjectClaim string `yaml:"subject_claim"`
	// NameClaim names the person for readers of the audit log. Where there is none it is upn,
	// as in Entra's tokens of version 1.
	NameClaim string `yaml:"name_claim"`
	// Skew is how far the issuer's clock may be from this one, up to 5m.
	Skew time.Duration `yaml:"skew"`
	// CAFile has the certificates, as PEM, of the authorities to trust for the issuer in
	// place of the system's. It is read at each request to the issuer.
	CAFile string `yaml:"ca_file"`
	// Timeout is how long the issuer may take to tell its keys, up to 1m.
	Timeout time.Duration `yaml:"timeout"`
	Keys    KeysConfig    `yaml:"keys"`
}

// RoleConfig is what a value of the roles claim gives.
type RoleConfig struct {
	// Role is admin, help_desk or read_only.
	Role string `yaml:"role"`
	// Tenants are ids of tenants, or the one word all.
	Tenants []string `yaml:"tenants"`
}

// KeysConfig says how long the issuer's keys are kept.
type KeysConfig struct {
	// Refresh is the age at which keys are asked for again. A key that the issuer took back
	// is trusted that long.
	Refresh time.Duration `yaml:"refresh"`
	// Stale is the age up to which keys are used while the issuer is away, up to 24h.
	Stale time.Duration `yaml:"stale"`
	// Refetch is the least time between two requests for keys because of tokens that no
	// known key signed. It bounds what forged tokens make this process ask the issuer.
	Refetch time.Duration `yaml:"refetch"`
}

// DefaultConfig has no issuer: nobody signs in by OpenID Connect.
func DefaultConfig() Config {
	return Config{
		Scopes:     []string{"openid", "profile", "offline_access"},
		RolesClaim: "roles",
		NameClaim:  "preferred_username",
		Skew:       time.Minute,
		Timeout:    5 * time.Second,
		Keys:       KeysConfig{Refresh: 10 * time.Minute, Stale: time.Hour, Refetch: 10 * time.Second},
	}
}

// Enabled says whether an issuer is set.
func (c Config) Enabled() bool { return c.Issuer != "" }

// Validate names every fault by its key. Without an issuer the rest is not looked at.
func (c Config) Validate() error {
	var p config.Problems
	if !c.Enabled() {
		p.Check(len(c.Audience)+len(c.Roles)+len(c.AcceptedIssuers) == 0, "issuer", "must be set, because other keys are")
		return p.Err()
	}
	if err := checkURL(c.Issuer); err != nil {
		p.Add("issuer", "%v", err)
	}
	p.Check(!slices.Contains(c.AcceptedIssuers, ""), "accepted_issuers", "must not have an empty element")
	p.Check(len(c.Audience) > 0, "audience", "must have at least one element")
	p.Check(!slices.Contains(c.Audience, ""), "audience", "must not have an empty element")
	p.Check(c.ClientID == "" || len(c.Scopes) > 0, "scopes", "must have at least one element, because client_id is set")
	p.Check(c.RolesClaim != "", "roles_claim", "must be set")
	p.Check(len(c.Roles) > 0, "roles", "must map at least one value, or nobody may do anything")
	for value, role := range c.Roles {
		p.Under("roles."+value, role.validate())
	}
	p.Check(c.NameClaim != "", "name_claim", "must be set")
	p.Check(c.Skew >= 0 && c.Skew <= maxSkew, "skew", "must be between 0 and 5m")
	p.Check(c.Timeout > 0 && c.Timeout <= maxTimeout, "timeout", "must be positive and at most 1m")
	p.Under("keys", c.Keys.validate())
	return p.Err()
}

func (c RoleConfig) validate() error {
	var p config.Problems
	p.Check(slices.Contains([]string{RoleAdmin, RoleHelpDesk, RoleReadOnly}, c.Role), "role", "must be admin, help_desk or read_only")
	p.Check(len(c.Tenants) > 0, "tenants", "must list tenants, or be [all]")
	p.Check(!slices.ContainsFunc(c.Tenants, func(t string) bool { return t == "" || t == "*" || t == "any" }), "tenants", "must list ids of tenants, or be [all]")
	p.Check(!slices.Contains(c.Tenants, AllTenants) || len(c.Tenants) == 1, "tenants", "must not have all beside others")
	return p.Err()
}

func (c RoleConfig) grant() Grant {
	if slices.Contains(c.Tenants, AllTenants) {
		return Grant{Role: c.Role, AllTenants: true}
	}
	g := Grant{Role: c.Role}
	for _, t := range c.Tenants {
		g.Tenants = append(g.Tenants, strings.ToLower(t))
	}
	return g
}

func (c KeysConfig) validate() error {
	var p config.Problems
	p.Check(c.Refresh >= time.Second, "refresh", "must be at least 1s")
	p.Check(c.Stale >= c.Refresh && c.Stale <= maxStale, "stale", "must be at least refresh and at most 24h")
	p.Check(c.Refetch >= time.Second, "refetch", "must be at least 1s")
	return p.Err()
}

var errURL = errors.New("must be an https URL, or an http one on loopback, without a query")

// checkURL permits what keys may be fetched from: anybody on the way could replace them else.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errURL
	}
	if u.Scheme == "https" || u.Scheme == "http" && config.IsLoopback(hostPort(u)) {
		return nil
	}
	return errURL
}

func hostPort(u *url.URL) string {
	if u.Port() == "" {
		return u.Host + ":80"
	}
	return u.Host
}
