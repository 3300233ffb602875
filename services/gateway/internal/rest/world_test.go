package rest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/entraflow/entraflow/pkg/app/apptest"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/grpcserver"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/telemetry"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway/internal/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	rightToken = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	// patience bounds every wait of these tests.
	patience = 30 * time.Second
)

// world is a gRPC server whose methods a test can see and answer, with its front.
type world struct {
	url    string
	front  *rest.Server
	client *http.Client
	stop   func() error
	calls  chan call
}

// call is what arrived at a method.
type call struct {
	method   string
	request  proto.Message
	metadata metadata.MD
}

// answers says what methods answer; a method without one answers with an empty message.
type answers struct {
	unary  func(ctx context.Context, method string, request proto.Message) (proto.Message, error)
	stream func(ctx context.Context, request proto.Message, send func(proto.Message) error) error
	change func(*rest.Config, *rest.Settings)
}

// newWorld starts both.
func newWorld(tb testing.TB, a answers) *world {
	tb.Helper()
	w := &world{client: &http.Client{Timeout: patience, Transport: &http.Transport{}}, calls: make(chan call, 100)}
	set := apptest.Settings(tb)
	grpcConfig := grpcserver.DefaultConfig()
	// These tests are about the front; they call as fast as they can.
	grpcConfig.PerCaller.Rate, grpcConfig.PerCaller.Burst = 1e6, 1e6
	server, err := grpcserver.New(grpcConfig, grpcserver.Settings{
		Service: "gateway", Logger: set.Logger, Registry: set.Registry,
		Authenticator: grpcserver.StaticToken{
			Token: config.NewSecret(rightToken), Identity: grpcserver.Identity{Subject: "operator", AllTenants: true},
		},
		Register: func(r grpc.ServiceRegistrar) { w.register(tb, r, a) },
	})
	require.NoError(tb, err)
	cfg := rest.DefaultConfig()
	cfg.Address = "127.0.0.1:0"
	metrics := telemetry.NewMetrics(set.Registry, "gateway")
	settings := rest.Settings{
		Dial: server.DialInProcess, Logger: set.Logger, Metrics: rest.NewMetrics(metrics),
		SendTimeout: patience, KeepAlive: patience,
	}
	require.NoError(tb, metrics.Err())
	if a.change != nil {
		a.change(&cfg, &settings)
	}
	w.front, err = rest.New(cfg, settings)
	require.NoError(tb, err)
	w.run(tb, lifecycle.NewGroup(lifecycle.DefaultDrain, w.front, server))
	scheme := "http://"
	if cfg.TLS.Enabled() {
		scheme = "https://"
	}
	w.url = scheme + w.front.Addr().String()
	return w
}

func (w *world) run(tb testing.TB, group *lifecycle.Group) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- group.Run(ctx) }()
	stopped := false
	w.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	tb.Cleanup(func() {
		w.client.CloseIdleConnections()
		require.NoError(tb, w.stop())
	})
	select {
	case <-group.Ready():
	case err := <-done:
		done <- err
		require.FailNow(tb, "it ended", "%v", err)
	}
}

// register serves every method of the API with one implementation.
func (w *world) register(tb testing.TB, r grpc.ServiceRegistrar, a answers) {
	tb.Helper()
	for _, service := range services(tb) {
		desc := &grpc.ServiceDesc{ServiceName: string(service.FullName())}
		for i := range service.Methods().Len() {
			method := service.Methods().Get(i)
			if method.IsStreamingServer() {
				desc.Streams = append(desc.Streams, grpc.StreamDesc{
					StreamName: string(method.Name()), ServerStreams: true, Handler: w.streamOf(method, a),
				})
				continue
			}
			desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: string(method.Name()), Handler: w.unaryOf(method, a)})
		}
		r.RegisterService(desc, nil)
	}
}

