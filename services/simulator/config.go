package simulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/simulator/entra"
	"github.com/entraflow/entraflow/services/simulator/eventhubs"
)

// Config is what a user sets.
type Config struct {
	// Listen says where; an empty address is not listened on.
	Listen ListenConfig `yaml:"listen"`
	// AllowRemote permits addresses that are not on loopback.
	AllowRemote bool `yaml:"allow_remote"`
	// AdminToken is the bearer token of the admin API. If empty, one is made at start and announced.
	AdminToken config.Secret `yaml:"admin_token"`
	TLS        TLSConfig     `yaml:"tls"`
	// Namespaces are the Event Hubs namespaces; the first is the default.
	Namespaces []NamespaceConfig `yaml:"namespaces"`
	// Hubs are added to the first namespace.
	Hubs []HubSpec `yaml:"hubs"`
	// RetentionBytes is what each partition of Hubs keeps; the oldest events go first.
	RetentionBytes config.Bytes `yaml:"retention_bytes"`
	// Tokens overrides which Entra tokens the first namespace accepts: refused, unexpired or any.
	Tokens string `yaml:"tokens"`
	// Key is the secret of the first namespace's key RootManageSharedAccessKey. If the namespace has no key at all,
	// one is made at start and announced.
	Key config.Secret `yaml:"key"`
	// EventHubs holds the limits of the AMQP service.
	EventHubs eventhubs.Config `yaml:"eventhubs"`
	Replay    ReplayConfig     `yaml:"replay"`
	// Entra is Microsoft's login and Graph; listen.entra and listen.entra_http are its addresses.
	Entra entra.Config `yaml:"entra"`
}

// ListenConfig holds addresses, host:port; port 0 picks a free one.
type ListenConfig struct {
	// AMQP is plain AMQP, for connection strings with UseDevelopmentEmulator=true.
	AMQP string `yaml:"amqp"`
	// AMQPS is AMQP over TLS. Clients expect port 5671.
	AMQPS string `yaml:"amqps"`
	// WS and WSS are AMQP over WebSocket, plain and over TLS. Clients expect port 443.
	WS  string `yaml:"ws"`
	WSS string `yaml:"wss"`
	// Admin is the admin API over HTTP.
	Admin string `yaml:"admin"`
	// TokenStub serves managed identity tokens that nobody signed, for tests of clients that insist on one.
	TokenStub string `yaml:"token_stub"`
	// Entra is the login host and Graph over HTTPS, with a certificate of the simulator's CA.
	Entra string `yaml:"entra"`
	// EntraHTTP is the same over plain HTTP, on loopback only, for clients that allow it.
	EntraHTTP string `yaml:"entra_http"`
	// FakeARM is an HTTP proxy whose one destination is a fake of Azure Resource Manager that enables and disables
	// hubs. It needs WSS or AMQPS for its certificate.
	FakeARM string `yaml:"fake_arm"`
}

// TLSConfig says which certificate to show.
type TLSConfig struct {
	// CertFile and KeyFile are PEM files. If empty, a CA and a certificate are made at start.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// CAOut, CertOut and KeyOut are files to write what was made to, so that clients can trust it and other test
	// servers can share it. KeyOut is of mode 0600.
	CAOut   string `yaml:"ca_out"`
	CertOut string `yaml:"cert_out"`
	KeyOut  string `yaml:"key_out"`
	// Hosts are names and IP addresses for the certificate beside localhost and the namespaces.
	Hosts []string `yaml:"hosts"`
}

// NamespaceConfig is one Event Hubs namespace.
type NamespaceConfig struct {
	// Name is its host name, without a port; Hosts are further ones.
	Name  string   `yaml:"name"`
	Hosts []string `yaml:"hosts"`
	// Keys with their claims. Without any, a key RootManageSharedAccessKey is made at start.
	Keys []KeyConfig `yaml:"keys"`
	// Tokens says which Entra tokens are accepted: refused, unexpired or any.
	Tokens string      `yaml:"tokens"`
	Hubs   []HubConfig `yaml:"hubs"`
}

// SetDefaults is called before an element of the list is decoded.
func (n *NamespaceConfig) SetDefaults() { n.Tokens = string(eventhubs.TokensRefused) }

// KeyConfig is a shared access key.
type KeyConfig struct {
	Name   string        `yaml:"name"`
	Secret config.Secret `yaml:"secret"`
	// Claims are some of Send, Listen and Manage; none means all.
	Claims []string `yaml:"claims"`
}

// HubConfig is one event hub.
type HubConfig struct {
	Name           string       `yaml:"name"`
	Partitions     int          `yaml:"partitions"`
	ConsumerGroups []string     `yaml:"consumer_groups"`
	RetentionBytes config.Bytes `yaml:"retention_bytes"`
	GeoReplication bool         `yaml:"geo_replication"`
	// FirstSequence is the sequence number of each partition's first event.
	FirstSequence int64 `yaml:"first_sequence"`
}

// ReplayConfig is a replay that starts with the simulator.
type ReplayConfig struct {
	// Path is a record file or a folder of them; empty is no replay.
	Path string `yaml:"path"`
	// Hub of the first namespace; empty is its first hub.
	Hub string `yaml:"hub"`
	// Rate is in records a second, 0 as fast as can be.
	Rate         float64      `yaml:"rate"`
	BatchRecords int          `yaml:"batch_records"`
	BatchBytes   config.Bytes `yaml:"batch_bytes"`
}

