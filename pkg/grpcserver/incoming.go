package grpcserver

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// incoming reads the messages of a call. gRPC's own RecvMsg waits for the client alone: neither a server that stops nor
// access that was lost would end it. It is for one goroutine at a time.
type incoming struct {
	stream grpc.ServerStream
	// left is why a read was left. Once one was, there are no more: it may still be under way.
	left error
}

// receive reads the next message into m, or returns the cause of the end of ctx if that comes first. m is never written
// to after it returned.
func (in *incoming) receive(ctx context.Context, m any) error {
	if in.left != nil {
		return in.left
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
		return in.left
	}
}
