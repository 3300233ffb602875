package rest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/grpcserver"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/rest"
)

var asEvents = with("Accept", "text/event-stream;q=1, application/json;q=0.5")

// opened is a stream under way.
type opened struct {
	answer
	lines *bufio.Scanner
	close func()
}

func (w *world) open(t *testing.T, path string, change ...func(*http.Request)) *opened {
	t.Helper()
	response, err := w.client.Do(w.request(t, http.MethodGet, path, "", change...)) //nolint:bodyclose // close closes it
	require.NoError(t, err)
	o := &opened{
		answer: answer{status: response.StatusCode, header: response.Header},
		lines:  bufio.NewScanner(response.Body),
		close:  func() { _ = response.Body.Close() },
	}
	t.Cleanup(o.close)
	return o
}

// block returns the lines up to the next empty one, or to the end.
func (o *opened) block(t *testing.T) string {
	t.Helper()
	var lines []string
	for o.lines.Scan() && o.lines.Text() != "" {
		lines = append(lines, o.lines.Text())
	}
	return strings.Join(lines, "\n")
}

// compact makes the JSON behind data: the same in every run: protojson varies its spaces on purpose.
func compact(t *testing.T, block string) string {
	t.Helper()
	head, data, ok := strings.Cut(block, "data: ")
	if !ok {
		return block
	}
	var value any
	require.NoError(t, json.Unmarshal([]byte(data), &value), data)
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return head + "data: " + string(text)
}

func response(token string, ids ...string) *controlv1.SubscribeResponse {
	r := &controlv1.SubscribeResponse{ResumeToken: token}
	for _, id := range ids {
		r.Events = append(r.Events, &eventv1.Event{Id: id})
	}
	return r
}

var errSlow = grpcserver.NewError(codes.ResourceExhausted, "CLIENT_TOO_SLOW", "too slow", "read faster")

// stream answers with messages, then an error.
func stream(err error, messages ...proto.Message) func(context.Context, proto.Message, func(proto.Message) error) error {
	return func(_ context.Context, _ proto.Message, send func(proto.Message) error) error {
		for _, m := range messages {
			if err := send(m); err != nil {
				return err
			}
		}
		return err
	}
}

func TestServerSentEvents(t *testing.T) {
	w := newWorld(t, answers{stream: stream(errSlow, response("t0"), response("t1", "a", "b"))})
	o := w.open(t, "/v1/events:subscribe?kinds=signin", asEvents)
	require.Equal(t, http.StatusOK, o.status)
	require.Equal(t, "text/event-stream", o.header.Get("Content-Type"))
	require.Equal(t, "no-store", o.header.Get("Cache-Control"))
	require.Regexp(t, "^[A-Z2-7]{26}$", o.header.Get("X-Request-Id"))
	// A sign of life moves the place to resume from, and is no event to a browser.
	require.Equal(t, ": keep-alive\nid: t0", o.block(t))
	events := compact(t, o.block(t))
	require.Regexp(t, `^id: t1\nevent: events\ndata: \{"events":\[\{"id":"a"\},\{"id":"b"\}\],"resumeToken":"t1"\}$`, events)
	failed := compact(t, o.block(t))
	require.Regexp(t, `^event: error\ndata: \{"code":8,.*"message":"too slow"\}$`, failed)
	require.Contains(t, failed, `"reason":"CLIENT_TOO_SLOW"`)
	require.Contains(t, failed, `"request_id":"`+o.header.Get("X-Request-Id")+`"`)
	require.Empty(t, o.block(t))
}

func TestServerSentEventsOfARunEndWithIt(t *testing.T) {
	w := newWorld(t, answers{stream: stream(nil, &controlv1.WatchRunResponse{Run: &controlv1.Run{Name: run}})})
	o := w.open(t, "/v1/"+run+":watch", asEvents)
	require.Regexp(t, `^event: run\ndata: \{"run":\{.*"name":"`+run+`".*\}\}$`, compact(t, o.block(t)))
	require.Equal(t, "event: end\ndata: {}", o.block(t))
	require.Empty(t, o.block(t))
}

func TestLines(t *testing.T) {
	w := newWorld(t, answers{stream: stream(errSlow, response("t0"), response("t1", "a"))})
	o := w.open(t, "/v1/events:subscribe")
	require.Equal(t, "application/json", o.header.Get("Content-Type"))
	var tokens []string
	for o.lines.Scan() {
		var line struct {
			Result struct{ ResumeToken string }
			Error  struct{ Code codes.Code }
		}
		require.NoError(t, json.Unmarshal(o.lines.Bytes(), &line))
		tokens = append(tokens, line.Result.ResumeToken+line.Error.Code.String())
	}
	require.Empty(t, cmp.Diff([]string{"t0OK", "t1OK", "ResourceExhausted"}, tokens))
}

// A stream that is refused before its first message is refused as any request is.
func TestARefusedStreamHasItsStatus(t *testing.T) {
	w := newWorld(t, answers{stream: stream(errSlow)})
	for name, change := range map[string]func(*http.Request){"events": asEvents, "lines": with("Accept", "application/json")} {
		t.Run(name, func(t *testing.T) {
			requireRefused(t, w.send(t, "GET", "/v1/events:subscribe", "", change), http.StatusTooManyRequests, "CLIENT_TOO_SLOW")
			got := w.send(t, "GET", "/v1/events:subscribe", "", change, with("Authorization"))
			requireRefused(t, got, http.StatusUnauthorized, "UNAUTHENTICATED")
			requireRefused(t, w.send(t, "GET", "/v1/events:subscribe?kinds=%20", "", change), http.StatusBadRequest, "REQUEST_INVALID")
		})
	}
}