// DefaultConfig listens for plain AMQP and the admin API on loopback and has one hub, entra, of 4 partitions.
func DefaultConfig() Config {
	return Config{
		Listen:         ListenConfig{AMQP: "127.0.0.1:5672", Admin: "127.0.0.1:5673"},
		Namespaces:     []NamespaceConfig{{Name: "localhost", Tokens: string(eventhubs.TokensRefused)}},
		Hubs:           []HubSpec{{HubConfig{Name: "entra", Partitions: 4}}},
		RetentionBytes: eventhubs.DefaultRetentionBytes,
		EventHubs:      eventhubs.DefaultConfig(),
		Entra:          entra.DefaultConfig(),
		Replay: ReplayConfig{
			BatchRecords: eventhubs.DefaultBatchRecords, BatchBytes: eventhubs.DefaultBatchBytes,
		},
	}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	for _, l := range c.Listen.all() {
		p.Check(l.address == "" || c.AllowRemote || config.IsLoopback(l.address), "listen."+l.name,
			"must be a loopback host:port, unless allow_remote is set")
	}
	p.Check((c.TLS.CertFile == "") == (c.TLS.KeyFile == ""), "tls", "needs both cert_file and key_file, or neither")
	hubs := c.eventHubs()
	if err := hubs.Validate(); err != nil {
		p.Add("eventhubs", "%v", err)
	}
	p.Check(c.Listen.EntraHTTP == "" || config.IsLoopback(c.Listen.EntraHTTP), "listen.entra_http", "must be a loopback host:port")
	p.Under("entra", c.Entra.Validate())
	p.Check(c.Replay.Rate >= 0, "replay.rate", "must not be negative")
	p.Check(c.Replay.BatchRecords > 0, "replay.batch_records", "must be positive")
	p.Check(c.Replay.BatchBytes > 0, "replay.batch_bytes", "must be positive")
	return p.Err()
}

type namedAddress struct{ name, address string }

func (l ListenConfig) all() []namedAddress {
	return []namedAddress{
		{"amqp", l.AMQP},
		{"amqps", l.AMQPS},
		{"ws", l.WS},
		{"wss", l.WSS},
		{"admin", l.Admin},
		{"entra", l.Entra},
		{"entra_http", l.EntraHTTP},
		{"token_stub", l.TokenStub},
		{"fake_arm", l.FakeARM},
	}
}

// eventHubs puts the configuration of the Event Hubs side together.
func (c Config) eventHubs() eventhubs.Config {
	cfg := c.EventHubs
	cfg.Namespaces = nil
	for _, n := range c.Namespaces {
		cfg.Namespaces = append(cfg.Namespaces, n.eventHubs())
	}
	if len(cfg.Namespaces) == 0 {
		return cfg
	}
	first := &cfg.Namespaces[0]
	for _, h := range c.Hubs {
		hub := h.eventHubs()
		hub.RetentionBytes = int(c.RetentionBytes)
		first.Hubs = append(first.Hubs, hub)
	}
	if c.Tokens != "" {
		first.Tokens = eventhubs.TokenPolicy(c.Tokens)
	}
	if !c.Key.IsZero() {
		first.Keys = append(first.Keys, eventhubs.KeyConfig{Name: eventhubs.DefaultKeyName, Secret: c.Key.Reveal()})
	}
	return cfg
}

func (n NamespaceConfig) eventHubs() eventhubs.NamespaceConfig {
	out := eventhubs.NamespaceConfig{Name: n.Name, Hosts: n.Hosts, Tokens: eventhubs.TokenPolicy(n.Tokens)}
	for _, k := range n.Keys {
		out.Keys = append(out.Keys, eventhubs.KeyConfig{Name: k.Name, Secret: k.Secret.Reveal(), Claims: k.Claims})
	}
	for _, h := range n.Hubs {
		out.Hubs = append(out.Hubs, h.eventHubs())
	}
	return out
}

func (h HubConfig) eventHubs() eventhubs.HubConfig {
	return eventhubs.HubConfig{
		Name: h.Name, Partitions: h.Partitions, ConsumerGroups: h.ConsumerGroups,
		RetentionBytes: int(h.RetentionBytes), GeoReplication: h.GeoReplication, FirstSequence: h.FirstSequence,
	}
}

// HubSpec is a hub in one line: name:partitions[:group,group...[:geo]].
type HubSpec struct{ HubConfig }

// MarshalText returns the line.
func (h HubSpec) MarshalText() ([]byte, error) {
	text := h.Name + ":" + strconv.Itoa(h.Partitions)
	if len(h.ConsumerGroups) > 0 || h.GeoReplication {
		text += ":" + strings.Join(h.ConsumerGroups, ",")
	}
	if h.GeoReplication {
		text += ":geo"
	}
	return []byte(text), nil
}

// UnmarshalText reads the line.
func (h *HubSpec) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), ":")
	if len(parts) < 2 || len(parts) > 4 {
		return fmt.Errorf("hub %q is not name:partitions[:group,group[:geo]]", text)
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return fmt.Errorf("hub %q: %q is no number of partitions", text, parts[1])
	}
	*h = HubSpec{HubConfig{Name: parts[0], Partitions: n}}
	if len(parts) > 2 && parts[2] != "" {
		h.ConsumerGroups = strings.Split(parts[2], ",")
	}
	if len(parts) == 4 {
		if parts[3] != "geo" {
			return fmt.Errorf("hub %q: %q is not geo", text, parts[3])
		}
		h.GeoReplication = true
	}
	return nil
}

// hosts are the names that the certificate must cover.
func (c Config) hosts() []string {
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, c.TLS.Hosts...)
	for _, n := range c.Namespaces {
		hosts = append(append(hosts, n.Name), n.Hosts...)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
