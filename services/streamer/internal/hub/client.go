package hub

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/coder/websocket"
)

// closeTimeout bounds the good-byes to a hub. Cutting the connection says the same.
const closeTimeout = 2 * time.Second

// Dialer makes connections to a hub instead of the SDK; what it returns need not be a WebSocket.
type Dialer func(context.Context, azeventhubs.WebSocketConnParams) (net.Conn, error)

// tokenScope is what the SDK asks tokens for, in every cloud.
const tokenScope = "https://eventhubs.azure.net//.default"

// connect makes a client for the Processor. It asks for a token first, if one is needed: the Processor keeps to itself why it
// got none.
func (h *Hub) connect(ctx context.Context) (*azeventhubs.ConsumerClient, error) {
	if h.cfg.Token != nil {
		if _, err := h.cfg.Token.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{tokenScope}}); err != nil {
			return nil, fmt.Errorf("getting token: %w", err)
		}
	}
	return h.cfg.connect(h.set.Dial, &azeventhubs.ConsumerClientOptions{
		InstanceID: h.set.Instance,
		RetryOptions: azeventhubs.RetryOptions{
			RetryDelay: h.tuning.BackOff.First, MaxRetryDelay: h.tuning.BackOff.Last,
		},
	})
}

// connect makes a client with the options, which it completes. It opens no connection yet.
func (c Config) connect(dial Dialer, options *azeventhubs.ConsumerClientOptions) (*azeventhubs.ConsumerClient, error) {
	options.ApplicationID, options.CustomEndpoint = "entraflow", c.CustomEndpoint
	trust, err := c.tls()
	if err != nil {
		return nil, err
	}
	switch {
	case dial != nil:
		options.NewWebSocketConn = dial
	case c.WebSockets:
		options.NewWebSocketConn = c.dialWebSocket
	}
	if c.CAFile != "" {
		options.TLSConfig = trust
	}
	if !c.ConnectionString.IsZero() {
		return c.connectWithString(options)
	}
	credential := c.Token
	if credential == nil {
		if credential, err = c.Credential.open(); err != nil {
			return nil, fmt.Errorf("making credential: %w", err)
		}
	}
	return azeventhubs.NewConsumerClient(c.Namespace, c.EventHub, c.ConsumerGroup, credential, options)
}

// tls returns whom to trust.
func (c Config) tls() (*tls.Config, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return trust, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading ca file: %w", err)
	}
	trust.RootCAs = x509.NewCertPool()
	if !trust.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading ca file: %s holds no certificate", c.CAFile)
	}
	return trust, nil
}

// dialWebSocket is a Dialer by port 443.
func (c Config) dialWebSocket(ctx context.Context, p azeventhubs.WebSocketConnParams) (net.Conn, error) {
	trust, err := c.tls()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust}
	if c.CustomEndpoint != "" {
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, withPort(c.CustomEndpoint, webSocketPort))
		}
	}
	conn, answer, err := websocket.Dial(ctx, p.Host, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"amqp"},
	})
	if answer != nil && answer.Body != nil {
		_ = answer.Body.Close() // the WebSocket is not it
	}
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1) // AMQP has its own
	// The connection outlives the dialling; who closes it ends the WebSocket.
	return websocket.NetConn(context.WithoutCancel(ctx), conn, websocket.MessageBinary), nil
}

func (c Config) connectWithString(options *azeventhubs.ConsumerClientOptions) (*azeventhubs.ConsumerClient, error) {
	text := c.ConnectionString.Reveal()
	name := c.EventHub
	parsed, err := azeventhubs.ParseConnectionString(text)
	if err != nil {
		return nil, errors.New("reading connection string: it is none") // err may quote it
	}
	if parsed.EntityPath != nil {
		name = "" // the SDK refuses to be told twice
	}
	return azeventhubs.NewConsumerClientFromConnectionString(text, name, c.ConsumerGroup, options)
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
