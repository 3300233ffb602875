package hub

import (
	"net"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/entraflow/entraflow/pkg/config"
)

// AnyTenant in a list of tenants allows every tenant. It must be said explicitly: whoever can write to
// a hub can write any tenant id into a record.
const AnyTenant = "any"

// maxPrefetch is the SDK's bound.
const maxPrefetch = 5000

// Config is one Event Hub as one consumer group reads it.
type Config struct {
	// Integration names the connection in every event. Several hubs may belong to one integration.
	Integration string `yaml:"integration"`
	// Tenants are the directory ids whose records the hub may carry, or [any]. A record of another
	// tenant becomes a dead letter. With exactly one, records that name no tenant are that tenant's.
	Tenants []string `yaml:"tenants"`
	// ConnectionString is the hub's or its namespace's, those of emulators too. Without it Namespace
	// and Credential say where and as whom to connect.
	ConnectionString config.Secret `yaml:"connection_string"`
	// Namespace is the host name, such as example.servicebus.windows.net.
	Namespace  string           `yaml:"namespace"`
	Credential CredentialConfig `yaml:"credential"`
	// Token, if set, is used in place of Credential: that of an integration.
	Token azcore.TokenCredential `yaml:"-"`
	// EventHub is the hub's name. It may be left out if the connection string has an EntityPath.
	EventHub      string `yaml:"event_hub"`
	ConsumerGroup string `yaml:"consumer_group"`
	// Prefetch is how many messages a partition may hold ready. A message may be as large as 1 MB, on the
	// Dedicated tier 20 MB, so this times partitions bounds memory.
	Prefetch int `yaml:"prefetch"`
	// CustomEndpoint is dialed instead of the namespace: a private endpoint or gateway, host[:port].
	CustomEndpoint string `yaml:"custom_endpoint"`
	// CAFile holds certificates to trust, PEM, instead of the system's.
	CAFile string `yaml:"ca_file"`
	// WebSockets carries AMQP over a WebSocket on port 443, for networks that close 5671.
	WebSockets bool `yaml:"web_sockets"`
}

// CredentialConfig says where tokens come from.
type CredentialConfig struct {
	// Kind is default (all in turn), managed_identity, workload_identity, or environment: client secret or
	// certificate by the variables AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET,
	// AZURE_CLIENT_CERTIFICATE_PATH.
	Kind string `yaml:"kind"`
	// ClientID is that of a user-assigned managed identity or of the workload's application. Empty: the
	// system-assigned one, or the environment's.
	ClientID string `yaml:"client_id"`
	// TenantID is the workload's directory. Empty: the environment's.
	TenantID string `yaml:"tenant_id"`
}

// Kinds of credentials.
const (
	CredentialDefault          = "default"
	CredentialManagedIdentity  = "managed_identity"
	CredentialWorkloadIdentity = "workload_identity"
	CredentialEnvironment      = "environment"
)

// SetDefaults is called before an element of the list is decoded.
func (c *Config) SetDefaults() {
	c.ConsumerGroup = azeventhubs.DefaultConsumerGroup
	c.Prefetch = 64
	c.Credential.Kind = CredentialDefault
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Check(c.Integration != "", "integration", "must be set")
	p.Check(c.ConsumerGroup != "", "consumer_group", "must be set")
	p.Check(c.Prefetch > 0 && c.Prefetch <= maxPrefetch, "prefetch", "must be from 1 to %d", maxPrefetch)
	c.checkTenants(&p)
	c.checkAddress(&p)
	if c.CustomEndpoint != "" {
		CheckEndpoint(&p, "custom_endpoint", c.CustomEndpoint)
	}
	return p.Err()
}

// CheckEndpoint notes under key if endpoint is not host[:port].
func CheckEndpoint(p *config.Problems, key, endpoint string) {
	host, _, err := net.SplitHostPort(endpoint)
	p.Check((err != nil || host != "") && !strings.Contains(endpoint, "/"), key, "must be host or host:port")
}

func (c Config) checkTenants(p *config.Problems) {
	p.Check(len(c.Tenants) > 0, "tenants", "must list the tenants, or be [%s]", AnyTenant)
	p.Check(len(c.Tenants) < 2 || !slices.Contains(c.Tenants, AnyTenant), "tenants", "must be [%s] or a list of ids, not both", AnyTenant)
	p.Check(!slices.Contains(c.Tenants, ""), "tenants", "must not be empty")
}

func (c Config) checkAddress(p *config.Problems) {
	if c.ConnectionString.IsZero() {
		p.Check(c.Namespace != "", "namespace", "must be set, or connection_string")
		p.Check(c.EventHub != "", "event_hub", "must be set")
		if c.Token == nil {
			c.Credential.check(p)
		}
		return
	}
	p.Check(c.Namespace == "", "namespace", "must not be set together with connection_string")
	parsed, err := azeventhubs.ParseConnectionString(c.ConnectionString.Reveal())
	if err != nil {
		// The SDK's text may quote the string.
		p.Add("connection_string", "is no Event Hubs connection string")
		return
	}
	path := parsed.EntityPath
	p.Check(path != nil || c.EventHub != "", "event_hub", "must be set: the connection string has no EntityPath")
	p.Check(path == nil || c.EventHub == "" || c.EventHub == *path, "event_hub", "must be the connection string's EntityPath")
}

