package gateway_test

import (
	"context"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway"
)

// hostileTexts are put into every text of every request.
var hostileTexts = map[string]string{
	"sql":       `'; DROP TABLE sign_ins; --`,
	"sql ends":  `x') OR 1=1 UNION ALL SELECT password FROM system.users --`,
	"backslash": `\' OR \'1\'=\'1`,
	"parameter": `{tenants:Array(String)}`,
	"nul":       "a\x00b",
	"lines":     "a\r\nx-admin: 1\r\n\r\n",
	"path":      "../../../../etc/passwd",
	"subject":   "*.>",
	"format":    "%s%n%!d(MISSING)",
	"long":      strings.Repeat("A", 200_000),
	"unicode":   "\u202e\u0000\ufeff𝕬" + strings.Repeat("\u0301", 1000),
	"cel":       `[1,2,3].all(x, [1,2,3].all(y, [1,2,3].all(z, true)))`,
}

// refusals are what hostile requests may end with: never with what says that something of ours broke.
var refusals = []codes.Code{
	codes.OK, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.OutOfRange,
	codes.ResourceExhausted, codes.Aborted, codes.PermissionDenied, codes.Unavailable, codes.DeadlineExceeded,
}

// inputOf returns the message that a method takes.
func inputOf(t *testing.T, method string) protoreflect.MessageDescriptor {
	t.Helper()
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	require.NoError(t, err)
	descriptor, ok := found.(protoreflect.ServiceDescriptor)
	require.True(t, ok)
	return descriptor.Methods().ByName(protoreflect.Name(name)).Input()
}

// fill sets every field there is: texts to text, numbers to the greatest, lists to n elements, lists within them to one.
func fill(m protoreflect.Message, text string, n, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap() || depth == 0 && f.Kind() == protoreflect.MessageKind:
		case f.IsList():
			list := m.Mutable(f).List()
			for range n {
				if f.Kind() == protoreflect.MessageKind {
					fill(list.AppendMutable().Message(), text, 1, depth-1)
				} else {
					list.Append(extreme(f, text))
				}
			}
		case f.Kind() == protoreflect.MessageKind:
			fill(m.Mutable(f).Message(), text, n, depth-1)
		default:
			m.Set(f, extreme(f, text))
		}
	}
}

func extreme(f protoreflect.FieldDescriptor, text string) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(math.MaxInt32)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(math.MaxInt32)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(math.MaxUint32)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(math.MinInt64)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(math.MaxUint64)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(math.NaN()))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(math.NaN())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(text))
	default:
		return protoreflect.ValueOfString(text)
	}
}

// ask sends any message to any method and returns how it ended, or OK after the first answer.
func ask(ctx context.Context, conn *grpc.ClientConn, method string, request proto.Message, answer protoreflect.MessageDescriptor) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	_ = stream.SendMsg(request) // the answer tells
	_ = stream.CloseSend()
	return stream.RecvMsg(dynamicpb.NewMessage(answer))
}

func TestHostileRequestsAreRefusedAndHarmNothing(t *testing.T) {
	w := newWorld(t, unbounded, func(c *gateway.Config) { c.Search.Timeout = 2 * time.Second })
	w.insert(t, signIn("1", tenantA))
	methods := w.methods(t)
	for name, text := range hostileTexts {
		for _, n := range []int{1, 3000} {
			if n > 1 && len(text) > 100 {
				continue
			}
			t.Run(name, func(t *testing.T) {
				for _, method := range methods {
					input := inputOf(t, method)
					whole := dynamicpb.NewMessage(input)
					fill(whole, text, n, 4)
					requests := []*dynamicpb.Message{whole}
					// Each text alone passes more rules than all at once.
					for i := range input.Fields().Len() {
						f := input.Fields().Get(i)
						if f.Kind() == protoreflect.StringKind && !f.IsList() {
							one := dynamicpb.NewMessage(input)
							one.Set(f, protoreflect.ValueOfString(text))
							requests = append(requests, one)
						}
					}
					for _, request := range requests {
						if data, err := proto.Marshal(request); err != nil || len(data) > 1<<20 {
							continue // texts that are no UTF-8 do not leave a client; too large has its own test
						}
						err := ask(t.Context(), w.conn, method, request, input)
						require.Contains(t, refusals, status.Code(err), "%s: %v", method, err)
						require.NotContains(t, status.Convert(err).Message(), "DB::Exception", method)
					}
				}
			})
		}
	}
	w.requireUp(t)
	found, err := controlv1.NewSignInServiceClient(w.conn).SearchSignIns(t.Context(), &controlv1.SearchSignInsRequest{})
	require.NoError(t, err)
	require.Len(t, found.GetSignIns(), 1, "nothing was dropped or added")
}

