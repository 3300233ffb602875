package entra

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/entraflow/entraflow/pkg/config"
)

// CredentialKind is how the application proves itself.
type CredentialKind string

// Credential kinds.
const (
	KindSecret      CredentialKind = "secret"
	KindCertificate CredentialKind = "certificate"
	KindFederated   CredentialKind = "federated"
)

// CredentialSpec says how to get a token.
type CredentialSpec struct {
	// TenantID is a GUID or a domain, never common or organizations.
	TenantID, ClientID string
	Kind               CredentialKind
	// Secret is the secret's value, for KindSecret.
	Secret config.Secret
	// Certificate is the content of a PEM (certificate and key) or PFX file, for KindCertificate; a PFX may be in
	// base64. Password opens a PFX; empty if it has none.
	Certificate, Password config.Secret
	Federated             Federated
}

// Validate returns the first fault of the spec as an *Error: tenant_malformed, app_not_found (the id is no
// GUID), credential_missing or certificate_rejected. It sends nothing.
func (s CredentialSpec) Validate() error {
	if !validTenant(s.TenantID) {
		return newError(CauseTenantMalformed, "The tenant id is neither a GUID nor a domain.")
	}
	if !isGUID(s.ClientID) {
		return newError(CauseAppNotFound, "The application id is no GUID.")
	}
	switch s.Kind {
	case KindSecret:
		if s.Secret.IsZero() {
			return newError(CauseCredentialMissing, "No secret was given.")
		}
	case KindCertificate:
		_, _, err := s.certificate()
		return err
	case KindFederated:
		if s.Federated.sources() != 1 {
			return newError(CauseCredentialMissing, "A federated credential needs exactly one source of its token.")
		}
	default:
		return newError(CauseCredentialMissing, "The credential's kind must be secret, certificate or federated.")
	}
	return nil
}

// certificate reads the certificate chain and its key.
func (s CredentialSpec) certificate() ([]*x509.Certificate, crypto.PrivateKey, error) {
	if s.Certificate.IsZero() {
		return nil, nil, newError(CauseCredentialMissing, "No certificate was given.")
	}
	content := []byte(s.Certificate.Reveal())
	if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(content))); err == nil {
		content = plain
	}
	certs, key, err := azidentity.ParseCertificates(content, []byte(s.Password.Reveal()))
	if err != nil || key == nil {
		// The parser's own words are left out: nobody knows what they quote.
		return nil, nil, newError(CauseCertificateRejected,
			"The certificate cannot be read: it must be PEM with an unencrypted private key, or PFX with the right password.")
	}
	return certs, key, nil
}

// NewCredential returns a credential that asks the endpoints' authority. It keeps tokens; a health check
// makes a new one each time. Its errors are *Error. The transport carries token requests and is the
// caller's to close; nil is a new one, whose idle connections close by themselves. azidentity's retries
// are off.
func NewCredential(spec CredentialSpec, e Endpoints, transport http.RoundTripper) (azcore.TokenCredential, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if transport == nil {
		transport = e.Transport()
	}
	c := &credential{spec: spec, options: azcore.ClientOptions{
		Cloud: cloud.Configuration{
			ActiveDirectoryAuthorityHost: e.AuthorityURL,
			Services:                     map[cloud.ServiceName]cloud.ServiceConfiguration{},
		},
		Transport: &http.Client{Transport: witness{transport}, CheckRedirect: noRedirect, Timeout: tokenTimeout},
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}, ownAuthority: e.OwnAuthority}
	if err := c.Renew(); err != nil {
		return nil, err
	}
	return c, nil
}

// credential is azidentity's with errors that say their cause.
type credential struct {
	spec         CredentialSpec
	options      azcore.ClientOptions
	ownAuthority bool

	mu    sync.Mutex
	inner azcore.TokenCredential
}

// Renew forgets all tokens: azidentity itself cannot.
func (c *credential) Renew() error {
	inner, err := c.build()
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.inner = inner
	c.mu.Unlock()
	return nil
}

// GetToken is azcore.TokenCredential's.
func (c *credential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.mu.Lock()
	inner := c.inner
	c.mu.Unlock()
	seen := &sighting{}
	token, err := inner.GetToken(context.WithValue(ctx, sightingKey{}, seen), o)
	if err == nil {
		return token, nil
	}
	if ctx.Err() != nil {
		return azcore.AccessToken{}, ctx.Err()
	}
	if cause := seen.fault(); cause != nil {
		return azcore.AccessToken{}, cause
	}
	return azcore.AccessToken{}, Classify(err)
}

func (c *credential) build() (azcore.TokenCredential, error) {
	s := c.spec
	var made azcore.TokenCredential
	var err error
	switch s.Kind {
	case KindSecret:
		made, err = azidentity.NewClientSecretCredential(s.TenantID, s.ClientID, s.Secret.Reveal(),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: c.options, DisableInstanceDiscovery: c.ownAuthority})
	case KindCertificate:
		certs, key, fault := s.certificate()
		if fault != nil {
			return nil, fault
		}
		made, err = azidentity.NewClientCertificateCredential(s.TenantID, s.ClientID, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: c.options, DisableInstanceDiscovery: c.ownAuthority})
	default:
		assertion, fault := s.Federated.assertion()
		if fault != nil {
			return nil, fault
		}
		made, err = azidentity.NewClientAssertionCredential(s.TenantID, s.ClientID, witnessed(assertion),
			&azidentity.ClientAssertionCredentialOptions{ClientOptions: c.options, DisableInstanceDiscovery: c.ownAuthority})
	}
	if err != nil && s.Kind == KindCertificate {
		return nil, newError(CauseCertificateRejected, "The certificate and its key do not fit together, or the key is not RSA.")
	}
	if err != nil {
		return nil, newError(CauseCredentialMissing, "The credential cannot be used.")
	}
	return made, nil
}

// validTenant says whether the id may be a tenant's: client credentials know no common.
func validTenant(id string) bool {
	switch strings.ToLower(id) {
	case "", "common", "consumers", "organizations":
		return false
	}
	if isGUID(id) {
		return true
	}
	const maxDomain = 253
	if len(id) > maxDomain || !strings.Contains(strings.Trim(id, "."), ".") {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-'
	})
}

func isGUID(id string) bool {
	const length = 36
	if len(id) != length {
		return false
	}
	for i := range len(id) {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		hex := id[i] >= '0' && id[i] <= '9' || id[i]|0x20 >= 'a' && id[i]|0x20 <= 'f'
		if hyphen != (id[i] == '-') || !hyphen && !hex {
			return false
		}
	}
	return true
}

// errRedirect keeps a redirected token request from carrying the secret to another host.
var errRedirect = errors.New("the authority redirects")

func noRedirect(*http.Request, []*http.Request) error { return errRedirect }
