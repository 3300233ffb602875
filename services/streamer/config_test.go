package streamer_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/seal"
	"github.com/entraflow/entraflow/services/streamer"
)

const connectionString = "Endpoint=sb://example.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0"

func validHub() streamer.HubConfig {
	h := streamer.DefaultHub()
	h.Integration, h.Tenants, h.EventHub = "contoso", []string{tenant}, "entra"
	h.ConnectionString = config.NewSecret(connectionString)
	return h
}

func TestConfig(t *testing.T) {
	cases := map[string]struct {
		change func(*streamer.Config)
		keys   []string
	}{
		"default":              {func(c *streamer.Config) { c.Hubs = nil }, nil},
		"one hub":              {func(*streamer.Config) {}, nil},
		"entity path":          {func(c *streamer.Config) { hub(c).EventHub = ""; setString(c, connectionString+";EntityPath=entra") }, nil},
		"other entity path":    {func(c *streamer.Config) { setString(c, connectionString+";EntityPath=other") }, []string{"hubs.0.event_hub"}},
		"no hub name":          {func(c *streamer.Config) { hub(c).EventHub = "" }, []string{"hubs.0.event_hub"}},
		"no integration":       {func(c *streamer.Config) { hub(c).Integration = "" }, []string{"hubs.0.integration"}},
		"no tenants":           {func(c *streamer.Config) { hub(c).Tenants = nil }, []string{"hubs.0.tenants"}},
		"empty tenant":         {func(c *streamer.Config) { hub(c).Tenants = []string{""} }, []string{"hubs.0.tenants"}},
		"any tenant":           {func(c *streamer.Config) { hub(c).Tenants = []string{"any"} }, nil},
		"any and another":      {func(c *streamer.Config) { hub(c).Tenants = []string{"any", tenant} }, []string{"hubs.0.tenants"}},
		"no address":           {func(c *streamer.Config) { setString(c, "") }, []string{"hubs.0.namespace"}},
		"token":                {func(c *streamer.Config) { setString(c, ""); hub(c).Namespace = "example.servicebus.windows.net" }, nil},
		"unknown credential":   {func(c *streamer.Config) { setString(c, ""); hub(c).Namespace = "x"; hub(c).Credential.Kind = "magic" }, []string{"hubs.0.credential.kind"}},
		"client of no kind":    {func(c *streamer.Config) { setString(c, ""); hub(c).Namespace = "x"; hub(c).Credential.ClientID = "y" }, []string{"hubs.0.credential.client_id"}},
		"two addresses":        {func(c *streamer.Config) { hub(c).Namespace = "x" }, []string{"hubs.0.namespace"}},
		"no connection string": {func(c *streamer.Config) { setString(c, "secret") }, []string{"hubs.0.connection_string"}},
		"emulator": {func(c *streamer.Config) {
			setString(c, "Endpoint=sb://localhost:5672;SharedAccessKeyName=k;SharedAccessKey=s;UseDevelopmentEmulator=true")
		}, nil},
		"endpoint with port":   {func(c *streamer.Config) { hub(c).CustomEndpoint = "10.0.0.4:5671" }, nil},
		"endpoint as URL":      {func(c *streamer.Config) { hub(c).CustomEndpoint = "https://10.0.0.4" }, []string{"hubs.0.custom_endpoint"}},
		"prefetch":             {func(c *streamer.Config) { hub(c).Prefetch = 5001 }, []string{"hubs.0.prefetch"}},
		"same hub twice":       {func(c *streamer.Config) { c.Hubs = append(c.Hubs, validHub()) }, []string{"hubs.1"}},
		"same hub, two groups": {func(c *streamer.Config) { c.Hubs = append(c.Hubs, validHub()); c.Hubs[1].ConsumerGroup = "second" }, nil},
		"no key":               {func(c *streamer.Config) { c.Seal = seal.Config{} }, []string{"seal.key_file"}},
		"namespace":            {func(c *streamer.Config) { setNamespace(c, namespace, "https://login.test") }, nil},
		"namespace's case":     {func(c *streamer.Config) { setNamespace(c, "Sim.test", "") }, []string{"namespaces.Sim.test"}},
		"authority":            {func(c *streamer.Config) { setNamespace(c, namespace, "http://login.test") }, []string{"namespaces.sim.test.authority_url"}},
		"tuning": {
			func(c *streamer.Config) { c.ReceiveBatch, c.ClaimExpiry, c.BackOff.Last = 0, c.ClaimInterval, 0 },
			[]string{"receive_batch", "back_off.last", "claim_expiry"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := streamer.DefaultConfig()
			c.Hubs = []streamer.HubConfig{validHub()}
			tc.change(&c)
			err := c.Validate()
			var keys []string
			if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
				for _, p := range invalid.Problems {
					keys = append(keys, p.Key)
				}
				require.NotContains(t, err.Error(), "secret")
			}
			require.Equal(t, tc.keys, keys)
			_, newErr := streamer.New(c, streamer.Settings{})
			require.Equal(t, err == nil, newErr == nil)
		})
	}
}

func hub(c *streamer.Config) *streamer.HubConfig { return &c.Hubs[0] }

func setString(c *streamer.Config, text string) { c.Hubs[0].ConnectionString = config.NewSecret(text) }

func setNamespace(c *streamer.Config, name, authority string) {
	c.Namespaces = map[string]streamer.NamespaceConfig{name: {AuthorityURL: authority}}
}
