package gateway_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway"
)

// subscriber is a client of Subscribe.
type subscriber struct {
	stream grpc.ServerStreamingClient[controlv1.SubscribeResponse]
	cancel context.CancelFunc
	token  string // of the last response
	got    []*eventv1.Event
	// failures are the filter errors of all responses.
	failures uint64
}

// subscribe returns once the subscription stands.
func (w *world) subscribe(t *testing.T, req *controlv1.SubscribeRequest) *subscriber {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := controlv1.NewEventServiceClient(w.conn).Subscribe(ctx, req)
	require.NoError(t, err)
	s := &subscriber{stream: stream, cancel: cancel}
	response, err := s.receive(t)
	require.NoError(t, err)
	require.Empty(t, response.GetEvents())
	return s
}

func (s *subscriber) receive(t *testing.T) (*controlv1.SubscribeResponse, error) {
	t.Helper()
	timeout := time.AfterFunc(patience, s.cancel)
	defer timeout.Stop()
	response, err := s.stream.Recv()
	if err == nil {
		require.NotEmpty(t, response.GetResumeToken())
		s.token = response.GetResumeToken()
		s.got = append(s.got, response.GetEvents()...)
		s.failures += response.GetFilterErrors()
	}
	return response, err
}

// names reads until n events came and returns their source ids.
func (s *subscriber) names(t *testing.T, n int) []string {
	t.Helper()
	for len(s.got) < n {
		_, err := s.receive(t)
		require.NoError(t, err, "after %d events", len(s.got))
	}
	return ids(s.got)
}

// publish publishes events and waits for their PubAcks.
func publish(t *testing.T, p *bus.Publisher, events ...*eventv1.Event) {
	t.Helper()
	for _, e := range events {
		_, err := p.Publish(t.Context(), e, bus.PublishOptions{})
		require.NoError(t, err)
	}
}

// signIn makes a sign-in event that only the stream sees.
func signIn(id, tenant string) *eventv1.Event {
	return &eventv1.Event{
		Id: id, TenantId: tenant, Integration: "contoso", Kind: "signin", SourceId: id, Raw: []byte(`{"id":"` + id + `"}`),
		OccurredAt: timestamppb.New(present()), Payload: &eventv1.Event_SignIn{SignIn: &eventv1.SignIn{UserId: "u"}},
	}
}

func audit(id, tenant string) *eventv1.Event {
	return &eventv1.Event{
		Id: id, TenantId: tenant, Integration: "contoso", Kind: "audit", SourceId: id,
		OccurredAt: timestamppb.New(present()), Payload: &eventv1.Event_Audit{Audit: &eventv1.Audit{Activity: "Add user"}},
	}
}

func TestASubscriberGetsWhatComes(t *testing.T) {
	w := newWorld(t)
	p := w.publisher(t)
	publish(t, p, signIn("before", tenantA))
	all := w.subscribe(t, &controlv1.SubscribeRequest{})
	signIns := w.subscribe(t, &controlv1.SubscribeRequest{Kinds: []string{"signin", "signin"}, IncludeRaw: true})
	tenant := w.subscribe(t, &controlv1.SubscribeRequest{TenantIds: []string{strings.ToUpper(tenantB)}})
	both := w.subscribe(t, &controlv1.SubscribeRequest{Kinds: []string{"audit", "signin"}, TenantIds: []string{tenantA, "x"}})
	publish(t, p, signIn("1", tenantA), audit("2", tenantA), signIn("3", tenantB), audit("4", tenantB))

	require.Equal(t, []string{"1", "2", "3", "4"}, all.names(t, 4))
	require.Equal(t, []string{"1", "3"}, signIns.names(t, 2))
	require.Equal(t, []string{"3", "4"}, tenant.names(t, 2))
	require.Equal(t, []string{"1", "2"}, both.names(t, 2))

	whole := signIn("1", tenantA)
	sameEvents(t, []*eventv1.Event{whole}, signIns.got[:1])
	bare := proto.CloneOf(whole)
	bare.Raw = nil
	sameEvents(t, []*eventv1.Event{bare}, all.got[:1])
}

func TestManyKindsAndTenants(t *testing.T) {
	w := newWorld(t)
	req := &controlv1.SubscribeRequest{Kinds: []string{"signin"}, TenantIds: []string{tenantA}}
	for n := range 49 {
		req.Kinds = append(req.Kinds, fmt.Sprint("kind_", n))
	}
	for n := range 99 {
		req.TenantIds = append(req.TenantIds, fmt.Sprint("tenant-", n))
	}
	s := w.subscribe(t, req)
	p := w.publisher(t)
	publish(t, p, audit("1", tenantA), signIn("2", tenantB), signIn("3", tenantA))
	require.Equal(t, []string{"3"}, s.names(t, 1))
}

