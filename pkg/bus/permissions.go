package bus

import (
	"slices"
)

// Permissions are what a NATS user may publish to and subscribe to, in the server's terms.
type Permissions struct {
	Publish, Subscribe Rules
}

// Rules are subjects; Deny wins.
type Rules struct{ Allow, Deny []string }

// Users returns all users of the topology.
func Users() []string {
	return []string{UserStreamer, UserSink, UserGateway, UserReader, UserOperator}
}

// PermissionsOf returns what the topology lets a user do: publish the messages it writes, use its
// own durables and buckets, and hear the answers to its own requests.
//
// NATS knows subjects, not payloads. So who may make consumers on a stream (Followers, and readers
// of a bucket) could have the server push that stream's messages to a subject that it may not
// publish to itself. Durables of others are out of reach, and JetStream's API takes no pushed message.
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
	return b.sorted()
}

type permissionBuilder struct {
	user string
	p    Permissions
}

func (b *permissionBuilder) stream(s Stream) {
	writes, follows := slices.Contains(s.Writers, b.user), slices.Contains(s.Followers, b.user)
	own, reads := s.Durable(b.user)
	if !writes && !follows && !reads {
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
	b.subscribe(s.Subjects...)
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
