package hub

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// closeTimeout bounds the good-byes to a hub. Cutting the connection says the same.
const closeTimeout = 2 * time.Second

// Dialer makes connections to a hub instead of the SDK; what it returns need not be a WebSocket.
type Dialer func(context.Context, azeventhubs.WebSocketConnParams) (net.Conn, error)

// connect makes a client. It opens no connection yet.
func (h *Hub) connect() (*azeventhubs.ConsumerClient, error) {
	options := &azeventhubs.ConsumerClientOptions{
		ApplicationID:  "entraflow",
		InstanceID:     h.set.Instance,
		CustomEndpoint: h.cfg.CustomEndpoint,
		RetryOptions: azeventhubs.RetryOptions{
			RetryDelay: h.tuning.BackOff.First, MaxRetryDelay: h.tuning.BackOff.Last,
		},
	}
	if h.set.Dial != nil {
		options.NewWebSocketConn = h.set.Dial
	}
	if h.cfg.CAFile != "" {
		pem, err := os.ReadFile(h.cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading ca file: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading ca file: %s holds no certificate", h.cfg.CAFile)
		}
		options.TLSConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	if h.cfg.ConnectionString.IsZero() {
		credential, err := h.cfg.Credential.open()
		if err != nil {
			return nil, fmt.Errorf("making credential: %w", err)
		}
		return azeventhubs.NewConsumerClient(h.cfg.Namespace, h.cfg.EventHub, h.cfg.ConsumerGroup, credential, options)
	}
	return h.connectWithString(options)
}

func (h *Hub) connectWithString(options *azeventhubs.ConsumerClientOptions) (*azeventhubs.ConsumerClient, error) {
	text := h.cfg.ConnectionString.Reveal()
	name := h.cfg.EventHub
	parsed, err := azeventhubs.ParseConnectionString(text)
	if err != nil {
		return nil, errors.New("reading connection string: it is none") // err may quote it
	}
	if parsed.EntityPath != nil {
		name = "" // the SDK refuses to be told twice
	}
	return azeventhubs.NewConsumerClientFromConnectionString(text, name, h.cfg.ConsumerGroup, options)
}

func (c CredentialConfig) open() (azcore.TokenCredential, error) {
	switch c.Kind {
	case CredentialManagedIdentity:
		options := &azidentity.ManagedIdentityCredentialOptions{}
		if c.ClientID != "" {
			options.ID = azidentity.ClientID(c.ClientID)
		}
		return azidentity.NewManagedIdentityCredential(options)
	case CredentialWorkloadIdentity:
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientID: c.ClientID, TenantID: c.TenantID,
		})
	case CredentialEnvironment:
		return azidentity.NewEnvironmentCredential(nil)
	default:
		return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{TenantID: c.TenantID})
	}
}

// closeClient closes the connection and what the SDK leaves behind. The client's management link has a
// goroutine that renews its token; Close forgets it, so it would stay until the token expires and
// hold everything the client held. Only finding that its connection is gone makes the SDK drop the link.
func closeClient(ctx context.Context, client *azeventhubs.ConsumerClient) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout) // for when ctx is done
	defer cancel()
	_ = client.Close(ctx)                         // it returns no error
	_, _ = client.GetEventHubProperties(ctx, nil) // fails, as it should
}