func TestEventsComeTogether(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Subscribe.BatchEvents = 40 })
	p := w.publisher(t)
	var want []string
	for n := range 500 {
		want = append(want, fmt.Sprint(n))
		publish(t, p, signIn(fmt.Sprint(n), tenantA))
	}
	s := w.subscribe(t, &controlv1.SubscribeRequest{Begin: &controlv1.SubscribeRequest_StartTime{StartTime: &timestamppb.Timestamp{}}})
	responses := 0
	for len(s.got) < len(want) {
		response, err := s.receive(t)
		require.NoError(t, err)
		require.LessOrEqual(t, len(response.GetEvents()), 40)
		responses++
	}
	require.Equal(t, want, ids(s.got))
	require.Less(t, responses, 100)
}

func TestResumeGoesOnBehindEachResponse(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Subscribe.BatchEvents = 3 })
	p := w.publisher(t)
	begin := w.subscribe(t, &controlv1.SubscribeRequest{Kinds: []string{"signin"}})
	var want []string
	tokens := map[int]string{0: begin.token}
	for n := range 20 {
		publish(t, p, signIn(fmt.Sprint(n), tenantA), audit(fmt.Sprint("audit", n), tenantA))
		want = append(want, fmt.Sprint(n))
	}
	for len(begin.got) < len(want) {
		_, err := begin.receive(t)
		require.NoError(t, err)
		tokens[len(begin.got)] = begin.token
	}
	for seen, token := range tokens {
		resumed := w.subscribe(t, &controlv1.SubscribeRequest{
			Kinds: []string{"signin"}, Begin: &controlv1.SubscribeRequest_ResumeToken{ResumeToken: token},
		})
		publish(t, p, signIn(fmt.Sprint("after", seen), tenantA))
		require.Equal(t, want[seen:], resumed.names(t, len(want)-seen)[:len(want)-seen], "after %d", seen)
		resumed.cancel()
	}
}

func TestSubscribeFromATime(t *testing.T) {
	w := newWorld(t)
	p := w.publisher(t)
	publish(t, p, signIn("1", tenantA), signIn("2", tenantA))
	stored := storedAt(t, w, 2)
	publish(t, p, audit("3", tenantA), signIn("4", tenantA))
	from := func(at time.Time) *subscriber {
		return w.subscribe(t, &controlv1.SubscribeRequest{
			Kinds: []string{"signin"}, Begin: &controlv1.SubscribeRequest_StartTime{StartTime: timestamppb.New(at)},
		})
	}
	require.Equal(t, []string{"2", "4"}, from(stored).names(t, 2), "at or after")
	require.Equal(t, []string{"4"}, from(stored.Add(time.Nanosecond)).names(t, 1))
	all := from(time.Unix(0, 0))
	require.Equal(t, []string{"1", "2", "4"}, all.names(t, 3))

	// The token of the first response, which has no events, holds the place.
	late := from(stored)
	resumed := w.subscribe(t, &controlv1.SubscribeRequest{Begin: &controlv1.SubscribeRequest_ResumeToken{ResumeToken: late.token}})
	require.Equal(t, []string{"2", "3", "4"}, resumed.names(t, 3))

	future := from(time.Now().Add(time.Hour))
	publish(t, p, signIn("5", tenantA))
	require.Equal(t, []string{"1", "2", "4", "5"}, all.names(t, 4))
	require.Empty(t, future.got)
}

// storedAt returns when the stream took a message.
func storedAt(t *testing.T, w *world, sequence uint64) time.Time {
	t.Helper()
	stream, err := w.bus.Connect(t, bus.UserOperator).JetStream().Stream(t.Context(), eventv1.EventStream)
	require.NoError(t, err)
	msg, err := stream.GetMsg(t.Context(), sequence)
	require.NoError(t, err)
	return msg.Time
}

// The token of a sign of life moves on, so that a subscriber whose kind is rare can still resume when
// the stream has dropped everything it ever saw.
func TestASignOfLifeMovesOn(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Subscribe.KeepAlive = 200 * time.Millisecond })
	s := w.subscribe(t, &controlv1.SubscribeRequest{Kinds: []string{"signin"}})
	first := s.token
	p := w.publisher(t)
	publish(t, p, audit("1", tenantA), audit("2", tenantA))
	for s.token == first {
		response, err := s.receive(t)
		require.NoError(t, err)
		require.Empty(t, response.GetEvents())
	}
	purge(t, w, 3)
	resume := func(token string) *controlv1.SubscribeRequest {
		return &controlv1.SubscribeRequest{Kinds: []string{"signin"}, Begin: &controlv1.SubscribeRequest_ResumeToken{ResumeToken: token}}
	}
	resumed := w.subscribe(t, resume(s.token))
	publish(t, p, signIn("3", tenantA))
	require.Equal(t, []string{"3"}, resumed.names(t, 1))
	require.Equal(t, []string{"3"}, s.names(t, 1))

	err := w.refused(t, resume(first))
	require.Equal(t, codes.OutOfRange, status.Code(err))
	require.Equal(t, "the stream no longer holds what comes after this place", status.Convert(err).Message())
}

