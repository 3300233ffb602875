package people

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
)

// Config is who can sign in, and to what. One app registration is both the API and the public client, as small products
// have it.
type Config struct {
	// ClientID is the registration's id: what clients sign in with, and the audience of tokens of version 2.
	ClientID string `yaml:"client_id"`
	// AppIDURI is its URI: what scopes begin with, and the audience of tokens of version 1.
	AppIDURI string `yaml:"app_id_uri"`
	// TokenVersion is 1 or 2. They differ in issuer, audience and the name of the name.
	TokenVersion int `yaml:"token_version"`
	// Choose lets whoever opens the pages for people choose who to be. Without it only the admin API signs people in.
	Choose bool `yaml:"choose"`
	// RedirectURIs are where browsers may be sent with a code, beside http on loopback.
	RedirectURIs []string `yaml:"redirect_uris"`
	// DeviceLifetime is how long device codes are good, DeviceInterval the least time between polls, at least 1s.
	DeviceLifetime time.Duration `yaml:"device_lifetime"`
	DeviceInterval time.Duration `yaml:"device_interval"`
	// Persons are in every tenant.
	Persons []PersonConfig `yaml:"persons"`
}

// PersonConfig is somebody.
type PersonConfig struct {
	// Username is the user principal name.
	Username string   `yaml:"username"`
	Name     string   `yaml:"name"`
	Roles    []string `yaml:"roles"`
}

// DefaultConfig has an administrator, somebody of the help desk, a reader, and somebody without a role.
func DefaultConfig() Config {
	return Config{
		ClientID: "e0f10000-0000-4000-8000-000000000001", AppIDURI: "api://entraflow", TokenVersion: 2, Choose: true,
		DeviceLifetime: 15 * time.Minute, DeviceInterval: 5 * time.Second,
		Persons: []PersonConfig{
			{Username: "ada@contoso.example", Name: "Ada Admin", Roles: []string{"Entraflow.Admin"}},
			{Username: "hal@contoso.example", Name: "Hal Helpdesk", Roles: []string{"Entraflow.HelpDesk"}},
			{Username: "ruth@contoso.example", Name: "Ruth Reader", Roles: []string{"Entraflow.Reader"}},
			{Username: "nora@contoso.example", Name: "Nora Norole"},
		},
	}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.ClientID != "", "client_id", "must be set")
	p.Check(c.AppIDURI != "" && !strings.HasSuffix(c.AppIDURI, "/"), "app_id_uri", "must be set, without a slash at its end")
	p.Check(c.TokenVersion == 1 || c.TokenVersion == 2, "token_version", "must be 1 or 2")
	p.Check(c.DeviceLifetime >= time.Second, "device_lifetime", "must be at least 1s")
	p.Check(c.DeviceInterval >= time.Second, "device_interval", "must be at least 1s")
	seen := map[string]bool{}
	for i, one := range c.Persons {
		key := "persons." + strconv.Itoa(i) + ".username"
		name := strings.ToLower(one.Username)
		p.Check(strings.Contains(name, "@"), key, "must have an @")
		p.Check(!seen[name], key, "must be of one person")
		seen[name] = true
	}
	return p.Err()
}

// Resource cuts what a scope is for off it: the app's URI or id, then a slash and a permission.
func (c Config) Resource(scope string) (permission string, ok bool) {
	for _, resource := range []string{c.AppIDURI, c.ClientID} {
		if permission, ok := strings.CutPrefix(scope, resource+"/"); ok && permission != "" {
			return permission, true
		}
	}
	return "", false
}

// Redirects says whether browsers may be sent to an address: a listed one, or any port of loopback (RFC 8252 §7.3).
func (c Config) Redirects(address string) bool {
	if slices.Contains(c.RedirectURIs, address) {
		return true
	}
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && u.User == nil && u.Fragment == "" &&
		config.IsLoopback(net.JoinHostPort(u.Hostname(), "1"))
}
