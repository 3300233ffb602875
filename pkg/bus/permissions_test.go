package bus_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
)

// Error codes of nats-server that nats.go has no names for.
const (
	consumerEphemeralWithDurableName jetstream.ErrorCode = 10020
	streamMismatch                   jetstream.ErrorCode = 10056
)

// guest is a connection that knows what the server denied it.
type guest struct {
	*nats.Conn
	last error
}

func newGuest(t *testing.T, b *bustest.Bus, user string) *guest {
	t.Helper()
	conn, err := nats.Connect(b.Server.URL(), nats.UserInfo(user, b.Server.Password(user).Reveal()),
		nats.CustomInboxPrefix(bus.InboxPrefix(user)))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return &guest{Conn: conn}
}

// publish reports whether the server took a message.
func (g *guest) publish(t *testing.T, subject string) bool {
	t.Helper()
	require.NoError(t, g.Publish(subject, nil))
	return g.allowed(t)
}

func (g *guest) subscribe(t *testing.T, subject string) bool {
	t.Helper()
	sub, err := g.SubscribeSync(subject)
	require.NoError(t, err)
	defer sub.Unsubscribe() //nolint:errcheck // the server may have dropped it
	return g.allowed(t)
}

func (g *guest) allowed(t *testing.T) bool {
	t.Helper()
	require.NoError(t, g.Flush()) // the answer to it comes after the denial
	last := g.LastError()
	if last == nil || last == g.last { //nolint:errorlint // the same error, not one like it
		return true
	}
	g.last = last
	require.ErrorIs(t, last, nats.ErrPermissionViolation)
	return false
}

func TestNobodyUnknownGetsIn(t *testing.T) {
	b := bustest.New(t)
	for name, options := range map[string][]nats.Option{
		"without credentials": nil,
		"unknown user":        {nats.UserInfo("root", "")},
		"no password":         {nats.UserInfo(bus.UserReader, "")},
		"wrong password":      {nats.UserInfo(bus.UserReader, "x"+b.Server.Password(bus.UserReader).Reveal())},
		"another's password":  {nats.UserInfo(bus.UserOperator, b.Server.Password(bus.UserReader).Reveal())},
		"token":               {nats.Token(b.Server.Password(bus.UserOperator).Reveal())},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := nats.Connect(b.Server.URL(), options...)
			require.ErrorIs(t, err, nats.ErrAuthorization)
		})
	}
	_, err := bus.Connect(t.Context(), b.Server.Config("nobody"), bus.Settings{})
	require.ErrorIs(t, err, nats.ErrAuthorization, "refused at once, not tried for ever")
}

