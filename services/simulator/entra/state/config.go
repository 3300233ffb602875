package state

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/tenant"
)

// TenantConfig is a tenant: what it holds, and how the login and Graph treat it.
type TenantConfig struct {
	tenant.Config `yaml:",inline"`
	// Domains are names beside the id that clients may sign in with.
	Domains []string `yaml:"domains"`
	// OtherCloud says that the tenant lives in another national cloud: sign-ins end in AADSTS90038.
	OtherCloud bool `yaml:"other_cloud"`
	// LicenceTrap makes the licence check of sign-ins fail for apps without Directory.Read.All, as Graph's
	// documentation of signIns once described (graph.md §2.1).
	LicenceTrap bool `yaml:"licence_trap"`
	// Changes are what happens to the directory by itself.
	Changes ChangesConfig `yaml:"changes"`
}

// ChangesConfig is random changes of the directory.
type ChangesConfig struct {
	// Rate is how many there are a second from the tenant's end on, up to 10,000; 0 is none.
	Rate float64 `yaml:"rate"`
	// Seed chooses them.
	Seed uint64 `yaml:"seed"`
}

// maxChangeRate bounds the random changes a second.
const maxChangeRate = 10_000

// SetDefaults makes it tenant.DefaultConfig. End stays zero, which is the time of creation.
func (c *TenantConfig) SetDefaults() { c.Config = tenant.DefaultConfig() }

// AppConfig is an app registration.
type AppConfig struct {
	// ClientID is a GUID in lower case.
	ClientID string `yaml:"client_id"`
	Name     string `yaml:"name"`
	// Secrets, Certificates and Federated are its credentials.
	Secrets      []SecretConfig      `yaml:"secrets"`
	Certificates []CertificateConfig `yaml:"certificates"`
	Federated    []FederatedConfig   `yaml:"federated"`
	// SubjectNames are subjects of certificates that are accepted with their chain in the assertion (x5c), without
	// being registered. The chain is not verified.
	SubjectNames []string `yaml:"subject_names"`
	// Grants are the tenants that have the app.
	Grants []GrantConfig `yaml:"grants"`
}

// SecretConfig is a client secret.
type SecretConfig struct {
	Value config.Secret `yaml:"value"`
	// Expires is the secret's end; zero is never.
	Expires time.Time `yaml:"expires"`
}

// CertificateConfig is a certificate registered with an app.
type CertificateConfig struct {
	// File is a PEM file; PEM its content, if there is no file.
	File string `yaml:"file"`
	PEM  string `yaml:"pem"`
}

// FederatedConfig is a federated identity credential: which tokens of which issuer stand for the app.
type FederatedConfig struct {
	Issuer  string `yaml:"issuer"`
	Subject string `yaml:"subject"`
	// Audience is api://AzureADTokenExchange by default.
	Audience string `yaml:"audience"`
}

// DefaultAudience is what an assertion for a federated credential is for, unless configured otherwise.
const DefaultAudience = "api://AzureADTokenExchange"

// SetDefaults sets the audience.
func (c *FederatedConfig) SetDefaults() { c.Audience = DefaultAudience }

// GrantConfig is an app's service principal in a tenant.
type GrantConfig struct {
	Tenant string `yaml:"tenant"`
	// Consents are the application permissions with admin consent, by name: AuditLog.Read.All.
	Consents []string `yaml:"consents"`
	Disabled bool     `yaml:"disabled"`
	// ForceError makes every token request fail with this AADSTS number, such as 53003; 0 is none.
	ForceError int `yaml:"force_error"`
}

// IssuerConfig is an identity provider whose assertions can be verified.
type IssuerConfig struct {
	Issuer string `yaml:"issuer"`
	// KeyFile is a PEM file with its public key or certificate; PEM its content, if there is no file.
	KeyFile string `yaml:"key_file"`
	PEM     string `yaml:"pem"`
}

var guidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// IsGUID reports whether a text is a GUID in lower case.
func IsGUID(s string) bool { return guidForm.MatchString(s) }

// Validate returns every fault by its key; those of domains once the rest is in order.
func (c TenantConfig) Validate() error {
	if c.End.IsZero() {
		c.End = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) // any that passes: it is set at creation
	}
	if err := c.Config.Validate(); err != nil {
		return err
	}
	var p config.Problems
	for i, d := range c.Domains {
		p.Check(strings.Contains(d, "."), "domains."+strconv.Itoa(i), "must be a domain")
	}
	p.Check(c.Changes.Rate >= 0 && c.Changes.Rate <= maxChangeRate, "changes.rate", "must be between 0 and 10000")
	return p.Err()
}

// Validate returns every fault by its key.
func (c AppConfig) Validate() error {
	var p config.Problems
	p.Check(IsGUID(c.ClientID), "client_id", "must be a GUID in lower case")
	for i, s := range c.Secrets {
		p.Check(!s.Value.IsZero(), "secrets."+strconv.Itoa(i)+".value", "must be set")
	}
	for i, cert := range c.Certificates {
		key := "certificates." + strconv.Itoa(i)
		p.Check((cert.File == "") != (cert.PEM == ""), key, "needs file or pem")
		p.Check(cert.PEM == "" || isCertificate(cert.PEM), key+".pem", "must be a certificate in PEM form")
	}
	for i, f := range c.Federated {
		p.Check(f.Issuer != "" && f.Subject != "" && f.Audience != "", "federated."+strconv.Itoa(i), "needs issuer, subject and audience")
	}
	for i, g := range c.Grants {
		p.Check(IsGUID(g.Tenant), "grants."+strconv.Itoa(i)+".tenant", "must be a GUID in lower case")
	}
	return p.Err()
}

func isCertificate(text string) bool {
	_, err := parseCertificate([]byte(text))
	return err == nil
}

func parseCertificate(text []byte) (*x509.Certificate, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, fmt.Errorf("no certificate in PEM form")
}

// parsePublicKey reads a public key or a certificate's.
func parsePublicKey(text []byte) (any, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "PUBLIC KEY":
			return x509.ParsePKIXPublicKey(block.Bytes)
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			return c.PublicKey, nil
		}
	}
	return nil, fmt.Errorf("no public key in PEM form")
}