func (c CredentialConfig) check(p *config.Problems) {
	kinds := []string{CredentialDefault, CredentialManagedIdentity, CredentialWorkloadIdentity, CredentialEnvironment}
	p.Check(slices.Contains(kinds, c.Kind), "credential.kind", "must be one of %s", strings.Join(kinds, ", "))
	workload := c.Kind == CredentialWorkloadIdentity
	p.Check(c.ClientID == "" || workload || c.Kind == CredentialManagedIdentity, "credential.client_id",
		"is for %s and %s", CredentialManagedIdentity, CredentialWorkloadIdentity)
	p.Check(c.TenantID == "" || workload || c.Kind == CredentialDefault, "credential.tenant_id",
		"is for %s and %s", CredentialWorkloadIdentity, CredentialDefault)
}

// Name returns the namespace and the hub's name. Config must be valid.
func (c Config) Name() (namespace, hub string) {
	if c.ConnectionString.IsZero() {
		return c.Namespace, c.EventHub
	}
	parsed, err := azeventhubs.ParseConnectionString(c.ConnectionString.Reveal())
	if err != nil {
		return "", c.EventHub
	}
	if parsed.EntityPath != nil {
		return parsed.FullyQualifiedNamespace, *parsed.EntityPath
	}
	return parsed.FullyQualifiedNamespace, c.EventHub
}

// Tuning is what all hubs of a streamer have in common.
type Tuning struct {
	// DecodeWorkers bounds the messages decoded at once, over all partitions; 0 is one for each CPU.
	DecodeWorkers int `yaml:"decode_workers"`
	// MaxRecords and MaxInflated bound one message: its records, and its bytes if it is compressed.
	MaxRecords  int          `yaml:"max_records"`
	MaxInflated config.Bytes `yaml:"max_inflated"`
	// ReceiveBatch is how many messages are taken from what is prefetched at once.
	ReceiveBatch int `yaml:"receive_batch"`
	// MaxOpenMessages bounds the messages of a partition that are published but not checkpointed.
	MaxOpenMessages int `yaml:"max_open_messages"`
	// CheckpointInterval is how often a partition's position is saved; what came after it comes again
	// after a crash.
	CheckpointInterval time.Duration `yaml:"checkpoint_interval"`
	// StoreTimeout is for how long reads and writes of checkpoints are tried again.
	StoreTimeout time.Duration `yaml:"store_timeout"`
	// ClaimInterval is how often partitions are claimed and claims renewed, ClaimExpiry when those of a
	// reader that does not renew them are free again.
	ClaimInterval time.Duration `yaml:"claim_interval"`
	ClaimExpiry   time.Duration `yaml:"claim_expiry"`
	// StallTimeout is how long a claimed partition may stay unopened before the connection is renewed.
	StallTimeout time.Duration `yaml:"stall_timeout"`
	// RecycleAfter is the age at which a connection is renewed, give or take a tenth. What an idle one
	// has gathered in the SDK by then goes with it (Azure/azure-sdk-for-go#24740).
	RecycleAfter time.Duration `yaml:"recycle_after"`
	// StepBack is how much is read again after a power cut, in time of reading: more than NATS
	// leaves to the operating system before it syncs, which is two minutes.
	StepBack time.Duration `yaml:"step_back"`
	// LagInterval is how often the hub is asked for its last sequence numbers.
	LagInterval time.Duration `yaml:"lag_interval"`
	// BackOff bounds the delays between attempts to connect.
	BackOff BackOff `yaml:"back_off"`
	// DrainTimeout is how long to wait for PubAcks when asked to stop. What is missing then comes again.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
}

// BackOff bounds the delays between attempts; they double from First to Last.
type BackOff struct {
	First time.Duration `yaml:"first"`
	Last  time.Duration `yaml:"last"`
}

// DefaultTuning suits hubs on the Standard tier.
func DefaultTuning() Tuning {
	return Tuning{
		MaxRecords: 10_000, MaxInflated: 64 * config.MiB,
		ReceiveBatch: 64, MaxOpenMessages: 8192,
		CheckpointInterval: time.Second, StoreTimeout: 30 * time.Second,
		ClaimInterval: 2 * time.Second, ClaimExpiry: 15 * time.Second, StallTimeout: 30 * time.Second,
		RecycleAfter: 6 * time.Hour, StepBack: 5 * time.Minute, LagInterval: 10 * time.Second,
		BackOff:      BackOff{First: 250 * time.Millisecond, Last: 30 * time.Second},
		DrainTimeout: 10 * time.Second,
	}
}

// Check notes every fault of the tuning by its key.
func Check(t Tuning, p *config.Problems) {
	p.Check(t.DecodeWorkers >= 0, "decode_workers", "must not be negative")
	for _, limit := range []struct {
		key   string
		value int64
	}{
		{"max_records", int64(t.MaxRecords)},
		{"max_inflated", int64(t.MaxInflated)},
		{"receive_batch", int64(t.ReceiveBatch)},
		{"max_open_messages", int64(t.MaxOpenMessages)},
		{"checkpoint_interval", int64(t.CheckpointInterval)},
		{"store_timeout", int64(t.StoreTimeout)},
		{"claim_interval", int64(t.ClaimInterval)},
		{"stall_timeout", int64(t.StallTimeout)},
		{"recycle_after", int64(t.RecycleAfter)},
		{"step_back", int64(t.StepBack)},
		{"lag_interval", int64(t.LagInterval)},
		{"back_off.first", int64(t.BackOff.First)},
		{"drain_timeout", int64(t.DrainTimeout)},
	} {
		p.Check(limit.value > 0, limit.key, "must be positive")
	}
	p.Check(t.BackOff.Last >= t.BackOff.First, "back_off.last", "must not be below back_off.first")
	p.Check(t.ClaimExpiry >= 3*t.ClaimInterval, "claim_expiry", "must be three times claim_interval at least")
}
