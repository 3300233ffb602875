package entra

import (
	"strconv"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/entra/graph"
	"github.com/entraflow/entraflow/services/simulator/entra/people"
	"github.com/entraflow/entraflow/services/simulator/entra/state"
	"github.com/entraflow/entraflow/services/simulator/entra/throttle"
)

// Parts of the config.
type (
	// TenantConfig is a tenant: what it holds, and how the login and Graph treat it.
	TenantConfig = state.TenantConfig
	// AppConfig is an app registration with its credentials and grants.
	AppConfig = state.AppConfig
	// SecretConfig is a client secret.
	SecretConfig = state.SecretConfig
	// CertificateConfig is a certificate registered with an app.
	CertificateConfig = state.CertificateConfig
	// FederatedConfig is a federated identity credential.
	FederatedConfig = state.FederatedConfig
	// GrantConfig is an app's service principal in a tenant.
	GrantConfig = state.GrantConfig
	// IssuerConfig is an identity provider whose assertions can be verified.
	IssuerConfig = state.IssuerConfig
)

// Config is what a user sets.
type Config struct {
	// Tenants exist from the start.
	Tenants []TenantConfig `yaml:"tenants"`
	Apps    []AppConfig    `yaml:"apps"`
	// Issuers verify federated assertions.
	Issuers  []IssuerConfig `yaml:"issuers"`
	Throttle ThrottleConfig `yaml:"throttle"`
	// TokenLifetime is that of access tokens; Entra's live an hour.
	TokenLifetime time.Duration `yaml:"token_lifetime"`
	// CAETokenLifetime is that of tokens for clients that handle claims challenges; Entra's live up to 28 hours.
	CAETokenLifetime time.Duration `yaml:"cae_token_lifetime"`
	// KeepPath leaves the path of next links as the request had it; Graph's own say auditLogs/signins.
	KeepPath bool `yaml:"keep_path"`
	// Delta says how changes of the directory are told.
	Delta DeltaConfig `yaml:"delta"`
	// Latency is how long it takes at least until a request to Graph is answered, up to 10 minutes; 0 is as long as it takes.
	Latency time.Duration `yaml:"latency"`
	// Faults stand from the start.
	Faults []Fault `yaml:"faults"`
	// People are who signs in to the product's API.
	People PeopleConfig `yaml:"people"`
	// Quick is a tenant with an app in a few keys.
	Quick QuickConfig `yaml:"quick"`
}

// DeltaConfig says how the delta queries of the directory answer (graph.md §3.1).
type DeltaConfig struct {
	// PageSize is how many objects a page has, up to 10,000.
	PageSize int `yaml:"page_size"`
	// SliceSize is how many links of one object a page has, up to 10,000: a group with more members comes again on the
	// next page.
	SliceSize int `yaml:"slice_size"`
	// TokenLife is how long a token is good.
	TokenLife time.Duration `yaml:"token_life"`
	// Expired is what a token that is not good any more gets: not_found (400 syncStateNotFound) or gone (410 with a
	// Location).
	Expired string `yaml:"expired"`
	// Foreign is what becomes of selected properties that are not Entra's, such as signInActivity: refuse (501) or ignore.
	Foreign string `yaml:"foreign"`
}

// The values of DeltaConfig.Expired and Foreign.
const (
	deltaNotFound, deltaGone  = "not_found", "gone"
	deltaRefuse, deltaIgnore  = "refuse", "ignore"
	maxDeltaPage              = 10_000
	maxLatency, week, aSecond = 10 * time.Minute, 7 * 24 * time.Hour, time.Second
)

func (c DeltaConfig) validate() error {
	var p config.Problems
	p.Check(c.PageSize >= 1 && c.PageSize <= maxDeltaPage, "page_size", "must be between 1 and 10000")
	p.Check(c.SliceSize >= 1 && c.SliceSize <= maxDeltaPage, "slice_size", "must be between 1 and 10000")
	p.Check(c.TokenLife >= aSecond, "token_life", "must be at least 1s")
	p.Check(c.Expired == deltaNotFound || c.Expired == deltaGone, "expired", "must be not_found or gone")
	p.Check(c.Foreign == deltaRefuse || c.Foreign == deltaIgnore, "foreign", "must be refuse or ignore")
	return p.Err()
}

