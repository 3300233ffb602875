package grpcserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// run is what every call goes through, from the outside in: metrics, the status, recovery, the record, the token, the
// caller's bounds; handle is the role and the method. The record is written when handle has ended, unless handle wrote it
// before.
func (s *Server) run(ctx context.Context, call *Call, record *record, bound bound, handle func(context.Context) error) error {
	began := time.Now()
	err := recovered(func() error {
		return record.ended(ctx, recovered(func() error {
			ctx, err := s.authenticate(context.WithValue(ctx, callKey{}, call), call)
			if err != nil {
				return err
			}
			release, err := bound(call.taker())
			if err != nil {
				return err
			}
			defer release()
			return handle(ctx)
		}))
	})
	status := s.statusOf(ctx, call.Method, call.RequestID, err)
	method := call.Method
	if !call.Known {
		// Names of methods that do not exist are the client's to choose: no label.
		method = "unknown"
	}
	s.metrics.observe(method, status.Code(), time.Since(began))
	return status.Err()
}

// bound lets a call of a caller begin, and must be released at its end.
type bound func(taker string) (release func(), err error)

func recovered(handle func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return handle()
}

// record writes a call down once, before anything of it goes to the client.
type record struct {
	server *Server
	call   *Call

	mu   sync.Mutex
	done bool
}

// ended writes the call with the error it ended with, unless it was written, and returns the error for the client.
func (r *record) ended(ctx context.Context, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Who calls too often must not fill the log as well.
	if r.done || r.server.set.Record == nil || !r.call.Known || errors.Is(err, errTooFast) {
		return err
	}
	r.done = true
	var refused Shown
	if err != nil {
		refused = shownOf(ctx, err)
	}
	if failed := r.server.set.Record(ctx, r.call, refused); failed != nil {
		return errors.Join(err, failed)
	}
	return err
}

// begin starts a call: every answer has its id.
func (s *Server) begin(ctx context.Context, method string, setHeader func(metadata.MD) error) (*Call, *record) {
	call := newCall(ctx, method, rand.Text(), s.set.Clock.Now())
	call.Known = s.methods[method]
	_ = setHeader(metadata.Pairs(RequestIDKey, call.RequestID)) // it fails if the client is gone
	return call, &record{server: s, call: call}
}

func (s *Server) stream(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	if isUnary(info) {
		return handler(server, stream)
	}
	call, record := s.begin(stream.Context(), info.FullMethod, stream.SetHeader)
	return s.run(stream.Context(), call, record, s.callers.stream, func(ctx context.Context) error {
		ctx, err := s.authorize(ctx, call)
		if err != nil {
			return err
		}
		ctx, close, err := s.streams.open(ctx)
		if err != nil {
			return err
		}
		defer close()
		ctx, cancel := context.WithCancelCause(ctx)
		var checking sync.WaitGroup
		defer checking.Wait()
		defer cancel(context.Canceled)
		if !s.public[call.Method] {
			checking.Go(func() { s.recheck(ctx, call, cancel) })
		}
		err = handler(server, &checkedStream{
			ServerStream: stream, server: s, call: call, record: record, context: func() context.Context { return ctx },
			incoming: incoming{stream: stream}, receiveIn: s.timeToSend(info),
		})
		lost, isLost := errors.AsType[accessLostError](context.Cause(ctx))
		switch {
		case err == nil:
			return nil
		case isLost:
			return lost.error
		case errors.Is(context.Cause(ctx), errStopping):
			return errStopping
		}
		return err
	})
}

// checkedStream validates what the client sends, has the context of the call, and writes the call down before its first
// answer.
type checkedStream struct {
	grpc.ServerStream
	server  *Server
	call    *Call
	record  *record
	context func() context.Context
	// incoming is the ServerStream as one that can be left.
	incoming incoming
	// receiveIn bounds the time of a read. Zero: a message may come whenever the client likes.
	receiveIn time.Duration
}

func (c *checkedStream) Context() context.Context { return c.context() }

func (c *checkedStream) RecvMsg(m any) error {
	if err := c.incoming.receive(c.Context(), m, c.receiveIn); err != nil {
		return err
	}
	if c.call.Request == nil {
		c.call.Request, _ = m.(proto.Message)
	}
	return c.server.validate(m)
}

func (c *checkedStream) SendMsg(m any) error {
	if err := c.record.ended(c.Context(), nil); err != nil {
		return err
	}
	return c.ServerStream.SendMsg(m)
}
