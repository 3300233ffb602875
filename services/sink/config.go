package sink

import (
	"time"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clickhouse"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/services/sink/internal/intake"
)

// Config is the section `sink` of the configuration.
type Config struct {
	// NATS says how the bus is reached.
	NATS bus.Config `yaml:"nats"`
	// ClickHouse says where rows are stored.
	ClickHouse clickhouse.Config `yaml:"clickhouse"`
	// Batch bounds what is inserted at once.
	Batch BatchConfig `yaml:"batch"`
	// Retry paces the tries while the store is away.
	Retry RetryConfig `yaml:"retry"`
	// Retention says how long rows are kept. Changing it takes effect at the next start.
	Retention RetentionConfig `yaml:"retention"`
	// RecentIDs is how many ids, of 8 bytes, are remembered to count the rows that came before. 0
	// counts none.
	RecentIDs int `yaml:"recent_ids"`
}

// BatchConfig bounds the batches of each stream.
type BatchConfig struct {
	// MaxRows and MaxBytes end a batch. A larger message is a batch of its own.
	MaxRows  int          `yaml:"max_rows"`
	MaxBytes config.Bytes `yaml:"max_bytes"`
	// MaxDelay is how long the first message of a batch waits for others, longer only while InFlight
	// batches are being handled. It is what the latency from stream to table is made of while little comes.
	MaxDelay time.Duration `yaml:"max_delay"`
	// InFlight is how many batches are decoded or inserted at once. Memory grows with it: each batch
	// takes some five times MaxBytes, and up to three more wait as they came.
	InFlight int `yaml:"in_flight"`
	// InsertTimeout bounds one insert.
	InsertTimeout time.Duration `yaml:"insert_timeout"`
}

// RetryConfig says how long to wait before a failed insert is tried again.
type RetryConfig struct {
	// First is the first delay; each is twice as long as the one before, up to Max.
	First time.Duration `yaml:"first"`
	Max   time.Duration `yaml:"max"`
}

// RetentionConfig counts whole days from when a row was stored, whenever it happened.
type RetentionConfig struct {
	// EventDays is for events and the history of the directory. The newest states of risky users and of the directory
	// are kept.
	EventDays int `yaml:"event_days"`
	// DeadLetterDays is for dead letters.
	DeadLetterDays int `yaml:"dead_letter_days"`
	// AuditDays is for the audit log.
	AuditDays int `yaml:"audit_days"`
}

// maxRetentionDays keeps the end of retention within what a DateTime of ClickHouse can hold (2106).
const maxRetentionDays = 20_000

// DefaultConfig returns the configuration of a sink that talks to a local NATS and an embedded
// ClickHouse, but for the data folder.
func DefaultConfig() Config {
	nats := bus.DefaultConfig()
	nats.User = bus.UserSink
	return Config{
		NATS:       nats,
		ClickHouse: clickhouse.DefaultConfig(),
		Batch: BatchConfig{
			MaxRows: 16384, MaxBytes: 16 * config.MiB, MaxDelay: 500 * time.Millisecond,
			InFlight: 2, InsertTimeout: time.Minute,
		},
		Retry:     RetryConfig{First: 250 * time.Millisecond, Max: 10 * time.Second},
		Retention: RetentionConfig{EventDays: 400, DeadLetterDays: 90, AuditDays: 400},
		RecentIDs: 1 << 20,
	}
}

// Validate names every fault by its key.
func (c Config) Validate() error {
	var p config.Problems
	p.Under("nats", c.NATS.Validate())
	p.Under("clickhouse", c.ClickHouse.Validate())
	c.Batch.validate(&p)
	p.Check(c.Retry.First > 0, "retry.first", "must be positive")
	p.Check(c.Retry.Max >= c.Retry.First, "retry.max", "must not be less than retry.first")
	checkDays(&p, "retention.event_days", c.Retention.EventDays)
	checkDays(&p, "retention.dead_letter_days", c.Retention.DeadLetterDays)
	checkDays(&p, "retention.audit_days", c.Retention.AuditDays)
	p.Check(c.RecentIDs >= 0 && c.RecentIDs <= 1<<28, "recent_ids", "must be between 0 and %d", 1<<28)
	return p.Err()
}

func (c BatchConfig) validate(p *config.Problems) {
	p.Check(c.MaxRows >= 1 && c.MaxRows <= 1_000_000, "batch.max_rows", "must be between 1 and 1000000")
	p.Check(c.MaxBytes >= config.MiB && c.MaxBytes <= config.GiB, "batch.max_bytes", "must be between 1MiB and 1GiB")
	p.Check(c.MaxDelay > 0, "batch.max_delay", "must be positive")
	p.Check(c.InFlight >= 1 && c.InFlight <= 64, "batch.in_flight", "must be between 1 and 64")
	p.Check(c.InsertTimeout > 0, "batch.insert_timeout", "must be positive")
}

func checkDays(p *config.Problems, key string, days int) {
	p.Check(days >= 1 && days <= maxRetentionDays, key, "must be between 1 and %d", maxRetentionDays)
}

func (c BatchConfig) options() bus.BatchOptions {
	return bus.BatchOptions{
		MaxMessages: c.MaxRows, MaxBytes: c.MaxBytes, MaxDelay: c.MaxDelay, MaxInFlight: c.InFlight,
	}
}

// limits leave room for what a full batch has above MaxBytes: its last message. Only raw records kept
// outside their messages make a batch more than one insert.
func (c BatchConfig) limits() intake.Limits {
	return intake.Limits{Rows: c.MaxRows, Bytes: 2 * c.MaxBytes, Timeout: c.InsertTimeout}
}
