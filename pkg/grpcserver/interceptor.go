package grpcserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
)

// call is what every call goes through, from the outside in: metrics, the status, recovery,
// the token, the method.
func (s *Server) call(ctx context.Context, method string, handle func(context.Context) error) error {
	began := time.Now()
	err := recovered(func() error {
		ctx, err := s.authenticate(ctx, method)
		if err != nil {
			return err
		}
		return handle(ctx)
	})
	status := s.statusOf(ctx, method, rand.Text(), err)
	if !s.methods[method] {
		// Names of methods that do not exist are the client's to choose: no label.
		method = "unknown"
	}
	s.metrics.observe(method, status.Code(), time.Since(began))
	return status.Err()
}

func recovered(handle func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return handle()
}

func (s *Server) unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (answer any, err error) {
	err = s.call(ctx, info.FullMethod, func(ctx context.Context) error {
		if err := s.validate(request); err != nil {
			return err
		}
		var err error
		answer, err = handler(ctx, request)
		return err
	})
	return answer, err
}

func (s *Server) stream(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	return s.call(stream.Context(), info.FullMethod, func(ctx context.Context) error {
		ctx, release, err := s.streams.open(ctx)
		if err != nil {
			return err
		}
		defer release()
		err = handler(server, &checkedStream{ServerStream: stream, server: s, context: func() context.Context { return ctx }})
		if err != nil && errors.Is(context.Cause(ctx), errStopping) {
			return errStopping
		}
		return err
	})
}

// checkedStream validates what the client sends, and has the context of the call.
type checkedStream struct {
	grpc.ServerStream
	server  *Server
	context func() context.Context
}

func (c *checkedStream) Context() context.Context { return c.context() }

func (c *checkedStream) RecvMsg(m any) error {
	if err := c.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return c.server.validate(m)
}
