package grpcserver_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/entraflow/entraflow/pkg/grpcserver"
)

// query is a message with one field, tenant, that must have 3 characters at least.
func query(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	options := &descriptorpb.FieldOptions{}
	proto.SetExtension(options, validate.E_Field, &validate.FieldRules{
		Type: &validate.FieldRules_String_{String_: &validate.StringRules{MinLen: new(uint64(3))}},
	})
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("query.proto"), Package: new("demo"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: new("Query"),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: new("tenant"), Number: new(int32(1)), Options: options,
				Type:  descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
				Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}},
		}},
	}, nil)
	require.NoError(t, err)
	return file.Messages().ByName("Query")
}

func newQuery(descriptor protoreflect.MessageDescriptor, tenant string) *dynamicpb.Message {
	m := dynamicpb.NewMessage(descriptor)
	m.Set(descriptor.Fields().ByName("tenant"), protoreflect.ValueOfString(tenant))
	return m
}

// demoService answers every query with itself: Ask one, Follow each of a stream.
func demoService(descriptor protoreflect.MessageDescriptor) *grpc.ServiceDesc {
	ask := func(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		request := dynamicpb.NewMessage(descriptor)
		if err := decode(request); err != nil {
			return nil, err
		}
		echo := func(_ context.Context, request any) (any, error) { return request, nil }
		return intercept(ctx, request, &grpc.UnaryServerInfo{FullMethod: "/demo.Demo/Ask"}, echo)
	}
	follow := func(_ any, stream grpc.ServerStream) error {
		for {
			request := dynamicpb.NewMessage(descriptor)
			if err := stream.RecvMsg(request); err != nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			if err := stream.SendMsg(request); err != nil {
				return err
			}
		}
	}
	return &grpc.ServiceDesc{
		ServiceName: "demo.Demo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Ask", Handler: ask}},
		Streams: []grpc.StreamDesc{{StreamName: "Follow", Handler: follow, ServerStreams: true, ClientStreams: true}},
	}
}

func TestRequestsAreHeldAgainstTheRulesOfTheirProto(t *testing.T) {
	descriptor := query(t)
	s := start(t, &methods{}, func(_ *grpcserver.Config, set *grpcserver.Settings) {
		set.Register = func(r grpc.ServiceRegistrar) { r.RegisterService(demoService(descriptor), struct{}{}) }
	})
	conn := s.connect(t, insecure.NewCredentials())
	answer := dynamicpb.NewMessage(descriptor)

	require.NoError(t, conn.Invoke(authorized(t), "/demo.Demo/Ask", newQuery(descriptor, "abc"), answer))
	err := conn.Invoke(authorized(t), "/demo.Demo/Ask", newQuery(descriptor, "ab"), answer)
	requireInvalid(t, err)
	err = conn.Invoke(t.Context(), "/demo.Demo/Ask", newQuery(descriptor, "ab"), answer)
	requireStatus(t, codes.Unauthenticated, "UNAUTHENTICATED", err)

	stream, err := conn.NewStream(authorized(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/demo.Demo/Follow")
	require.NoError(t, err)
	require.NoError(t, stream.SendMsg(newQuery(descriptor, "abc")))
	require.NoError(t, stream.RecvMsg(answer))
	require.NoError(t, stream.SendMsg(newQuery(descriptor, "ab")))
	requireInvalid(t, stream.RecvMsg(answer))
}

func requireInvalid(t *testing.T, err error) {
	t.Helper()
	requireStatus(t, codes.InvalidArgument, "REQUEST_INVALID", err)
	var got []string
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				got = append(got, v.GetField(), v.GetReason(), v.GetDescription())
			}
		}
	}
	require.Empty(t, cmp.Diff([]string{"tenant", "string.min_len", "must be at least 3 characters"}, got))
}
