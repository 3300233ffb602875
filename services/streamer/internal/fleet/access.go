package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/seal"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/streamer/internal/hub"
)

// NamespaceConfig says how a namespace is reached that is not reached as Microsoft's are: a private endpoint, a network
// without AMQP, a simulator.
type NamespaceConfig struct {
	// CustomEndpoint is dialed instead of the namespace: host[:port].
	CustomEndpoint string `yaml:"custom_endpoint"`
	// CAFile holds certificates to trust, PEM, instead of the system's.
	CAFile string `yaml:"ca_file"`
	// WebSockets carries AMQP over a WebSocket on port 443.
	WebSockets bool `yaml:"web_sockets"`
	// AuthorityURL and AuthorityCAFile replace the login of the namespace's cloud: https://host[:port], and a PEM bundle
	// to trust beside the system's.
	AuthorityURL    string `yaml:"authority_url"`
	AuthorityCAFile string `yaml:"authority_ca_file"`
}

// Namespaces are by host name, in lower case.
type Namespaces map[string]NamespaceConfig

// Check notes every fault by its key. Files are looked for when they are needed.
func (n Namespaces) Check(p *config.Problems) {
	for _, name := range slices.Sorted(maps.Keys(n)) {
		c := n[name]
		p.Check(name == strings.ToLower(name), "namespaces."+name, "must be in lower case")
		c.AuthorityCAFile = ""
		_, err := c.endpoints(name)
		p.Check(err == nil, "namespaces."+name+".authority_url", "must be https://host[:port]")
		if c.CustomEndpoint != "" {
			hub.CheckEndpoint(p, "namespaces."+name+".custom_endpoint", c.CustomEndpoint)
		}
	}
}

// endpoints returns where tokens for a namespace come from: its host name tells the cloud.
func (c NamespaceConfig) endpoints(namespace string) (entra.Endpoints, error) {
	cloud := entra.CloudGlobal
	for _, known := range entra.Clouds() {
		if strings.HasSuffix(namespace, "."+known.EventHubsSuffix) {
			cloud = known.Name
			break
		}
	}
	return entra.NewEndpoints(cloud, entra.Overrides{AuthorityURL: c.AuthorityURL, CAFile: c.AuthorityCAFile})
}

// errOtherNamespace is for a connection string of another namespace than the integration's.
var errOtherNamespace = errors.New("the connection string is of another namespace")

// configOf returns how the hub of an integration is read. Its errors hold no secret; an *entra.Error says what is wrong
// with the credential.
func (n Namespaces) configOf(id string, i *controlv1.Integration, credential *controlv1.Credential) (hub.Config, error) {
	connection := i.GetEventHub()
	if connection == nil {
		return hub.Config{}, errors.New("the integration is no Event Hub")
	}
	var c hub.Config
	c.SetDefaults()
	c.Integration, c.Tenants, c.EventHub = id, connection.GetTenantIds(), connection.GetHub()
	if connection.GetConsumerGroup() != "" {
		c.ConsumerGroup = connection.GetConsumerGroup()
	}
	namespace := strings.ToLower(connection.GetNamespace())
	if text := credential.GetConnectionString(); text != "" {
		c.ConnectionString = config.NewSecret(text)
		parsed, err := azeventhubs.ParseConnectionString(text)
		if err == nil {
			of := strings.ToLower(strings.TrimSuffix(parsed.FullyQualifiedNamespace, "/"))
			if namespace != "" && namespace != of {
				return hub.Config{}, errOtherNamespace
			}
			namespace = of
		}
	} else {
		c.Namespace = namespace
	}
	own := n[namespace]
	c.CustomEndpoint, c.CAFile, c.WebSockets = own.CustomEndpoint, own.CAFile, own.WebSockets
	if c.ConnectionString.IsZero() {
		spec, err := integrations.SignIn(connection.GetTenantId(), connection.GetClientId(), credential)
		if err != nil {
			return hub.Config{}, err
		}
		at, err := own.endpoints(namespace)
		if err != nil {
			return hub.Config{}, err
		}
		if c.Token, err = entra.NewCredential(spec, at, nil); err != nil {
			return hub.Config{}, err
		}
	}
	return c, c.Validate()
}

// Keys is the master key, opened when a credential is first needed: a streamer whose hubs are all in its config needs
// none. It is safe for concurrent use.
type Keys struct {
	cfg seal.Config

	mu   sync.Mutex
	open *seal.Sealer
}

// NewKeys opens nothing. Close the keys.
func NewKeys(cfg seal.Config) *Keys { return &Keys{cfg: cfg} }

// sealer opens the key. It never makes the key file: what is sealed was sealed with the gateway's.
func (k *Keys) sealer(ctx context.Context) (*seal.Sealer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open != nil {
		return k.open, nil
	}
	if k.cfg.KeyURL == "" {
		if _, err := os.Stat(k.cfg.KeyFile); err != nil {
			return nil, fmt.Errorf("%w: the key file must be the gateway's: %w", seal.ErrKeyUnavailable, err)
		}
	}
	open, err := seal.Open(context.WithoutCancel(ctx), k.cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", seal.ErrKeyUnavailable, err)
	}
	k.open = open
	return open, nil
}

// Close lets go of the key.
func (k *Keys) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.open == nil {
		return nil
	}
	return k.open.Close()
}
