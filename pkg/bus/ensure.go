package bus

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/entraflow/entraflow/pkg/config"
)

// Options override the topology for an installation. The zero value overrides nothing.
type Options struct {
	// Replicas is the number of servers that have each stream and bucket; 0 is the table's.
	Replicas int `yaml:"replicas"`
	// Streams has limits by the stream's name.
	Streams map[string]Limits `yaml:"streams"`
	// BlobsMaxBytes bounds the object store; 0 is the table's.
	BlobsMaxBytes config.Bytes `yaml:"blobs_max_bytes"`
	// LeaseTTL is how long a lease outlives its holder; 0 is the table's.
	LeaseTTL time.Duration `yaml:"lease_ttl"`
}

// Limits override what a stream keeps. Zero fields are the table's.
type Limits struct {
	MaxAge          time.Duration `yaml:"max_age"`
	MaxBytes        config.Bytes  `yaml:"max_bytes"`
	DuplicateWindow time.Duration `yaml:"duplicate_window"`
}

// minStreamBytes is room for some of the largest messages.
const minStreamBytes = 32 * config.MiB

// Validate names every fault by its key.
func (o Options) Validate() error {
	var p config.Problems
	p.Check(o.Replicas >= 0 && o.Replicas <= 5, "replicas", "must be 0 to 5")
	p.Check(o.BlobsMaxBytes == 0 || o.BlobsMaxBytes >= minStreamBytes, "blobs_max_bytes", "must be at least %s", minStreamBytes)
	p.Check(o.LeaseTTL == 0 || o.LeaseTTL >= time.Second, "lease_ttl", "must be at least 1s")
	for _, name := range slices.Sorted(maps.Keys(o.Streams)) {
		limits, key := o.Streams[name], "streams."+name
		_, known := FindStream(name)
		p.Check(known, key, "is no stream")
		p.Check(limits.MaxAge >= 0, key+".max_age", "must not be negative")
		p.Check(limits.MaxBytes == 0 || limits.MaxBytes >= minStreamBytes, key+".max_bytes", "must be at least %s", minStreamBytes)
		p.Check(limits.DuplicateWindow == 0 || limits.DuplicateWindow >= time.Second, key+".duplicate_window", "must be at least 1s")
	}
	return p.Err()
}

// metadataMaxAge is where a stream says how long it keeps what was read. It is no limit of the
// server's, which would remove the unread too.
const metadataMaxAge = "entraflow_max_age"

// Ensure makes the streams, durables and buckets of the topology, or changes them to what the
// topology and the options say. It removes none. The user must be the operator.
func Ensure(ctx context.Context, js jetstream.JetStream, o Options) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("making streams: %w", err)
	}
	for _, stream := range Streams() {
		if err := ensureStream(ctx, js, o.stream(stream)); err != nil {
			return fmt.Errorf("making stream %s: %w", stream.Name, err)
		}
	}
	for _, bucket := range Buckets() {
		if err := ensureBucket(ctx, js, o.bucket(bucket)); err != nil {
			return fmt.Errorf("making bucket %s: %w", bucket.Name, err)
		}
	}
	return nil
}

func (o Options) stream(s Stream) Stream {
	limits := o.Streams[s.Name]
	s.Replicas = override(s.Replicas, o.Replicas)
	s.MaxAge = override(s.MaxAge, limits.MaxAge)
	s.MaxBytes = override(s.MaxBytes, limits.MaxBytes)
	s.DuplicateWindow = override(s.DuplicateWindow, limits.DuplicateWindow)
	return s
}

func (o Options) bucket(b Bucket) Bucket {
	b.Replicas = override(b.Replicas, o.Replicas)
	switch b.Name {
	case BucketLeases:
		b.TTL = override(b.TTL, o.LeaseTTL)
	case BucketBlobs:
		b.MaxBytes = override(b.MaxBytes, o.BlobsMaxBytes)
	}
	return b
}

func override[T comparable](value, with T) T {
	var zero T
	if with == zero {
		return value
	}
	return with
}

func ensureStream(ctx context.Context, js jetstream.JetStream, s Stream) error {
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:              s.Name,
		Subjects:          s.Subjects,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew, // see Trimmer
		MaxBytes:          int64(s.MaxBytes),
		MaxMsgsPerSubject: s.MaxMessagesPerSubject,
		Duplicates:        s.DuplicateWindow,
		Replicas:          s.Replicas,
		AllowDirect:       true,
		Metadata:          map[string]string{metadataMaxAge: s.MaxAge.String()},
	})
	if err != nil {
		return err
	}
	for _, d := range s.Durables {
		_, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable:       d.Name,
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       d.AckWait,
			MaxDeliver:    -1, // see Durable.MaxDeliver
			MaxAckPending: d.MaxAckPending,
		})
		if err != nil {
			return fmt.Errorf("making durable %s: %w", d.Name, err)
		}
	}
	return nil
}

// stream is the JetStream stream that a bucket is made of.
func (b Bucket) stream() string {
	if b.Object {
		return "OBJ_" + b.Name
	}
	return "KV_" + b.Name
}

func ensureBucket(ctx context.Context, js jetstream.JetStream, b Bucket) error {
	if b.Object {
		_, err := js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: b.Name, TTL: b.TTL, MaxBytes: int64(b.MaxBytes), Replicas: b.Replicas,
		})
		return err
	}
	_, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: b.Name, TTL: b.TTL, MaxBytes: int64(b.MaxBytes), Replicas: b.Replicas, History: 1,
	})
	return err
}