func (c DeltaConfig) settings() graph.DeltaSettings {
	return graph.DeltaSettings{
		PageSize: c.PageSize, SliceSize: c.SliceSize, TokenLife: c.TokenLife,
		Gone: c.Expired == deltaGone, IgnoreForeign: c.Foreign == deltaIgnore,
	}
}

// ThrottleConfig says how the documented limits are kept.
type ThrottleConfig struct {
	// Mode is on or off.
	Mode string `yaml:"mode"`
	// Scale multiplies all limits.
	Scale float64 `yaml:"scale"`
}

// QuickConfig is a tenant with one app that has all permissions the product reads with. Its client id derives from
// the tenant's; the secret is in a file.
type QuickConfig struct {
	Enabled bool `yaml:"enabled"`
	// SecretFile keeps the app's secret; it is made, with mode 0600, if it does not exist. Required.
	SecretFile string `yaml:"secret_file"`
	// TruthFile, if set, is written at start: how many records the tenant has by log, and its labelled incidents
	// and near misses by check.
	TruthFile string       `yaml:"truth_file"`
	Tenant    TenantConfig `yaml:"tenant"`
}

// DefaultConfig has no tenant and the documented limits.
func DefaultConfig() Config {
	c := Config{
		Throttle:         ThrottleConfig{Mode: string(throttle.On), Scale: 1},
		TokenLifetime:    time.Hour,
		CAETokenLifetime: time.Hour,
		Delta: DeltaConfig{
			PageSize: 200, SliceSize: 500, TokenLife: week, Expired: deltaNotFound, Foreign: deltaRefuse,
		},
		People: people.DefaultConfig(),
		Quick:  QuickConfig{SecretFile: "simulator-client-secret"},
	}
	c.Quick.Tenant.SetDefaults()
	return c
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	for i, t := range c.Tenants {
		p.Under("tenants."+strconv.Itoa(i), t.Validate())
	}
	for i, a := range c.Apps {
		p.Under("apps."+strconv.Itoa(i), a.Validate())
	}
	for i, s := range c.Issuers {
		key := "issuers." + strconv.Itoa(i)
		p.Check(s.Issuer != "", key+".issuer", "must be set")
		p.Check((s.KeyFile == "") != (s.PEM == ""), key, "needs key_file or pem")
	}
	p.Under("throttle", c.Throttle.validate())
	p.Under("delta", c.Delta.validate())
	p.Under("people", c.People.Validate())
	p.Check(c.Latency >= 0 && c.Latency <= maxLatency, "latency", "must be between 0 and 10m")
	for i, f := range c.Faults {
		if err := f.Validate(); err != nil {
			p.Add("faults."+strconv.Itoa(i), "%v", err)
		}
	}
	p.Check(c.TokenLifetime >= time.Second, "token_lifetime", "must be at least 1s")
	p.Check(c.CAETokenLifetime >= time.Second, "cae_token_lifetime", "must be at least 1s")
	if c.Quick.Enabled {
		p.Under("quick.tenant", c.Quick.Tenant.Validate())
		p.Check(c.Quick.SecretFile != "", "quick.secret_file", "must be set")
	}
	return p.Err()
}

func (c ThrottleConfig) validate() error {
	var p config.Problems
	p.Check(c.Mode == string(throttle.On) || c.Mode == string(throttle.Off), "mode", "must be on or off")
	p.Check(c.Scale > 0, "scale", "must be positive")
	return p.Err()
}

func (c ThrottleConfig) settings() throttle.Settings {
	return throttle.Settings{Mode: throttle.Mode(c.Mode), Scale: c.Scale}
}

// ReadPermissions are the application permissions that the product reads with (graph.md §4.2).
func ReadPermissions() []string {
	return []string{
		"AuditLog.Read.All", "Directory.Read.All", "Policy.Read.All", "IdentityRiskEvent.Read.All", "IdentityRiskyUser.Read.All",
		"User.Read.All", "Group.Read.All", "GroupMember.Read.All", "Reports.Read.All", "UserAuthenticationMethod.Read.All",
		"MailboxSettings.Read", "DeviceManagementManagedDevices.Read.All", "DeviceManagementConfiguration.Read.All",
		"DeviceManagementApps.Read.All",
	}
}
