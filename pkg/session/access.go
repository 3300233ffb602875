package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/integrations"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// ErrCloud says that a cloud is known, but its settings cannot be used.
var ErrCloud = errors.New("the settings of the cloud cannot be used")

// access opens the credential and finds the cloud.
func (w *Worker) access(ctx context.Context, record integrations.Record) (entra.CredentialSpec, entra.Endpoints, error) {
	credential, err := w.set.Integrations.Credential(ctx, record)
	if err != nil {
		return entra.CredentialSpec{}, entra.Endpoints{}, err
	}
	return w.set.Access(record.Integration, credential)
}

// Access returns how an integration signs in, and where; only Service and Endpoints must be set. Its errors are
// *entra.Error.
func (s Settings) Access(i *controlv1.Integration, credential *controlv1.Credential) (entra.CredentialSpec, entra.Endpoints, error) {
	connection := i.GetEntra()
	spec, err := integrations.SignIn(connection.GetTenantId(), connection.GetClientId(), credential)
	if err != nil {
		return entra.CredentialSpec{}, entra.Endpoints{}, err
	}
	at, err := s.Endpoints(connection.GetCloud())
	if errors.Is(err, ErrCloud) {
		return entra.CredentialSpec{}, entra.Endpoints{}, &entra.Error{
			Cause: entra.CauseNetworkTLS, Detail: fmt.Sprintf("The CA file of the cloud %q in the %s's config cannot be read.", connection.GetCloud(), s.Service),
			Remedy: fmt.Sprintf("Give the %s a PEM file that it can read under clouds in its config.", s.Service),
		}
	}
	if err != nil {
		return entra.CredentialSpec{}, entra.Endpoints{}, &entra.Error{
			Cause: entra.CauseWrongCloud, Detail: fmt.Sprintf("The %s knows no cloud %q.", s.Service, connection.GetCloud()),
			Remedy: fmt.Sprintf("Choose global, us_gov, us_gov_dod or china, or name the cloud in the %s's config under clouds.", s.Service),
		}
	}
	return spec, at, nil
}