// A browser connects again with the same address and the id of the last event.
func TestEventsResume(t *testing.T) {
	w := newWorld(t, answers{stream: stream(nil, response("t1"))})
	for name, tc := range map[string]struct {
		path string
		id   []string
		want *controlv1.SubscribeRequest
	}{
		"first":        {"/v1/events:subscribe?kinds=signin", nil, &controlv1.SubscribeRequest{Kinds: []string{"signin"}}},
		"again":        {"/v1/events:subscribe?kinds=signin", []string{"t9"}, &controlv1.SubscribeRequest{Kinds: []string{"signin"}, Begin: &controlv1.SubscribeRequest_ResumeToken{ResumeToken: "t9"}}},
		"empty":        {"/v1/events:subscribe", []string{""}, &controlv1.SubscribeRequest{}},
		"before token": {"/v1/events:subscribe?resumeToken=t1", []string{"t9"}, &controlv1.SubscribeRequest{Begin: &controlv1.SubscribeRequest_ResumeToken{ResumeToken: "t9"}}},
		"before time":  {"/v1/events:subscribe?startTime=2026-01-01T00:00:00Z", []string{"t9"}, &controlv1.SubscribeRequest{Begin: &controlv1.SubscribeRequest_ResumeToken{ResumeToken: "t9"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.send(t, "GET", tc.path, "", asEvents, with("Last-Event-Id", tc.id...))
			require.Equal(t, http.StatusOK, got.status, got.body)
			require.True(t, proto.Equal(tc.want, (<-w.calls).request))
		})
	}
	got := w.send(t, "GET", "/v1/events:subscribe", "", with("Last-Event-Id", "\xff"))
	requireRefused(t, got, http.StatusBadRequest, "HEADER_MALFORMED")
	got = w.send(t, "GET", "/v1/"+run+":watch", "", asEvents, with("Last-Event-Id", "t9"))
	require.Equal(t, http.StatusOK, got.status, "a run has nothing to resume")
}

// silent sends one message and waits for the end of the call.
func silent(ended chan<- struct{}) func(context.Context, proto.Message, func(proto.Message) error) error {
	return func(ctx context.Context, _ proto.Message, send func(proto.Message) error) error {
		if err := send(response("t0", "a")); err != nil {
			return err
		}
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}
}

func TestASilentStreamShowsThatItLives(t *testing.T) {
	ended := make(chan struct{})
	w := newWorld(t, answers{stream: silent(ended), change: func(c *rest.Config, s *rest.Settings) {
		s.KeepAlive = 10 * time.Millisecond
		// They are for requests: a stream that is longer than they are must live.
		c.ReadTimeout, c.ReadHeaderTimeout = 50*time.Millisecond, 50*time.Millisecond
	}})
	o := w.open(t, "/v1/events:subscribe", asEvents)
	require.Contains(t, o.block(t), "event: events")
	for range 20 {
		require.Equal(t, ": keep-alive", o.block(t))
	}
	o.close()
	<-ended
}

func TestStopTellsStreams(t *testing.T) {
	w := newWorld(t, answers{stream: silent(make(chan struct{}))})
	o := w.open(t, "/v1/events:subscribe", asEvents)
	require.Contains(t, o.block(t), "event: events")
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	require.Regexp(t, `^event: error\ndata: \{"code":14,.*"reason":"SERVER_STOPPING"`, compact(t, o.block(t)))
	require.Empty(t, o.block(t))
	require.NoError(t, <-stopped)
}

func TestStopLetsRequestsEnd(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, answers{unary: func(context.Context, string, proto.Message) (proto.Message, error) {
		close(entered)
		<-release
		return nil, nil //nolint:nilnil // the world makes an empty one
	}})
	asked := make(chan int, 1)
	request := w.request(t, "GET", "/v1/integrations", "")
	go func() {
		response, err := w.client.Do(request)
		if err != nil {
			asked <- 0
			return
		}
		_ = response.Body.Close()
		asked <- response.StatusCode
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	select {
	case err := <-stopped:
		require.FailNow(t, "stopped before the request ended", "%v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	require.Equal(t, http.StatusOK, <-asked)
	require.NoError(t, <-stopped)
}

// A client that reads nothing holds neither the stream nor the server.
func TestAStalledClientIsCutOff(t *testing.T) {
	ended := make(chan struct{})
	large := response("t1", strings.Repeat("a", 1<<20))
	w := newWorld(t, answers{
		stream: func(ctx context.Context, _ proto.Message, send func(proto.Message) error) error {
			defer close(ended)
			for {
				if err := send(large); err != nil {
					return err
				}
			}
		},
		change: func(_ *rest.Config, s *rest.Settings) { s.SendTimeout = 200 * time.Millisecond },
	})
	o := w.open(t, "/v1/events:subscribe", asEvents) // and never reads
	select {
	case <-ended:
	case <-time.After(patience):
		require.FailNow(t, "the stream did not end")
	}
	o.close()
	require.Equal(t, http.StatusOK, w.send(t, "GET", "/v1/integrations", "").status)
}