// services are those of the API.
func services(tb testing.TB) []protoreflect.ServiceDescriptor {
	tb.Helper()
	var all []protoreflect.ServiceDescriptor
	api := controlv1.File_entraflow_control_v1_event_service_proto.Package()
	protoregistry.GlobalFiles.RangeFilesByPackage(api, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			all = append(all, file.Services().Get(i))
		}
		return true
	})
	require.NotEmpty(tb, all)
	return all
}

func newMessage(descriptor protoreflect.MessageDescriptor) proto.Message {
	found, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		panic(err) // the message is linked in: its service is
	}
	return found.New().Interface()
}

func fullMethod(method protoreflect.MethodDescriptor) string {
	return "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
}

func (w *world) note(ctx context.Context, method string, request proto.Message) {
	md, _ := metadata.FromIncomingContext(ctx)
	select {
	case w.calls <- call{method: method, request: request, metadata: md}:
	default: // the test does not look
	}
}

func (w *world) unaryOf(method protoreflect.MethodDescriptor, a answers) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		request := newMessage(method.Input())
		if err := decode(request); err != nil {
			return nil, err
		}
		return intercept(ctx, request, &grpc.UnaryServerInfo{FullMethod: fullMethod(method)}, func(ctx context.Context, _ any) (any, error) {
			w.note(ctx, fullMethod(method), request)
			if a.unary == nil {
				return newMessage(method.Output()), nil
			}
			answer, err := a.unary(ctx, fullMethod(method), request)
			if answer == nil && err == nil {
				answer = newMessage(method.Output())
			}
			return answer, err
		})
	}
}

func (w *world) streamOf(method protoreflect.MethodDescriptor, a answers) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		request := newMessage(method.Input())
		if err := stream.RecvMsg(request); err != nil {
			return err
		}
		w.note(stream.Context(), fullMethod(method), request)
		if a.stream == nil {
			return stream.SendMsg(newMessage(method.Output()))
		}
		return a.stream(stream.Context(), request, func(m proto.Message) error { return stream.SendMsg(m) })
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request with the right token unless change takes it away.
func (w *world) send(tb testing.TB, verb, path, body string, change ...func(*http.Request)) answer {
	tb.Helper()
	response, err := w.client.Do(w.request(tb, verb, path, body, change...))
	require.NoError(tb, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(tb, err)
	require.NoError(tb, response.Body.Close())
	return answer{status: response.StatusCode, header: response.Header, body: string(text)}
}

func (w *world) request(tb testing.TB, verb, path, body string, change ...func(*http.Request)) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), verb, w.url+path, strings.NewReader(body))
	require.NoError(tb, err)
	r.Header.Set("Authorization", "Bearer "+rightToken)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func with(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = values }
}

// refused is an error as clients see it.
type refused struct {
	Code    codes.Code `json:"code"`
	Message string     `json:"message"`
	Details []struct {
		Type     string            `json:"@type"`
		Reason   string            `json:"reason"`
		Domain   string            `json:"domain"`
		Metadata map[string]string `json:"metadata"`
	} `json:"details"`
}

// requireRefused checks an error and its form.
func requireRefused(tb testing.TB, got answer, status int, reason string) refused {
	tb.Helper()
	require.Equal(tb, status, got.status, got.body)
	require.Equal(tb, "application/json", got.header.Get("Content-Type"))
	var r refused
	require.NoError(tb, json.Unmarshal([]byte(got.body), &r), got.body)
	require.NotEmpty(tb, r.Details, got.body)
	require.Equal(tb, "type.googleapis.com/google.rpc.ErrorInfo", r.Details[0].Type)
	require.Equal(tb, reason, r.Details[0].Reason, got.body)
	require.Equal(tb, "entraflow", r.Details[0].Domain)
	require.Equal(tb, got.header.Get("X-Request-Id"), r.Details[0].Metadata["request_id"])
	require.NotEmpty(tb, r.Details[0].Metadata["request_id"])
	require.NotEmpty(tb, r.Message)
	return r
}
