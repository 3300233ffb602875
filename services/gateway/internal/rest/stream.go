package rest

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// registerStreams puts handlers of ours in the place of the generated ones of methods that stream: those know no
// server-sent events, no sign of life, and another form of errors.
func (f *front) registerStreams() error {
	for _, rt := range f.routes {
		if !rt.method.IsStreamingServer() {
			continue
		}
		request, err := protoregistry.GlobalTypes.FindMessageByName(rt.method.Input().FullName())
		if err != nil {
			return err
		}
		response, err := protoregistry.GlobalTypes.FindMessageByName(rt.method.Output().FullName())
		if err != nil {
			return err
		}
		handler := &streamHandler{front: f, route: rt, request: request, response: response}
		if err := f.mux.HandlePath(rt.verb, rt.template, handler.serve); err != nil {
			return err
		}
	}
	return nil
}

// streamHandler answers a method that streams.
type streamHandler struct {
	*front
	route             route
	request, response protoreflect.MessageType
}

func (h *streamHandler) serve(w http.ResponseWriter, r *http.Request, params map[string]string) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stream, err := h.open(ctx, r, params)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	incoming := make(chan received)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.receive(ctx, stream, incoming)
	}()
	defer func() {
		cancel()
		<-done
	}()
	select {
	case first := <-incoming:
		if first.err != nil && !errors.Is(first.err, io.EOF) {
			h.fail(w, r, first.err)
			return
		}
		if header, err := stream.Header(); err == nil { // it is there: a message or the end came
			setRequestID(w, header)
		}
		h.forward(ctx, newSender(w, r, h.front), first, incoming)
	case <-h.stopping:
		h.fail(w, r, errStopping)
	case <-ctx.Done():
	}
}

// open begins the call.
func (h *streamHandler) open(ctx context.Context, r *http.Request, params map[string]string) (grpc.ClientStream, error) {
	request, err := h.read(r, params)
	if err != nil {
		return nil, err
	}
	ctx, err = runtime.AnnotateContext(ctx, h.mux, r, h.route.fullMethod(), runtime.WithHTTPPathPattern(h.route.template))
	if err != nil {
		return nil, err
	}
	stream, err := h.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, h.route.fullMethod())
	if err != nil {
		return nil, err
	}
	// io.EOF means that the stream has ended: the first receive says why.
	if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return stream, stream.CloseSend()
}

// lastEventID is what a browser sends when it connects again.
const lastEventID = "Last-Event-Id"

// read makes the request of body or query, and path. The id of the last event goes before where the request says to
// begin: a browser connects again with the same address.
func (h *streamHandler) read(r *http.Request, params map[string]string) (proto.Message, error) {
	request := h.request.New().Interface()
	var err error
	if h.route.body == "*" {
		err = h.json.NewDecoder(r.Body).Decode(request)
	} else {
		err = runtime.PopulateQueryParameters(request, r.URL.Query(), utilities.NewDoubleArray(nil))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	for name, value := range params {
		if err := runtime.PopulateFieldFromPath(request, name, value); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
	}
	token := r.Header.Get(lastEventID)
	if !utf8.ValidString(token) {
		return nil, errLastEventID
	}
	if field := h.request.Descriptor().Fields().ByName("resume_token"); field != nil && token != "" {
		request.ProtoReflect().Set(field, protoreflect.ValueOfString(token))
	}
	return request, nil
}

// received is a message of the method, or how it ended: io.EOF is a good end.
type received struct {
	message proto.Message
	err     error
}

// receive hands over messages until the stream ends or ctx is done.
func (h *streamHandler) receive(ctx context.Context, stream grpc.ClientStream, incoming chan<- received) {
	for {
		next := received{message: h.response.New().Interface()}
		next.err = stream.RecvMsg(next.message)
		select {
		case incoming <- next:
		case <-ctx.Done():
			return
		}
		if next.err != nil {
			return
		}
	}
}

// forward sends messages until the stream ends, the client is gone or the server stops.
func (h *streamHandler) forward(ctx context.Context, s sender, next received, incoming <-chan received) {
	silence := time.NewTimer(h.set.KeepAlive)
	defer silence.Stop()
	for {
		var err error
		switch {
		case next.err == nil && next.message != nil:
			err = s.message(next.message)
		case errors.Is(next.err, io.EOF):
			_ = s.end() // the client may be gone
			return
		case next.err != nil:
			_ = s.failure(next.err)
			return
		default:
			err = s.keepAlive()
		}
		if err != nil {
			return // the client is gone, or reads too slowly
		}
		silence.Reset(h.set.KeepAlive)
		select {
		case next = <-incoming:
		case <-silence.C:
			next = received{}
		case <-h.stopping:
			next = received{err: errStopping}
		case <-ctx.Done():
			return
		}
	}
}

// wantsEvents reports whether the client asks for server-sent events.
func wantsEvents(r *http.Request) bool {
	for _, header := range r.Header.Values("Accept") {
		for accepted := range strings.SplitSeq(header, ",") {
			if media, _, err := mime.ParseMediaType(accepted); err == nil && media == "text/event-stream" {
				return true
			}
		}
	}
	return false
}