func TestUsersKeepToTheirRows(t *testing.T) {
	b := bustest.New(t)
	const mine, events = "_INBOX_", "events.v1.signin.t"
	cases := map[string]struct{ publish, subscribe, noPublish, noSubscribe []string }{
		bus.UserCollector: {
			publish: []string{
				events, "dead.v1.collector.graph.t", "$KV.checkpoints.a.b", "$KV.leases.collector.x", "$KV.runs.collector.x", "$KV.budgets.x",
				"$JS.API.CONSUMER.MSG.NEXT.COMMANDS.collector", "$JS.API.STREAM.PURGE.COMMANDS",
			},
			subscribe: []string{mine + "collector.x", "questions.v1.collector.test_connection"},
			noPublish: []string{
				"$KV.integrations.x", "commands.v1.collector.collect.t", "questions.v1.collector.test_connection", mine + "gateway.x",
				"dead.v1.sink.hub.t", "$KV.leases.sink.x", "$JS.API.STREAM.PURGE.EVENTS",
			},
			noSubscribe: []string{events, "commands.v1.>", "questions.v1.>", ">"},
		},
		bus.UserStreamer: {
			publish:   []string{events, "dead.v1.streamer.hub.t", "$KV.checkpoints.a.b", "$KV.leases.streamer.x", "$O.blobs.C.x", "$JS.API.CONSUMER.CREATE.KV_checkpoints"},
			subscribe: []string{mine + "streamer.x", "questions.v1.streamer.test_hub"},
			noPublish: []string{
				"dead.v1.sink.hub.t", "$KV.leases.sink.x", "events.v1.signin", "$JS.API.STREAM.PURGE.EVENTS",
				"$JS.API.CONSUMER.MSG.NEXT.EVENTS.sink", "$JS.ACK.EVENTS.sink.1.1.1.1.0", "$JS.API.STREAM.DELETE.KV_checkpoints",
				"$JS.API.STREAM.UPDATE.EVENTS", "$JS.API.CONSUMER.CREATE.EVENTS.x", "$JS.API.CONSUMER.CREATE.EVENTS", mine + "sink.x", "$SYS.REQ.SERVER.PING",
				"$KV.integrations.x", "questions.v1.streamer.test_hub",
			},
			noSubscribe: []string{events, "events.v1.>", "questions.v1.>", ">", mine + "sink.x", "_INBOX.>", "$KV.>"},
		},
		bus.UserDirectorySync: {
			publish: []string{
				"directory.v1.user.t.x", "dead.v1.directorysync.graph.t", "$KV.checkpoints.a.b", "$KV.leases.directorysync.x", "$KV.runs.directorysync.x",
				"$KV.budgets.x", "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.directorysync", "$JS.API.CONSUMER.CREATE.DIRECTORY.x", "$JS.API.DIRECT.GET.DIRECTORY",
			},
			subscribe: []string{mine + "directorysync.x", "directory.v1.user.>"},
			noPublish: []string{
				events, "$KV.integrations.x", "commands.v1.directorysync.collect.t", "$KV.leases.collector.x", "$KV.runs.collector.x", "$JS.API.STREAM.PURGE.DIRECTORY",
				"$JS.API.CONSUMER.CREATE.DIRECTORY.sink", "$JS.API.STREAM.MSG.DELETE.DIRECTORY",
			},
			noSubscribe: []string{events, "commands.v1.>", ">"},
		},
		bus.UserSink: {
			publish: []string{
				"dead.v1.sink.EVENTS.t", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.sink", "$JS.ACK.EVENTS.sink.1.1.1.1.0",
				"$JS.API.STREAM.PURGE.EVENTS", "$KV.leases.sink.x",
			},
			subscribe:   []string{mine + "sink.x"},
			noPublish:   []string{events, "dead.v1.streamer.hub.t", "$KV.checkpoints.x", "$KV.leases.streamer.x", "$JS.API.STREAM.DELETE.EVENTS", "$JS.API.CONSUMER.CREATE.KV_checkpoints"},
			noSubscribe: []string{events, "dead.v1.>", "directory.v1.>", "$KV.leases.>"},
		},
		bus.UserGateway: {
			publish: []string{
				"$JS.API.CONSUMER.CREATE.EVENTS.x", "$JS.API.CONSUMER.INFO.EVENTS.sink", "commands.v1.collector.collect.t",
				"questions.v1.collector.test_connection", "questions.v1.streamer.test_hub", "$KV.integrations.x",
			},
			subscribe:   []string{"events.v1.signin.>", mine + "gateway.x"},
			noSubscribe: []string{"questions.v1.>", "commands.v1.>"},
			noPublish:   []string{"$KV.runs.x", events, "dead.v1.gateway.x.t", "$JS.API.CONSUMER.CREATE.EVENTS", "$JS.API.CONSUMER.CREATE.EVENTS.sink", "$KV.leases.gateway.x"},
		},
		bus.UserReader: {
			publish:   []string{"$JS.API.CONSUMER.CREATE.EVENTS.x", "$JS.API.CONSUMER.CREATE.EVENTS.x.events.v1.signin.t", "$JS.API.STREAM.INFO.EVENTS"},
			subscribe: []string{"events.v1.signin.>", "events.v1.>", "events.v1.*.*", "directory.v1.user.>", events, mine + "reader.x"},
			noPublish: []string{
				events, "dead.v1.reader.x.t", "$KV.checkpoints.x", "$KV.leases.reader.x", "$O.blobs.C.x", mine + "sink.x",
				"$JS.API.CONSUMER.CREATE.EVENTS.sink", "$JS.API.CONSUMER.CREATE.EVENTS.sink.events.v1.>", "$JS.API.CONSUMER.CREATE.EVENTS",
				"$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.sink", "$JS.API.CONSUMER.DELETE.EVENTS.sink",
				"$JS.API.CONSUMER.MSG.NEXT.EVENTS.sink", "$JS.ACK.EVENTS.sink.1.1.1.1.0", "$JS.API.CONSUMER.PAUSE.EVENTS.sink",
				"$JS.API.STREAM.PURGE.EVENTS", "$JS.API.STREAM.MSG.DELETE.EVENTS", "$JS.API.CONSUMER.CREATE.DEAD.x", "$JS.API.STREAM.MSG.GET.DEAD",
			},
			noSubscribe: []string{"dead.v1.>", ">", mine + "gateway.>", "$JS.>", "$KV.>"},
		},
		bus.UserOperator: {publish: []string{events, "$JS.API.STREAM.PURGE.EVENTS"}, subscribe: []string{">"}},
	}
	require.Len(t, cases, len(bus.Users()))
	for user, c := range cases {
		t.Run(user, func(t *testing.T) {
			g := newGuest(t, b, user)
			for _, subject := range c.publish {
				assert.True(t, g.publish(t, subject), "may publish to %s", subject)
			}
			for _, subject := range c.noPublish {
				assert.False(t, g.publish(t, subject), "must not publish to %s", subject)
			}
			for _, subject := range c.subscribe {
				assert.True(t, g.subscribe(t, subject), "may subscribe to %s", subject)
			}
			for _, subject := range c.noSubscribe {
				assert.False(t, g.subscribe(t, subject), "must not subscribe to %s", subject)
			}
		})
	}
}

