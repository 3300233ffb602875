package access

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// BootstrapSubject is who holds the token of the gateway's token file.
const BootstrapSubject = "bootstrap"

// Tokens knows the holders of tokens of one sort. It returns grpcserver.ErrUnauthenticated for a token it does not know.
type Tokens interface {
	// Mine reports, without judging it, whether a token is of this sort.
	Mine(token string) bool
	// Holder returns who holds the token; with an error, too, if it is known whose it was.
	Holder(ctx context.Context, token string) (grpcserver.Identity, error)
}

// CertificateConfig lets clients in by their certificate alone, without a token.
type CertificateConfig struct {
	// Name is the certificate's common name, or one of its DNS or URI names, whole.
	Name string `yaml:"name"`
	// Role is read_only, help_desk or admin.
	Role string `yaml:"role"`
	// Tenants are directory ids, or "all" alone.
	Tenants []string `yaml:"tenants"`
}

// AllTenants in a list of tenants of the configuration means every one.
const AllTenants = "all"

// Validate names every fault by its key.
func (c CertificateConfig) Validate() error {
	var p config.Problems
	_, known := ParseRole(c.Role)
	p.Check(c.Name != "", "name", "must be set")
	p.Check(known, "role", "must be read_only, help_desk or admin")
	p.Check(len(c.Tenants) > 0, "tenants", "must name directory ids, or all")
	p.Check(!slices.ContainsFunc(c.Tenants, func(t string) bool { return t == "" || t == "*" || t == "any" }), "tenants", "must name directory ids, or all")
	p.Check(len(c.Tenants) < 2 || !slices.Contains(c.Tenants, AllTenants), "tenants", "must be all alone, or directory ids")
	return p.Err()
}

func (c CertificateConfig) grant() grpcserver.Grant {
	role, _ := ParseRole(c.Role)
	if slices.Contains(c.Tenants, AllTenants) {
		return grpcserver.Grant{Role: role, AllTenants: true}
	}
	tenants := make([]string, 0, len(c.Tenants))
	for _, tenant := range c.Tenants {
		tenants = append(tenants, strings.ToLower(tenant))
	}
	return grpcserver.Grant{Role: role, Tenants: tenants}
}

// Authenticator knows callers by the token of the token file, by the tokens of Sources, and by certificates. A token
// decides, if there is one: a certificate beside it says nothing.
type Authenticator struct {
	Bootstrap    config.Secret
	Sources      []Tokens
	Certificates []CertificateConfig
}

// Authenticate implements grpcserver.Authenticator.
func (a *Authenticator) Authenticate(ctx context.Context, proof grpcserver.Proof) (grpcserver.Identity, error) {
	if proof.Token == "" {
		return a.byCertificate(proof.Certificate)
	}
	bootstrap := grpcserver.StaticToken{Token: a.Bootstrap, Identity: grpcserver.Identity{
		Subject: BootstrapSubject, Credential: controlv1.CredentialKind_CREDENTIAL_KIND_BOOTSTRAP_TOKEN,
		Grants: []grpcserver.Grant{{Role: controlv1.Role_ROLE_ADMIN, AllTenants: true}},
	}}
	if identity, err := bootstrap.Authenticate(ctx, proof); err == nil {
		return identity, nil
	}
	for _, source := range a.Sources {
		if source.Mine(proof.Token) {
			identity, err := source.Holder(ctx, proof.Token)
			if err != nil {
				return identity, fmt.Errorf("looking up the holder of a token: %w", err)
			}
			return identity, nil
		}
	}
	return grpcserver.Identity{}, grpcserver.ErrUnauthenticated
}

var errNoName = errors.New("no rule names the certificate")

func (a *Authenticator) byCertificate(certificate *x509.Certificate) (grpcserver.Identity, error) {
	if certificate == nil {
		return grpcserver.Identity{}, grpcserver.ErrUnauthenticated
	}
	names := append([]string{certificate.Subject.CommonName}, certificate.DNSNames...)
	for _, uri := range certificate.URIs {
		names = append(names, uri.String())
	}
	identity := grpcserver.Identity{
		Credential: controlv1.CredentialKind_CREDENTIAL_KIND_CERTIFICATE, Expires: certificate.NotAfter,
	}
	for _, rule := range a.Certificates {
		if slices.Contains(names, rule.Name) {
			identity.Subject, identity.DisplayName = "certificate:"+rule.Name, rule.Name
			identity.Grants = append(identity.Grants, rule.grant())
		}
	}
	if len(identity.Grants) == 0 {
		return grpcserver.Identity{}, grpcserver.ErrUnauthenticated.Because(errNoName)
	}
	return identity, nil
}
