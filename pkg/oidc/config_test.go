package oidc_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/oidc"
)

func TestConfig(t *testing.T) {
	tests := map[string]struct {
		change func(*oidc.Config)
		want   []string
	}{
		"good":                     {func(*oidc.Config) {}, nil},
		"loopback":                 {func(c *oidc.Config) { c.Issuer = "http://127.0.0.1:8080/t/v2.0" }, nil},
		"loopback without a port":  {func(c *oidc.Config) { c.Issuer = "http://localhost/t" }, nil},
		"in the clear":             {func(c *oidc.Config) { c.Issuer = "http://issuer.example" }, []string{"issuer"}},
		"loopback in the user":     {func(c *oidc.Config) { c.Issuer = "http://localhost:1@issuer.example" }, []string{"issuer"}},
		"no URL":                   {func(c *oidc.Config) { c.Issuer = "issuer" }, []string{"issuer"}},
		"with a query":             {func(c *oidc.Config) { c.Issuer += "?x=1" }, []string{"issuer"}},
		"no audience":              {func(c *oidc.Config) { c.Audience = nil }, []string{"audience"}},
		"empty audience":           {func(c *oidc.Config) { c.Audience = []string{""} }, []string{"audience"}},
		"empty accepted":           {func(c *oidc.Config) { c.AcceptedIssuers = []string{""} }, []string{"accepted_issuers"}},
		"no roles":                 {func(c *oidc.Config) { c.Roles = nil }, []string{"roles"}},
		"unknown role":             {func(c *oidc.Config) { c.Roles["Admin"] = oidc.RoleConfig{Role: "root", Tenants: []string{"all"}} }, []string{"roles.Admin.role"}},
		"no tenants":               {func(c *oidc.Config) { c.Roles["Admin"] = oidc.RoleConfig{Role: "admin"} }, []string{"roles.Admin.tenants"}},
		"all and one":              {func(c *oidc.Config) { c.Roles["Admin"] = oidc.RoleConfig{Role: "admin", Tenants: []string{"all", "x"}} }, []string{"roles.Admin.tenants"}},
		"empty tenant":             {func(c *oidc.Config) { c.Roles["Admin"] = oidc.RoleConfig{Role: "admin", Tenants: []string{""}} }, []string{"roles.Admin.tenants"}},
		"skew":                     {func(c *oidc.Config) { c.Skew = 6 * time.Minute }, []string{"skew"}},
		"names of claims":          {func(c *oidc.Config) { c.RolesClaim, c.NameClaim = "", "" }, []string{"roles_claim", "name_claim"}},
		"timeout":                  {func(c *oidc.Config) { c.Timeout = 0 }, []string{"timeout"}},
		"client without scopes":    {func(c *oidc.Config) { c.ClientID, c.Scopes = "x", nil }, []string{"scopes"}},
		"keys":                     {func(c *oidc.Config) { c.Keys = oidc.KeysConfig{} }, []string{"keys.refresh", "keys.refetch"}},
		"stale":                    {func(c *oidc.Config) { c.Keys.Stale = time.Minute }, []string{"keys.stale"}},
		"no issuer, but audience":  {func(c *oidc.Config) { c.Issuer = "" }, []string{"issuer"}},
		"nobody signs in that way": {func(c *oidc.Config) { *c = oidc.DefaultConfig() }, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := testConfig()
			test.change(&c)
			err := c.Validate()
			var keys []string
			if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
				for _, p := range invalid.Problems {
					keys = append(keys, p.Key)
				}
			}
			require.Empty(t, cmp.Diff(test.want, keys))
		})
	}
}

func TestNewNeedsAnIssuer(t *testing.T) {
	_, err := oidc.New(oidc.DefaultConfig(), oidc.Settings{})
	require.Error(t, err)
	c := testConfig()
	c.Skew = time.Hour
	_, err = oidc.New(c, oidc.Settings{})
	require.ErrorContains(t, err, "skew")
}

func TestConfigFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`oidc:
  issuer: https://login.example/tenant/v2.0
  audience: [api://entraflow]
  roles:
    Entraflow.Admin: {role: admin, tenants: [all]}
    https://x.example/role: {role: read_only, tenants: [AAAA]}
  keys: {refresh: 90m}
`), 0o600))
	got := oidc.DefaultConfig()
	_, err := config.Load(config.Source{File: file}, config.Section{Name: "oidc", Config: &got})
	require.Error(t, err, "refresh is beyond stale")
	require.ErrorContains(t, err, "keys.stale")
	got = oidc.DefaultConfig()
	_, err = config.Load(config.Source{File: file, Set: []string{"oidc.keys.stale=2h"}}, config.Section{Name: "oidc", Config: &got})
	require.NoError(t, err)
	want := oidc.DefaultConfig()
	want.Issuer, want.Audience, want.Keys.Refresh, want.Keys.Stale = "https://login.example/tenant/v2.0", []string{"api://entraflow"}, 90*time.Minute, 2*time.Hour
	want.Roles = map[string]oidc.RoleConfig{
		"Entraflow.Admin": {Role: "admin", Tenants: []string{"all"}}, "https://x.example/role": {Role: "read_only", Tenants: []string{"AAAA"}},
	}
	require.Empty(t, cmp.Diff(want, got))
}
