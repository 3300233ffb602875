package integrations

import (
	"strings"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// SignIn puts an application of a tenant and its credential together. Its error is an *entra.Error: the credential is
// of another kind, or CredentialSpec.Validate found a fault.
func SignIn(tenantID, clientID string, credential *controlv1.Credential) (entra.CredentialSpec, error) {
	spec := entra.CredentialSpec{TenantID: strings.ToLower(tenantID), ClientID: strings.ToLower(clientID)}
	switch kind := credential.GetKind().(type) {
	case *controlv1.Credential_ClientSecret:
		spec.Kind, spec.Secret = entra.KindSecret, config.NewSecret(kind.ClientSecret)
	case *controlv1.Credential_Certificate:
		spec.Kind = entra.KindCertificate
		spec.Certificate = config.NewSecret(string(kind.Certificate.GetData()))
		spec.Password = config.NewSecret(kind.Certificate.GetPassword())
	case *controlv1.Credential_Federated:
		spec.Kind, spec.Federated = entra.KindFederated, entra.Federated{TokenFile: kind.Federated.GetTokenFile()}
	default:
		return spec, &entra.Error{
			Cause: entra.CauseCredentialMissing, Detail: "The integration has no credential that signs in to Entra.",
			Remedy: "Give a client secret, a certificate or a federated token file.",
		}
	}
	return spec, spec.Validate()
}
