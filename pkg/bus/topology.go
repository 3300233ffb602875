package bus

import (
	"slices"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	statev1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/state/v1"
)

// Users of NATS: one for each service, and two for people.
const (
	UserCollector     = "collector"
	UserStreamer      = "streamer"
	UserDirectorySync = "directorysync"
	UserSink          = "sink"
	UserGateway       = "gateway"
	// UserReader may consume what is meant for anyone outside, and nothing else.
	UserReader = "reader"
	// UserOperator may do everything: it makes the streams and replays dead letters.
	UserOperator = "operator"
)

// Buckets. All hold keys and values but the last, which holds objects.
const (
	BucketIntegrations = "integrations"
	BucketRuns         = "runs"
	BucketBudgets      = "budgets"
	BucketCheckpoints  = "checkpoints"
	BucketLeases       = "leases"
	BucketBlobs        = "blobs"
	BucketAPITokens    = "api_tokens"
	BucketRequests     = "requests"
)

// Stream is a row of the topology: one JetStream stream, who writes it, who reads it and what it
// keeps. Every limit of the bus is a column here; Options overrides some for an installation.
type Stream struct {
	Name string
	// Subjects come from the options of the messages that travel on the stream.
	Subjects []string
	// Writers are the users that publish to it, each only under its own name where a subject
	// has the service as a token.
	Writers []string
	// Durables are the consumers that this package makes, each named after the service it is for.
	Durables []Durable
	// Followers are users that read with consumers of their own, at their own risk: nobody waits
	// for them.
	Followers []string
	// Watchers are users that may ask how it stands and how far it is read, and nothing else.
	Watchers []string
	// MaxAge and MaxBytes are what is kept of messages that all required durables have had. The server
	// refuses a message that does not fit, and drops none by itself: see Trimmer.
	MaxAge   time.Duration
	MaxBytes config.Bytes
	// MaxMessagesPerSubject is the history of a subject; 0 is no limit. With it the stream is one of state: the last
	// message of each subject stays for ever, MaxAge is nothing, and the server drops the oldest beyond the limit.
	MaxMessagesPerSubject int64
	// DuplicateWindow is how long the server remembers message ids, about 150 bytes each: at
	// 50,000 messages a second 20 s are some 150 MB. It must outlast the Publisher's retry after
	// a lost PubAck; what comes later is told apart by event id and version where rows are stored.
	DuplicateWindow time.Duration
	// Replicas is for a cluster; the embedded server has one.
	Replicas int
	// Blobs says that messages may refer to objects of the bucket blobs, which outlive them.
	Blobs bool
}

// Durable is a column of Stream: one service's place in it.
type Durable struct {
	Name string
	// Required durables are never outrun: the Gate closes when one falls behind and nothing is
	// trimmed that one has not acknowledged.
	Required bool
	// Trims says that the service removes from the stream what is beyond MaxAge and MaxBytes.
	Trims bool
	// AckWait is how long a message may go without sign of life before it is delivered again.
	AckWait time.Duration
	// MaxDeliver is the attempt at which a failing message becomes a dead letter. JetStream itself
	// has no limit: it would drop the message silently if the service died in its last attempt.
	MaxDeliver int
	// MaxAckPending bounds the messages delivered and not settled, over all instances.
	MaxAckPending int
	// BackOff are the delays before the second and later attempts; the last one stays.
	BackOff []time.Duration
}

// Bucket is a row of the topology: a key-value bucket or object store.
type Bucket struct {
	Name   string
	Object bool
	// Writers may read and write; Own says that each only writes keys that begin with its name.
	Writers []string
	Own     bool
	Readers []string
	// TTL removes what was not written for so long; 0 keeps it.
	TTL time.Duration
	// MaxAge is like that, but spares what an unread message may refer to.
	MaxAge   time.Duration
	MaxBytes config.Bytes
	Replicas int
}

const day = 24 * time.Hour

const (
	// BlobRefreshAge is when a blob is stored again rather than referred to. So no blob is older
	// than a message that refers to it by more, and Bucket.MaxAge may be DEAD's and a little.
	BlobRefreshAge = time.Hour
	// blobTimeout bounds storing or loading one, once.
	blobTimeout = 30 * time.Second
)

