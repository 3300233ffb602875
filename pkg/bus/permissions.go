package bus

import (
	"slices"
	"strings"
)

// Permissions are what a NATS user may publish to and subscribe to, in the server's terms.
type Permissions struct {
	Publish, Subscribe Rules
	// Answers says that the user may answer what it is asked, wherever the asker wants the answer, once.
	Answers bool
}

// Rules are subjects; Deny wins.
type Rules struct{ Allow, Deny []string }

// Accounts of NATS. Subjects are private to an account but for what is exported.
const (
	AccountServices = "ENTRAFLOW" // streams, buckets, services and the operator
	AccountOutside  = "OUTSIDE"   // the reader
)

// Users returns all users of the topology.
func Users() []string {
	return []string{UserCollector, UserStreamer, UserDirectorySync, UserSink, UserGateway, UserReader, UserOperator}
}

// AccountOf returns the account of a user.
func AccountOf(user string) string {
	if user == UserReader {
		return AccountOutside
	}
	return AccountServices
}

// PermissionsOf returns what the topology lets a user do: publish the messages it writes, use its
// own durables and buckets, and hear the answers to its own requests.
//
// That is not all it takes to keep a user to its row. Whoever may ask JetStream something says where
// the answer goes, and the server looks at no permission when it publishes it there: into a bucket or a stream, if
// asked to. Our services do not ask for that. The reader, who is anyone outside, is in an account of its own, where its
// requests and their answers are translated, and there is nothing else to publish into (Exports).
func PermissionsOf(user string) Permissions {
	if user == UserOperator {
		return Permissions{Publish: Rules{Allow: []string{">"}}, Subscribe: Rules{Allow: []string{">"}}}
	}
	b := permissionBuilder{user: user}
	b.subscribe(InboxPrefix(user) + ".>")
	for _, stream := range Streams() {
		b.stream(stream)
	}
	for _, bucket := range Buckets() {
		b.bucket(bucket)
	}
	for _, question := range Questions() {
		b.question(question)
	}
	return b.sorted()
}

// Export is a subject of the services' account that the account outside may use.
type Export struct {
	Subject string
	// Service is true for requests, false for messages to listen to.
	Service bool
	// Many says that a request may be answered more than once.
	Many bool
}

// Exports returns what the account outside may use: what the reader's permissions name.
func Exports() []Export {
	var exports []Export
	p := PermissionsOf(UserReader)
	for _, subject := range p.Subscribe.Allow {
		if !strings.HasPrefix(subject, InboxPrefix(UserReader)) {
			exports = append(exports, Export{Subject: subject})
		}
	}
	for _, subject := range p.Publish.Allow {
		many := strings.HasPrefix(subject, "$JS.API.CONSUMER.MSG.NEXT.") || strings.HasPrefix(subject, "$JS.API.DIRECT.GET.")
		exports = append(exports, Export{Subject: subject, Service: true, Many: many})
	}
	return exports
}

type permissionBuilder struct {
	user string
	p    Permissions
}

func (b *permissionBuilder) stream(s Stream) {
	writes, follows := slices.Contains(s.Writers, b.user), slices.Contains(s.Followers, b.user)
	own, reads := s.Durable(b.user)
	if !writes && !follows && !reads && !slices.Contains(s.Watchers, b.user) {
		return
	}
	b.publish("$JS.API.STREAM.INFO." + s.Name)
	for _, d := range s.Durables {
		b.publish("$JS.API.CONSUMER.INFO." + s.Name + "." + d.Name) // for Gate, Stored and Trimmer
	}
	if writes {
		b.publish("$JS.API.STREAM.MSG.GET." + s.Name) // for Gate: how old the oldest unread message is
		for _, route := range Routes() {
			if route.Stream == s.Name {
				b.publish(route.subjectsWith(map[string]string{"service": b.user}))
			}
		}
	}
	if reads {
		b.publish("$JS.API.CONSUMER.MSG.NEXT."+s.Name+"."+own.Name, "$JS.ACK."+s.Name+"."+own.Name+".>")
		if own.Trims {
			b.publish("$JS.API.STREAM.PURGE."+s.Name, "$JS.API.STREAM.MSG.GET."+s.Name) // for trimmer
		}
	}
	if follows {
		b.follow(s)
	}
}