func TestReaderReadsThePastAndTheBuckets(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 20, 100)
	js := b.Connect(t, bus.UserReader).JetStream()
	consumer, err := js.OrderedConsumer(t.Context(), "EVENTS", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"events.v1.signin.*"}})
	require.NoError(t, err)
	batch, err := consumer.Fetch(20)
	require.NoError(t, err)
	n := 0
	for range batch.Messages() {
		n++
	}
	require.NoError(t, batch.Error())
	require.Equal(t, 20, n)

	own, err := js.CreateConsumer(t.Context(), "EVENTS", jetstream.ConsumerConfig{Durable: "siem", AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	m, err := own.Next()
	require.NoError(t, err)
	require.NoError(t, m.DoubleAck(t.Context()))
}

func TestStreamerUsesItsBucket(t *testing.T) {
	b := bustest.New(t)
	kv, err := b.Connect(t, bus.UserStreamer).JetStream().KeyValue(t.Context(), bus.BucketCheckpoints)
	require.NoError(t, err)
	revision, err := kv.Create(t.Context(), "a.b", []byte("1"))
	require.NoError(t, err)
	_, err = kv.Update(t.Context(), "a.b", []byte("2"), revision)
	require.NoError(t, err)
	_, err = kv.Update(t.Context(), "a.b", []byte("3"), revision)
	require.Error(t, err)
	keys, err := kv.ListKeysFiltered(t.Context(), "a.*")
	require.NoError(t, err)
	var all []string
	for key := range keys.Keys() {
		all = append(all, key)
	}
	require.Equal(t, []string{"a.b"}, all)
	require.NoError(t, kv.Delete(t.Context(), "a.b"))
	watch, err := kv.WatchAll(t.Context())
	require.NoError(t, err)
	require.NoError(t, watch.Stop())
}

// A consumer whose name and filter are in the body is what a watch asks for after a restart; the body
// must not get more out of it.
func TestConsumerOfABucketByItsBody(t *testing.T) {
	b := bustest.New(t)
	nc := b.Connect(t, bus.UserStreamer).NATS()
	cases := map[string]struct {
		body string
		code jetstream.ErrorCode
	}{
		"filtered":       {`{"stream_name":"KV_checkpoints","config":{"filter_subject":"$KV.checkpoints.a.>","ack_policy":"none"}}`, 0},
		"durable":        {`{"stream_name":"KV_checkpoints","config":{"durable_name":"d","ack_policy":"explicit"}}`, consumerEphemeralWithDurableName},
		"another stream": {`{"stream_name":"EVENTS","config":{"ack_policy":"none"}}`, streamMismatch},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			answer, err := nc.Request("$JS.API.CONSUMER.CREATE.KV_checkpoints", []byte(c.body), 10*time.Second)
			require.NoError(t, err)
			var response struct{ Error jetstream.APIError }
			require.NoError(t, json.Unmarshal(answer.Data, &response))
			require.Equal(t, c.code, response.Error.ErrorCode, response.Error.Description)
		})
	}
}

// What the reader may not publish it must not have the server publish either.
func TestReaderCannotHaveTheServerWrite(t *testing.T) {
	b := bustest.New(t)
	fill(t, b, 3, 100)
	conn := b.Connect(t, bus.UserReader)
	consumer, err := conn.JetStream().CreateConsumer(t.Context(), "EVENTS", jetstream.ConsumerConfig{Name: "x"})
	require.NoError(t, err)
	nc := conn.NATS()
	require.NoError(t, nc.PublishRequest("$JS.API.STREAM.INFO.EVENTS", "$KV.checkpoints.info", nil))
	require.NoError(t, nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.EVENTS.x", "$KV.checkpoints.pull", []byte(`{"batch":1}`)))
	require.NoError(t, nc.PublishRequest("$JS.API.CONSUMER.CREATE.EVENTS.y", "$KV.checkpoints.create", nil))
	require.NoError(t, nc.Flush())
	_, err = consumer.Next() // the server has seen what was before
	require.NoError(t, err)
	require.Zero(t, state(t, b.Connect(t, bus.UserOperator), "KV_checkpoints").Msgs)
}

func TestPermissionsConfIsAServersConfiguration(t *testing.T) {
	for _, user := range bus.Users() {
		t.Setenv(bus.PasswordVariable(user), "secret-"+user)
	}
	conf, err := os.ReadFile("../../deploy/nats/permissions.conf")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "permissions.conf"), conf, 0o600))
	path := filepath.Join(dir, "nats.conf")
	require.NoError(t, os.WriteFile(path, []byte("include permissions.conf\n"), 0o600))
	options, err := server.ProcessConfigFile(path)
	require.NoError(t, err)
	require.Len(t, options.Users, len(bus.Users()))
	for _, user := range options.Users {
		p := bus.PermissionsOf(user.Username)
		require.Equal(t, "secret-"+user.Username, user.Password)
		require.Equal(t, bus.AccountOf(user.Username), user.Account.Name)
		require.Equal(t, p.Publish.Allow, user.Permissions.Publish.Allow, user.Username)
		require.Equal(t, p.Publish.Deny, user.Permissions.Publish.Deny, user.Username)
		require.Equal(t, p.Subscribe.Allow, user.Permissions.Subscribe.Allow, user.Username)
	}
}
