package eventhubs

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// DefaultGroup is the consumer group that every hub has.
const DefaultGroup = "$Default"

// KiB and MiB are sizes in bytes.
const (
	KiB = 1 << 10
	MiB = 1 << 20
)

// Config is what a user sets. Start from DefaultConfig; the zero values of the limits are invalid.
type Config struct {
	// Namespaces to serve. The first is the default for host names that none claims. At least one.
	Namespaces []NamespaceConfig `yaml:"-"`
	// HeartbeatInterval is how long a connection may be silent before an empty frame is sent. The SDK gives up after
	// 60 s of silence. Negative: never, to test clients.
	HeartbeatInterval time.Duration `yaml:"heartbeat_interval"`
	// IdleTimeout is announced to clients; one that is silent for longer is dropped.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// MaxFrameBytes is the largest frame taken and sent.
	MaxFrameBytes int `yaml:"max_frame_bytes"`
	// MaxMessageBytes is the largest message a producer may send: 1 MiB as on the Standard tier, 20 MiB on Dedicated.
	MaxMessageBytes int `yaml:"max_message_bytes"`
	// MaxConnections is the bound on open connections; more are closed at once.
	MaxConnections int `yaml:"max_connections"`
	// LinkCredit is how many messages a producer may have under way.
	LinkCredit int `yaml:"link_credit"`
	// SessionWindow is how many transfer frames a client may have under way in a session.
	SessionWindow int `yaml:"session_window"`
	// MaxReaders is the bound on readers without an epoch of one partition in one consumer group; the service has 5.
	MaxReaders int `yaml:"max_readers"`
	// LowEpoch is how a reader with too low an epoch is turned away.
	LowEpoch RefusalForm `yaml:"low_epoch"`
}

// RefusalForm is how an attach is turned away.
type RefusalForm string

const (
	// AttachThenDetach answers the attach and detaches at once; the SDK sees a *amqp.LinkError (ownership lost).
	AttachThenDetach RefusalForm = "attach_then_detach"
	// Refuse answers with an attach without source and target, then detaches; the SDK sees a *amqp.Error.
	Refuse RefusalForm = "refuse"
)

// NamespaceConfig is one Event Hubs namespace.
type NamespaceConfig struct {
	// Name is the host name of the namespace, without a port.
	Name string
	// Hosts are further host names that lead to it (AMQP open.hostname or TLS server name).
	Hosts []string
	// Keys of the namespace. If empty, New makes one named DefaultKeyName with all claims and a random secret.
	Keys []KeyConfig
	// Tokens says which Entra tokens (JWT) are accepted.
	Tokens TokenPolicy
	Hubs   []HubConfig
}

// DefaultKeyName is the name of the key a namespace has if none is configured.
const DefaultKeyName = "RootManageSharedAccessKey"

// KeyConfig is a shared access key.
type KeyConfig struct {
	Name string
	// Secret is the key as it stands in a connection string; it is used as bytes, not decoded.
	Secret string
	// Claims are some of "Send", "Listen" and "Manage"; Manage includes the others. None means all.
	Claims []string
}

// TokenPolicy says which Entra tokens are accepted. A token that is accepted has all claims.
type TokenPolicy string

const (
	// TokensRefused accepts none.
	TokensRefused TokenPolicy = "refused"
	// TokensUnexpired accepts any JWT with an exp in the future; the signature is not checked.
	TokensUnexpired TokenPolicy = "unexpired"
	// TokensAny accepts anything that is sent as a JWT, as the SDK's recorded tests need it.
	TokensAny TokenPolicy = "any"
)

// HubConfig is one event hub.
type HubConfig struct {
	Name       string
	Partitions int
	// ConsumerGroups beside $Default.
	ConsumerGroups []string
	// RetentionBytes bounds what each partition keeps; 0 is DefaultRetentionBytes. The oldest events go first.
	RetentionBytes int
	// GeoReplication makes the hub report geo-replication and use offsets of that form.
	GeoReplication bool
	// FirstSequence is the sequence number of each partition's first event. A hub lives in memory; one that takes
	// the place of an earlier one must begin behind it, or checkpoints of the earlier one hide its events.
	FirstSequence int64
}

// DefaultRetentionBytes is what a partition keeps if its hub does not say.
const DefaultRetentionBytes = 512 * MiB

// MaxPartitions is the most partitions a hub may have, as on the Dedicated tier.
const MaxPartitions = 1024