// purge drops everything before the sequence.
func purge(t *testing.T, w *world, sequence uint64) {
	t.Helper()
	stream, err := w.bus.Connect(t, bus.UserOperator).JetStream().Stream(t.Context(), eventv1.EventStream)
	require.NoError(t, err)
	require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(sequence)))
}

// refused returns the error of a subscription that does not come about.
func (w *world) refused(t *testing.T, req *controlv1.SubscribeRequest) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := controlv1.NewEventServiceClient(w.conn).Subscribe(ctx, req)
	require.NoError(t, err)
	response, err := stream.Recv()
	require.Error(t, err, "%v", response)
	require.NotErrorIs(t, err, io.EOF)
	return err
}

func TestForeignResumeTokensAreRefused(t *testing.T) {
	w := newWorld(t)
	token := w.subscribe(t, &controlv1.SubscribeRequest{}).token
	w.insert(t, record{id: "1", at: present()}.event(t), record{id: "2", at: present()}.event(t))
	page, err := controlv1.NewSignInServiceClient(w.conn).SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{PageSize: 1})
	require.NoError(t, err)
	require.NotEmpty(t, page.GetNextPageToken())
	for name, foreign := range map[string]string{
		"changed":    token[:10] + "x" + token[11:],
		"cut":        token[:len(token)-1],
		"page token": page.GetNextPageToken(),
		"made up":    "abc",
	} {
		t.Run(name, func(t *testing.T) {
			err := w.refused(t, &controlv1.SubscribeRequest{Begin: &controlv1.SubscribeRequest_ResumeToken{ResumeToken: foreign}})
			require.Equal(t, codes.InvalidArgument, status.Code(err))
			require.Equal(t, "resume_token: must be resume_token of a response, unchanged", status.Convert(err).Message())
		})
	}
	t.Run("start time", func(t *testing.T) {
		err := w.refused(t, &controlv1.SubscribeRequest{Begin: &controlv1.SubscribeRequest_StartTime{StartTime: &timestamppb.Timestamp{Nanos: -1}}})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
	})
}

// A token of a stream that was made anew does not mean the same events.
func TestATokenOfAnotherStreamIsOutOfRange(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Subscribe.KeepAlive = 100 * time.Millisecond })
	s := w.subscribe(t, &controlv1.SubscribeRequest{})
	js := w.bus.Connect(t, bus.UserOperator).JetStream()
	require.NoError(t, js.DeleteStream(t.Context(), eventv1.EventStream))
	require.NoError(t, bus.Ensure(t.Context(), js, bus.Options{}))
	err := w.refused(t, &controlv1.SubscribeRequest{Begin: &controlv1.SubscribeRequest_ResumeToken{ResumeToken: s.token}})
	require.Equal(t, codes.OutOfRange, status.Code(err))
	for err = nil; err == nil; {
		_, err = s.receive(t)
	}
	require.Equal(t, codes.OutOfRange, status.Code(err), "%v", err)
}

// What JetStream drops before a subscriber had it is not passed over in silence.
func TestASubscriberThatIsOutrunIsTold(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) {
		c.Subscribe.KeepAlive, c.Subscribe.BatchEvents, c.Subscribe.Buffer = 100*time.Millisecond, 1, 1
		c.Subscribe.RingEvents = 1
	})
	s := w.subscribe(t, &controlv1.SubscribeRequest{IncludeRaw: true})
	p := w.publisher(t)
	// Far more than what fits between the stream and a client that does not read.
	for n := range 100 {
		e := signIn(fmt.Sprint(n), tenantA)
		e.Raw = make([]byte, 64*config.KiB)
		publish(t, p, e)
	}
	purge(t, w, 99)
	var err error
	for err == nil {
		_, err = s.receive(t)
	}
	require.Equal(t, codes.OutOfRange, status.Code(err), "%v", err)
	require.Less(t, len(s.got), 98)
}

