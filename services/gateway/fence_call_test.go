package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// reply is how a call ended, and all that the caller was told.
type reply struct {
	code codes.Code
	text string
}

// overGRPC calls a method and returns the first answer.
func overGRPC(ctx context.Context, t *testing.T, conn *grpc.ClientConn, method string, request proto.Message) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer := answerOf(t, method)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	require.NoError(t, err)
	_ = stream.SendMsg(request) // the answer tells
	_ = stream.CloseSend()
	if err := stream.RecvMsg(answer); err != nil {
		return reply{status.Code(err), protojson.Format(status.Convert(err).Proto())}
	}
	return reply{codes.OK, protojson.Format(answer)}
}

func descriptorOf(t *testing.T, method string) protoreflect.MethodDescriptor {
	t.Helper()
	name := strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", ".")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	require.NoError(t, err)
	descriptor, ok := found.(protoreflect.MethodDescriptor)
	require.True(t, ok)
	return descriptor
}

func answerOf(t *testing.T, method string) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(descriptorOf(t, method).Output().FullName())
	require.NoError(t, err)
	return kind.New().Interface()
}

// bindings makes the HTTP requests that a request can be, by the rules in its method's proto file.
func (w *world) bindings(ctx context.Context, t *testing.T, method string, request proto.Message) []*http.Request {
	t.Helper()
	rule, ok := proto.GetExtension(descriptorOf(t, method).Options(), annotations.E_Http).(*annotations.HttpRule)
	require.True(t, ok && rule != nil, "%s has no HTTP binding", method)
	var made []*http.Request
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		if one := w.binding(ctx, t, r, request); one != nil {
			made = append(made, one)
		}
	}
	require.NotEmpty(t, made, method)
	return made
}

var variable = regexp.MustCompile(`\{([a-z_.]+)(?:=[^}]*)?\}`)

// binding makes the HTTP request of one rule; nil if the path needs what the request has not.
func (w *world) binding(ctx context.Context, t *testing.T, rule *annotations.HttpRule, request proto.Message) *http.Request {
	t.Helper()
	verb, path := http.MethodGet, rule.GetGet()
	for other, otherPath := range map[string]string{
		http.MethodPost: rule.GetPost(), http.MethodPatch: rule.GetPatch(), http.MethodDelete: rule.GetDelete(),
	} {
		if otherPath != "" {
			verb, path = other, otherPath
		}
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(request)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(text, &fields))
	whole := true
	path = variable.ReplaceAllStringFunc(path, func(v string) string {
		value := take(fields, strings.Split(variable.FindStringSubmatch(v)[1], "."))
		whole = whole && value != ""
		return strings.ReplaceAll(url.PathEscape(value), "%2F", "/")
	})
	if !whole {
		return nil
	}
	var body any
	switch rule.GetBody() {
	case "":
	case "*":
		body, fields = fields, nil
	default:
		body = fields[rule.GetBody()]
		delete(fields, rule.GetBody())
	}
	query := url.Values{}
	flatten(query, "", fields)
	var content bytes.Buffer
	if rule.GetBody() != "" {
		require.NoError(t, json.NewEncoder(&content).Encode(body))
	}
	made, err := http.NewRequestWithContext(ctx, verb, w.gateway.HTTPURL()+path+"?"+query.Encode(), &content)
	require.NoError(t, err)
	made.Header.Set("Content-Type", "application/json")
	return made
}

// take removes a text from within nested objects.
func take(fields map[string]any, path []string) string {
	if len(path) > 1 {
		inner, _ := fields[path[0]].(map[string]any)
		return take(inner, path[1:])
	}
	value, _ := fields[path[0]].(string)
	delete(fields, path[0])
	return value
}

// flatten writes fields as parameters of a query: a.b=1&list=x&list=y.
func flatten(query url.Values, prefix string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			flatten(query, strings.TrimPrefix(prefix+"."+name, "."), inner)
		}
	case []any:
		for _, inner := range value {
			flatten(query, prefix, inner)
		}
	case string:
		query.Add(prefix, value)
	default:
		text, _ := json.Marshal(value) // it came from JSON
		query.Add(prefix, string(text))
	}
}

// overHTTP sends a request with a token and returns the first line of what a stream answers, else the whole answer.
func overHTTP(t *testing.T, token string, request *http.Request) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(request.Context(), patience)
	defer cancel()
	request = request.WithContext(ctx)
	request.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var text bytes.Buffer
	var first json.RawMessage
	require.NoError(t, json.NewDecoder(io.TeeReader(response.Body, &text)).Decode(&first), request.URL.Path)
	if response.StatusCode == http.StatusOK {
		return reply{codes.OK, string(first)}
	}
	var failed struct{ Code uint32 }
	require.NoError(t, json.Unmarshal(first, &failed))
	return reply{codes.Code(failed.Code), string(first)}
}
