package grpcserver

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// incoming reads the messages of a call. gRPC's own RecvMsg waits for the client alone: neither a server that stops nor
// access that was lost would end it. It is for one goroutine at a time.
type incoming struct {
	stream grpc.ServerStream
	// stopping ends a read with errStopping when it is closed. Nil: the end of the context says so too.
	stopping <-chan struct{}
	// left is why a read was left. Once one was, there are no more: it may still be under way.
	left error
}

// receive reads the next message into m, or returns the cause of the end of ctx if that comes first, or errTooSlow if the
// message does not come within a time, unless that is zero. m is never written to after it returned.
func (in *incoming) receive(ctx context.Context, m any, within time.Duration) error {
	if in.left != nil {
		return in.left
	}
	if within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, within, errTooSlow)
		defer cancel()
	}
	message, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("receiving a %T: not a proto message", m)
	}
	// A read that is left goes on until the call has ended, which ends it.
	own := message.ProtoReflect().New().Interface()
	read := make(chan error, 1)
	go func() { read <- recovered(func() error { return in.stream.RecvMsg(own) }) }()
	select {
	case err := <-read:
		if err != nil {
			return err
		}
		proto.Reset(message)
		proto.Merge(message, own)
		return nil
	case <-ctx.Done():
		in.left = context.Cause(ctx)
	case <-in.stopping:
		in.left = errStopping
	}
	return in.left
}