func (w *world) requireUp(t *testing.T) {
	t.Helper()
	_, err := controlv1.NewSystemServiceClient(w.conn).GetCaller(t.Context(), &controlv1.GetCallerRequest{})
	require.NoError(t, err)
}

func TestOversizedAndDeepMessagesAreRefused(t *testing.T) {
	w := newWorld(t, unbounded)
	method := controlv1.SignInService_SearchSignIns_FullMethodName
	oversized := &controlv1.SearchSignInsRequest{PageToken: strings.Repeat("A", 2<<20)}
	_, err := controlv1.NewSignInServiceClient(w.conn).SearchSignIns(t.Context(), oversized)
	require.Equal(t, codes.ResourceExhausted, status.Code(err), "%v", err)
	// A message within a message, 20,000 deep, in a field that there is and in one that there is not.
	for _, number := range []protowire.Number{1, 999} {
		var deep []byte
		for range 20_000 { // protobuf stops at 10,000
			deep = protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), deep)
		}
		err := w.sendRaw(t, method, deep)
		if number == 1 {
			require.ErrorContains(t, err, "failed to unmarshal", "gRPC refuses what is no message")
		} else {
			require.Contains(t, refusals, status.Code(err), "%v", err)
		}
	}
	for name, garbage := range map[string][]byte{
		"no tag": {0xff, 0xff, 0xff}, "cut": {0x0a, 0x7f, 0x01}, "groups": []byte(strings.Repeat("\x0b", 10_000)),
	} {
		err := w.sendRaw(t, method, garbage)
		require.Equal(t, codes.Internal, status.Code(err), "%s: what gRPC says of bytes that are no message: %v", name, err)
		require.NotContains(t, err.Error(), "panic")
	}
	w.requireUp(t)
}

// raw is a codec that sends bytes as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) {
	if data, ok := v.(*[]byte); ok {
		return *data, nil
	}
	return nil, io.ErrUnexpectedEOF
}
func (raw) Unmarshal([]byte, any) error { return nil }
func (raw) Name() string                { return "proto" }

func (w *world) sendRaw(t *testing.T, method string, data []byte) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return w.conn.Invoke(ctx, method, &data, &data, grpc.ForceCodec(raw{}))
}

// Clients that open connections and say nothing, or bytes that are no HTTP/2, keep nobody else out and are cut off.
func TestSilentAndNoisyConnectionsAreCutOff(t *testing.T) {
	w := newWorld(t, unbounded, func(c *gateway.Config) { c.GRPC.Keepalive.Timeout = 500 * time.Millisecond })
	var open []net.Conn
	dial := func(say string) net.Conn {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.gateway.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = conn.Write([]byte(say))
		require.NoError(t, err)
		return conn
	}
	for range 200 {
		open = append(open, dial(""))
	}
	for _, say := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\xff", 4096),
		"\x16\x03\x01", strings.Repeat("A", 64<<10),
	} {
		open = append(open, dial(say))
	}
	w.requireUp(t)
	for _, conn := range open {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		_, err := io.Copy(io.Discard, conn)
		if ne, ok := err.(net.Error); ok { //nolint:errorlint // a net.Conn returns it bare
			require.False(t, ne.Timeout(), "the connection is still open")
		}
	}
	w.requireUp(t)
}