// Settings is what the program sets.
type Settings struct {
	// Logger gets start, stop and refusals; nil discards.
	Logger *slog.Logger
	// Now stamps events; nil is time.Now. It may be shifted and speeded up.
	Now func() time.Time
	// TokenNow judges the expiry of tokens; nil is time.Now, since clients sign with the machine's clock.
	TokenNow func() time.Time
}

// DefaultConfig serves one namespace "localhost" with one hub "entra" of 4 partitions.
func DefaultConfig() Config {
	return Config{
		Namespaces: []NamespaceConfig{{
			Name: "localhost", Tokens: TokensRefused,
			Hubs: []HubConfig{{Name: "entra", Partitions: 4}},
		}},
		HeartbeatInterval: 10 * time.Second,
		IdleTimeout:       4 * time.Minute,
		MaxFrameBytes:     64 * KiB,
		MaxMessageBytes:   MiB,
		MaxConnections:    1000,
		LinkCredit:        300,
		SessionWindow:     5000,
		MaxReaders:        5,
		LowEpoch:          AttachThenDetach,
	}
}

// Validate returns all faults of the configuration, joined, each with its key path.
func (c *Config) Validate() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(c.Namespaces) == 0 {
		bad("namespaces: at least one is needed")
	}
	limits := []struct {
		key          string
		value, least int
	}{
		{"max_frame_bytes", c.MaxFrameBytes, 512},
		{"max_message_bytes", c.MaxMessageBytes, KiB},
		{"max_connections", c.MaxConnections, 1},
		{"link_credit", c.LinkCredit, 1},
		{"session_window", c.SessionWindow, 2},
		{"max_readers", c.MaxReaders, 1},
	}
	for _, l := range limits {
		if l.value < l.least {
			bad("%s: %d is below %d", l.key, l.value, l.least)
		}
	}
	if c.HeartbeatInterval == 0 || c.IdleTimeout < time.Second {
		bad("heartbeat_interval, idle_timeout: must be set, the latter to 1s at least")
	}
	if c.LowEpoch != AttachThenDetach && c.LowEpoch != Refuse {
		bad("low_epoch: %q is neither %q nor %q", c.LowEpoch, AttachThenDetach, Refuse)
	}
	for i := range c.Namespaces {
		faults = append(faults, c.Namespaces[i].validate("namespaces["+strconv.Itoa(i)+"]"))
	}
	return errors.Join(faults...)
}

func (n *NamespaceConfig) validate(path string) error {
	var faults []error
	if n.Name == "" {
		faults = append(faults, fmt.Errorf("%s.name: is empty", path))
	}
	switch n.Tokens {
	case TokensRefused, TokensUnexpired, TokensAny:
	default:
		faults = append(faults, fmt.Errorf("%s.tokens: %q is unknown", path, n.Tokens))
	}
	for i, k := range n.Keys {
		if k.Name == "" || k.Secret == "" {
			faults = append(faults, fmt.Errorf("%s.keys[%d]: name and secret are needed", path, i))
		}
		if _, err := parseClaims(k.Claims); err != nil {
			faults = append(faults, fmt.Errorf("%s.keys[%d].claims: %w", path, i, err))
		}
	}
	for i := range n.Hubs {
		if err := n.Hubs[i].validate(); err != nil {
			faults = append(faults, fmt.Errorf("%s.hubs[%d]: %w", path, i, err))
		}
	}
	return errors.Join(faults...)
}

func (h *HubConfig) validate() error {
	switch {
	case !validName(h.Name):
		return fmt.Errorf("name: %q is no name of an event hub: %w", h.Name, ErrBadHub)
	case h.Partitions < 1 || h.Partitions > MaxPartitions:
		return fmt.Errorf("partitions: %d is not between 1 and %d: %w", h.Partitions, MaxPartitions, ErrBadHub)
	case h.FirstSequence < 0:
		return fmt.Errorf("first_sequence: %d is negative: %w", h.FirstSequence, ErrBadHub)
	case h.RetentionBytes < 0:
		return fmt.Errorf("retention_bytes: %d is negative: %w", h.RetentionBytes, ErrBadHub)
	}
	return nil
}

// validName admits what Azure admits: letters, digits, dot, dash and underscore.
func validName(name string) bool {
	if name == "" || len(name) > 256 {
		return false
	}
	for _, r := range name {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
		if !ok {
			return false
		}
	}
	return true
}
