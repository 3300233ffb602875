package grpcserver

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// registrar registers unary methods as streams of one message each way; on the wire the two are the same. gRPC reads the
// message of a unary method before anything of ours runs: whoever has no token could make the server keep as many
// messages that never come whole as it has connections and calls.
type registrar struct {
	*grpc.Server
	frame *Server
}

// RegisterService implements grpc.ServiceRegistrar.
func (r registrar) RegisterService(desc *grpc.ServiceDesc, implementation any) {
	own := *desc
	own.Methods, own.Streams = nil, slices.Clone(desc.Streams)
	for _, method := range desc.Methods {
		own.Streams = append(own.Streams, grpc.StreamDesc{
			StreamName: method.MethodName, Handler: r.frame.unaryHandler("/"+desc.ServiceName+"/"+method.MethodName, method),
		})
	}
	r.Server.RegisterService(&own, implementation)
}

// isUnary reports whether a stream is one that registrar made: it goes through everything by itself, whether gRPC calls
// the interceptor of streams for it or not.
func isUnary(info *grpc.StreamServerInfo) bool { return !info.IsClientStream && !info.IsServerStream }

// timeToSend is how long a client may take for a message of a stream. Zero: it has more than one to send.
func (s *Server) timeToSend(info *grpc.StreamServerInfo) time.Duration {
	if info.IsClientStream {
		return 0
	}
	return s.cfg.RequestTimeout
}

func (s *Server) unaryHandler(name string, method grpc.MethodDesc) grpc.StreamHandler {
	return func(implementation any, stream grpc.ServerStream) error {
		answer, err := s.unary(implementation, stream, name, method)
		if err != nil {
			return err // nothing goes out that was not recorded
		}
		return stream.SendMsg(answer)
	}
}

// unary calls a unary method. The request is read once the caller is known and within its bounds, and before it is asked
// what the caller may: a record of who may not says what was asked for.
func (s *Server) unary(implementation any, stream grpc.ServerStream, name string, method grpc.MethodDesc) (answer any, err error) {
	call, record := s.begin(stream.Context(), name, stream.SetHeader)
	err = s.run(stream.Context(), call, record, s.callers.call, func(ctx context.Context) error {
		receive := func(m any) error {
			in := incoming{stream: stream, stopping: s.streams.stopping}
			if err := in.receive(ctx, m, s.cfg.RequestTimeout); err != nil {
				return err
			}
			call.Request, _ = m.(proto.Message)
			return nil
		}
		var err error
		answer, err = method.Handler(implementation, ctx, receive,
			func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				ctx, err := s.authorize(ctx, call)
				if err != nil {
					return nil, err
				}
				if err := s.validate(request); err != nil {
					return nil, err
				}
				handle := func(ctx context.Context) (any, error) { return handler(ctx, request) }
				if s.set.Once == nil {
					return handle(ctx)
				}
				return s.set.Once(ctx, call, handle)
			})
		return err
	})
	return answer, err
}
