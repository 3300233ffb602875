package gateway_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/entraflow/entraflow/services/gateway"
)

// methods asks the reflection service for every method there is.
func (w *world) methods(t *testing.T) []string {
	t.Helper()
	stream, err := reflectionv1.NewServerReflectionClient(w.conn).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}))
	answer, err := stream.Recv()
	require.NoError(t, err)
	require.NoError(t, stream.CloseSend())
	var names []string
	for _, service := range answer.GetListServicesResponse().GetService() {
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.GetName()))
		require.NoError(t, err)
		descriptor, ok := found.(protoreflect.ServiceDescriptor)
		require.True(t, ok)
		for i := range descriptor.Methods().Len() {
			names = append(names, "/"+service.GetName()+"/"+string(descriptor.Methods().Get(i).Name()))
		}
	}
	return names
}

// call opens any method as a stream, sends an empty message and returns the first answer's error.
func call(ctx context.Context, conn *grpc.ClientConn, method string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	_ = stream.SendMsg(&emptypb.Empty{}) // the answer tells
	_ = stream.CloseSend()
	return stream.RecvMsg(&emptypb.Empty{})
}

func TestNoMethodWorksWithoutTheToken(t *testing.T) {
	w := newWorld(t)
	names := w.methods(t)
	for _, service := range []string{
		"/entraflow.control.v1.SignInService/SearchSignIns", "/entraflow.control.v1.EventService/Subscribe",
		"/entraflow.control.v1.DirectoryService/GetUser", "/entraflow.control.v1.DirectoryService/ListHistory",
		"/entraflow.control.v1.IntegrationService/ResetCredentials", "/entraflow.control.v1.IntegrationService/WatchRun",
		"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
	} {
		require.Contains(t, names, service)
	}
	names = append(names, "/entraflow.control.v1.SignInService/None", "/none/None")
	token := w.token(t)
	bare := w.dial(t, "")
	for name, headers := range map[string][]string{
		"none":         nil,
		"wrong":        {"Bearer " + strings.Repeat("0", len(token))},
		"cut":          {"Bearer " + token[:len(token)-1]},
		"longer":       {"Bearer " + token + "0"},
		"no scheme":    {token},
		"other scheme": {"Basic " + token},
		"empty":        {"Bearer "},
		"two":          {"Bearer " + token, "Bearer " + token},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": headers})
			for _, method := range names {
				err := call(ctx, bare, method)
				require.Equal(t, codes.Unauthenticated, status.Code(err), "%s: %v", method, err)
			}
		})
	}
	for _, method := range names {
		require.NotEqual(t, codes.Unauthenticated, status.Code(call(t.Context(), w.conn, method)), method)
	}
}

func TestTheTokenFileIsMadeOnceForItsOwner(t *testing.T) {
	w := newWorld(t)
	info, err := os.Stat(w.cfg.TokenFile)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	folder, err := os.Stat(filepath.Dir(w.cfg.TokenFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), folder.Mode().Perm())
	first := w.token(t)
	require.Len(t, first, 64)
	w.stop()
	w.start(t)
	require.Equal(t, first, w.token(t))
	require.NoError(t, call(t.Context(), w.conn, "/grpc.health.v1.Health/Check"))
}

func TestATokenFileThatOthersCanReadIsRefused(t *testing.T) {
	w := prepareWorld(t)
	require.NoError(t, os.MkdirAll(filepath.Dir(w.cfg.TokenFile), 0o700))
	require.NoError(t, os.WriteFile(w.cfg.TokenFile, []byte(strings.Repeat("a", 64)), 0o644))
	service, err := gateway.New(w.cfg, w.settings(t))
	require.NoError(t, err)
	require.ErrorContains(t, service.Run(t.Context()), "others than its owner can open it")
}