// Streams returns the streams of the topology. FINDINGS and REMEDIATIONS join it with their messages.
func Streams() []Stream {
	sink := Durable{
		Name: UserSink, Required: true, Trims: true,
		AckWait: 20 * time.Second, MaxDeliver: 6, MaxAckPending: 100_000,
		BackOff: []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, 60 * time.Second},
	}
	streams := []Stream{
		{
			Name:      eventv1.EventStream,
			Writers:   []string{UserCollector, UserStreamer},
			Durables:  []Durable{sink},
			Followers: []string{UserGateway, UserReader},
			MaxAge:    7 * day, MaxBytes: 8 * config.GiB,
			DuplicateWindow: 20 * time.Second, Replicas: 1, Blobs: true,
		},
		{
			Name:    directoryv1.ObjectStream,
			Writers: []string{UserDirectorySync},
			// The trimmer would remove what is the current state of a subject.
			Durables:  []Durable{sink.untrimmed()},
			Followers: []string{UserDirectorySync, UserGateway, UserReader},
			MaxBytes:  32 * config.GiB, MaxMessagesPerSubject: 16,
			DuplicateWindow: time.Second, Replicas: 1,
		},
		{
			Name:     eventv1.DeadLetterStream,
			Writers:  []string{UserCollector, UserStreamer, UserDirectorySync, UserSink},
			Durables: []Durable{sink},
			Watchers: []string{UserGateway},
			MaxAge:   30 * day, MaxBytes: config.GiB,
			DuplicateWindow: 20 * time.Second, Replicas: 1, Blobs: true,
		},
		{
			Name:     controlv1.AuditEntryStream,
			Writers:  []string{UserGateway},
			Durables: []Durable{sink},
			MaxAge:   30 * day, MaxBytes: 2 * config.GiB,
			DuplicateWindow: 2 * time.Minute, Replicas: 1,
		},
		{
			// Nobody keeps what was asked for: the wanted state is in the bucket runs.
			Name:     statev1.CommandStream,
			Writers:  []string{UserGateway},
			Durables: []Durable{commanded(UserCollector), commanded(UserDirectorySync)},
			MaxAge:   day, MaxBytes: 64 * config.MiB,
			DuplicateWindow: 2 * time.Minute, Replicas: 1,
		},
	}
	for i := range streams {
		streams[i].Subjects = subjectsOf(streams[i].Name)
	}
	return streams
}

// commanded is the durable of a service that takes commands. It gets those of others too and acknowledges them.
func commanded(service string) Durable {
	return Durable{
		Name: service, Required: true, Trims: true,
		AckWait: 20 * time.Second, MaxDeliver: 6, MaxAckPending: 1000,
		BackOff: []time.Duration{time.Second, 5 * time.Second, 15 * time.Second},
	}
}

func (d Durable) untrimmed() Durable {
	d.Trims = false
	return d
}

// Buckets returns the buckets of the topology.
func Buckets() []Bucket {
	return []Bucket{
		// What is connected, credentials sealed.
		{
			Name: BucketIntegrations, Writers: []string{UserGateway}, Readers: []string{UserCollector, UserStreamer, UserDirectorySync},
			MaxBytes: 64 * config.MiB, Replicas: 1,
		},
		// What runs and ran, and how collecting goes.
		{
			Name: BucketRuns, Writers: []string{UserCollector, UserDirectorySync}, Own: true, Readers: []string{UserGateway},
			MaxBytes: 256 * config.MiB, Replicas: 1,
		},
		// Who may send how many requests to Graph.
		{
			Name: BucketBudgets, Writers: []string{UserCollector, UserDirectorySync},
			TTL: 10 * time.Minute, MaxBytes: 16 * config.MiB, Replicas: 1,
		},
		// How far each partition of each hub and each log of each tenant is read.
		{Name: BucketCheckpoints, Writers: []string{UserCollector, UserStreamer, UserDirectorySync}, MaxBytes: 256 * config.MiB, Replicas: 1},
		// Who does what only one may do.
		{
			Name: BucketLeases, Writers: []string{UserCollector, UserStreamer, UserDirectorySync, UserSink}, Own: true,
			TTL: 20 * time.Second, MaxBytes: 16 * config.MiB, Replicas: 1,
		},
		// Tokens of programs, as hashes.
		{Name: BucketAPITokens, Writers: []string{UserGateway}, MaxBytes: 64 * config.MiB, Replicas: 1},
		// What became of requests that may be sent again.
		{Name: BucketRequests, Writers: []string{UserGateway}, TTL: day, MaxBytes: 256 * config.MiB, Replicas: 1},
		// Raw bytes that fit no message.
		{
			Name: BucketBlobs, Object: true,
			Writers: []string{UserCollector, UserStreamer, UserDirectorySync, UserSink}, Readers: []string{UserGateway},
			MaxAge: 31 * day, MaxBytes: 4 * config.GiB, Replicas: 1,
		},
	}
}

// Questions returns the questions of the topology: what a service asks another because a person waits for
// the answer. All else goes by streams and buckets.
func Questions() []Question {
	return []Question{
		// Only who holds the Graph credentials can test them.
		{Name: QuestionTestConnection, Answerer: UserCollector, Askers: []string{UserGateway}},
		// Only who reads hubs knows from where they can be reached.
		{Name: QuestionTestHub, Answerer: UserStreamer, Askers: []string{UserGateway}},
	}
}

func findBucket(name string) Bucket {
	buckets := Buckets()
	return buckets[slices.IndexFunc(buckets, func(b Bucket) bool { return b.Name == name })]
}

// FindStream returns the row of a stream.
func FindStream(name string) (Stream, bool) {
	streams := Streams()
	i := slices.IndexFunc(streams, func(s Stream) bool { return s.Name == name })
	if i < 0 {
		return Stream{}, false
	}
	return streams[i], true
}

// Durable returns the stream's durable of that name.
func (s Stream) Durable(name string) (Durable, bool) {
	i := slices.IndexFunc(s.Durables, func(d Durable) bool { return d.Name == name })
	if i < 0 {
		return Durable{}, false
	}
	return s.Durables[i], true
}

// Required returns the names of the durables that must not be outrun.
func (s Stream) Required() []string {
	var names []string
	for _, d := range s.Durables {
		if d.Required {
			names = append(names, d.Name)
		}
	}
	return names
}