func TestASlowClientIsCutOff(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Subscribe.SendTimeout = 300 * time.Millisecond })
	slow := w.subscribe(t, &controlv1.SubscribeRequest{IncludeRaw: true})
	quick := w.subscribe(t, &controlv1.SubscribeRequest{})
	p := w.publisher(t)
	const events = 40
	for n := range events {
		e := signIn(fmt.Sprint(n), tenantA)
		e.Raw = make([]byte, 256*config.KiB)
		publish(t, p, e)
	}
	require.Len(t, quick.names(t, events), events)
	slowed(t, w)
	var err error
	for err == nil {
		_, err = slow.receive(t)
	}
	require.Equal(t, codes.ResourceExhausted, status.Code(err), "%v", err)
	require.Equal(t, "the client left responses unread for too long", status.Convert(err).Message())
	require.Less(t, len(slow.got), events)

	// It goes on where it stopped.
	seen := len(slow.got)
	resumed := w.subscribe(t, &controlv1.SubscribeRequest{Begin: &controlv1.SubscribeRequest_ResumeToken{ResumeToken: slow.token}})
	require.Equal(t, ids(quick.got)[seen:], resumed.names(t, events-seen))
}

// slowed waits until the gateway gave up on a subscriber.
func slowed(t *testing.T, w *world) {
	t.Helper()
	require.Eventually(t, func() bool { return w.metric(t, "slow_subscribers_total") == 1 }, patience, 50*time.Millisecond)
}

func TestSubscribersOutliveNATS(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Subscribe.KeepAlive = 200 * time.Millisecond })
	s := w.subscribe(t, &controlv1.SubscribeRequest{Kinds: []string{"signin"}})
	timed := w.subscribe(t, &controlv1.SubscribeRequest{
		Begin: &controlv1.SubscribeRequest_StartTime{StartTime: timestamppb.New(time.Now())},
	})
	publish(t, w.publisher(t), signIn("1", tenantA), audit("2", tenantA))
	require.Equal(t, []string{"1"}, s.names(t, 1))
	require.Equal(t, []string{"1", "2"}, timed.names(t, 2))

	for round := range 2 {
		url := w.bus.Server.URL()
		w.bus.Server.Shutdown()
		// Signs of life go on while it is away.
		_, err := s.receive(t)
		require.NoError(t, err)
		w.bus = bustest.Open(t, w.bus.Directory, listenOn(url))
		publish(t, w.publisher(t), signIn(fmt.Sprint("round", round), tenantA))
	}
	require.Equal(t, []string{"1", "round0", "round1"}, s.names(t, 3))
	require.Equal(t, []string{"1", "2", "round0", "round1"}, timed.names(t, 4))
}

// listenOn makes a server take the address of another.
func listenOn(url string) func(*natsserver.Config) {
	return func(c *natsserver.Config) { c.Listen = strings.TrimPrefix(url, "nats://") }
}

func TestALongOutageEndsTheSubscription(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) {
		c.Subscribe.KeepAlive, c.Subscribe.OutageTimeout = 200*time.Millisecond, time.Second
	})
	s := w.subscribe(t, &controlv1.SubscribeRequest{})
	w.bus.Server.Shutdown()
	var err error
	for err == nil {
		_, err = s.receive(t)
	}
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	require.Equal(t, codes.Unavailable, status.Code(w.refused(t, &controlv1.SubscribeRequest{})))
}

func TestUnreadableMessagesAreLeftOut(t *testing.T) {
	w := newWorld(t)
	s := w.subscribe(t, &controlv1.SubscribeRequest{})
	js := w.bus.Connect(t, bus.UserOperator).JetStream()
	_, err := js.Publish(t.Context(), eventv1.EventSubject("signin", tenantA), []byte("\xff\xff"))
	require.NoError(t, err)
	publish(t, w.publisher(t), signIn("1", tenantA))
	require.Equal(t, []string{"1"}, s.names(t, 1))
}

func TestLargeRecordsComeOutOfTheObjectStore(t *testing.T) {
	w := newWorld(t)
	whole := w.subscribe(t, &controlv1.SubscribeRequest{IncludeRaw: true})
	bare := w.subscribe(t, &controlv1.SubscribeRequest{})
	event := signIn("1", tenantA)
	event.Raw = []byte(strings.Repeat("x", 9<<20))
	want := proto.CloneOf(event)
	publish(t, w.publisher(t), event)
	require.Equal(t, []string{"1"}, bare.names(t, 1))
	require.Empty(t, bare.got[0].GetRaw())
	require.Nil(t, bare.got[0].GetRawBlob())
	require.Equal(t, []string{"1"}, whole.names(t, 1))
	require.True(t, proto.Equal(want, whole.got[0]))
}

func TestStoppingTellsSubscribers(t *testing.T) {
	w := newWorld(t)
	s := w.subscribe(t, &controlv1.SubscribeRequest{})
	began := time.Now()
	w.stop()
	require.Less(t, time.Since(began), 5*time.Second)
	_, err := s.receive(t)
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Equal(t, "the server is stopping", status.Convert(err).Message())
}