// follow lets the user read a stream, now and from the past, by consumers that are not durables of the table.
func (b *permissionBuilder) follow(s Stream) {
	for _, subjects := range s.Subjects {
		prefix, _, _ := strings.Cut(subjects, "*")
		b.subscribe(prefix + ">")
	}
	b.publish(
		"$JS.API.INFO", "$JS.API.STREAM.NAMES",
		"$JS.API.CONSUMER.CREATE."+s.Name+".>",
		"$JS.API.CONSUMER.INFO."+s.Name+".*",
		"$JS.API.CONSUMER.DELETE."+s.Name+".*",
		"$JS.API.CONSUMER.MSG.NEXT."+s.Name+".*",
		"$JS.API.DIRECT.GET."+s.Name, "$JS.API.DIRECT.GET."+s.Name+".>",
		"$JS.ACK."+s.Name+".>",
	)
	for _, d := range s.Durables {
		if d.Name == b.user {
			continue
		}
		b.deny(
			"$JS.API.CONSUMER.CREATE."+s.Name+"."+d.Name, "$JS.API.CONSUMER.CREATE."+s.Name+"."+d.Name+".>",
			"$JS.API.CONSUMER.DELETE."+s.Name+"."+d.Name,
			"$JS.API.CONSUMER.MSG.NEXT."+s.Name+"."+d.Name,
			"$JS.ACK."+s.Name+"."+d.Name+".>",
		)
	}
}

func (b *permissionBuilder) bucket(bucket Bucket) {
	writes := slices.Contains(bucket.Writers, b.user)
	if !writes && !slices.Contains(bucket.Readers, b.user) {
		return
	}
	stream := bucket.stream()
	b.publish(
		"$JS.API.STREAM.INFO."+stream,
		"$JS.API.STREAM.MSG.GET."+stream,
		"$JS.API.DIRECT.GET."+stream, "$JS.API.DIRECT.GET."+stream+".>",
		"$JS.API.CONSUMER.CREATE."+stream+".>",
		// While nats.go has no connection it takes the server for an old one, which wants name and filter
		// in the body (upsertConsumer, v1.55.0): so it renews a watch after a restart. The line before
		// allows as much, filters in the body included, and durables besides. No stream may have this
		// line: follow's denials are of names in the subject, and the body's pass them.
		"$JS.API.CONSUMER.CREATE."+stream,
		"$JS.API.CONSUMER.INFO."+stream+".*",
		"$JS.API.CONSUMER.DELETE."+stream+".*",
		"$JS.FC."+stream+".>",
	)
	switch {
	case !writes:
	case bucket.Object:
		// Storing an object again removes the pieces it had.
		b.publish("$O."+bucket.Name+".C.>", "$O."+bucket.Name+".M.>", "$JS.API.STREAM.PURGE."+stream)
	case bucket.Own:
		b.publish("$KV." + bucket.Name + "." + b.user + ".>")
	default:
		b.publish("$KV." + bucket.Name + ".>")
	}
}

func (b *permissionBuilder) question(q Question) {
	if q.Answerer == b.user {
		b.subscribe(q.subject())
		b.p.Answers = true
	}
	if slices.Contains(q.Askers, b.user) {
		b.publish(q.subject())
	}
}

func (b *permissionBuilder) publish(subjects ...string) {
	b.p.Publish.Allow = append(b.p.Publish.Allow, subjects...)
}

func (b *permissionBuilder) deny(subjects ...string) {
	b.p.Publish.Deny = append(b.p.Publish.Deny, subjects...)
}

func (b *permissionBuilder) subscribe(subjects ...string) {
	b.p.Subscribe.Allow = append(b.p.Subscribe.Allow, subjects...)
}

func (b *permissionBuilder) sorted() Permissions {
	for _, subjects := range []*[]string{&b.p.Publish.Allow, &b.p.Publish.Deny, &b.p.Subscribe.Allow} {
		slices.Sort(*subjects)
		*subjects = slices.Compact(*subjects)
	}
	return b.p
}
