package entra

import (
	"context"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/entraflow/entraflow/pkg/config"
)

// Federated says where the token of another identity provider comes from. Exactly one field is set.
type Federated struct {
	// TokenFile holds the token and is read for each request: others renew it.
	TokenFile string
	// ManagedIdentity is "system", or a user-assigned identity's client id.
	ManagedIdentity string
	// WorkloadIdentity takes the file that AZURE_FEDERATED_TOKEN_FILE names.
	WorkloadIdentity bool
}

func (f Federated) sources() (n int) {
	for _, set := range []bool{f.TokenFile != "", f.ManagedIdentity != "", f.WorkloadIdentity} {
		if set {
			n++
		}
	}
	return n
}

// assertion returns the source of the other identity provider's token.
func (f Federated) assertion() (func(context.Context) (string, error), error) {
	if f.ManagedIdentity != "" {
		return managedIdentity(f.ManagedIdentity)
	}
	path := f.TokenFile
	if f.WorkloadIdentity {
		path = os.Getenv("AZURE_FEDERATED_TOKEN_FILE")
	}
	if path == "" {
		return nil, newError(CauseCredentialMissing, "AZURE_FEDERATED_TOKEN_FILE names no file.")
	}
	return func(context.Context) (string, error) {
		token, err := config.ReadSecret(path)
		if err != nil {
			return "", newError(CauseCredentialMissing, "The file with the federated token cannot be read, or is empty.")
		}
		return token.Reveal(), nil
	}, nil
}

// exchangeScope is the audience that Entra wants in a managed identity's token.
const exchangeScope = "api://AzureADTokenExchange/.default"

func managedIdentity(id string) (func(context.Context) (string, error), error) {
	options := &azidentity.ManagedIdentityCredentialOptions{}
	if id != "system" {
		options.ID = azidentity.ClientID(id)
	}
	identity, err := azidentity.NewManagedIdentityCredential(options)
	if err != nil {
		return nil, newError(CauseCredentialMissing, "The managed identity cannot be used here.")
	}
	return func(ctx context.Context) (string, error) {
		token, err := identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{exchangeScope}})
		if err != nil {
			return "", newError(CauseCredentialMissing, "The managed identity gave no token.")
		}
		return token.Token, nil
	}, nil
}
