package grpcserver

import (
	"context"
	"fmt"
	"math"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/entraflow/entraflow/pkg/config"
)

// InProcess is the network of the peer's address in calls over DialInProcess, and of no other call: what such a
// caller says of the client it speaks for can be trusted.
const InProcess = "inprocess"

// Metadata that a front of this server, such as REST, sends over DialInProcess about the client it speaks for. From
// any other peer it means nothing.
const (
	// ClientAddressKey is the client's address without its port.
	ClientAddressKey = "entraflow-client-address"
	// UserAgentKey is what the client says it is, in printable ASCII.
	UserAgentKey = "entraflow-user-agent"
)

// RequestIDKey is the metadata of every answer with the id of its call.
const RequestIDKey = "x-request-id"

// inProcessBuffer is what a connection holds in each direction until it is read.
const inProcessBuffer = 256 * config.KiB

// inProcess is a second gRPC server with the same methods and interceptors, for connections inside the process. It
// has no TLS and no bound on the calls of one connection, since all clients of a front share one; so it is a server
// of its own, which no connection from outside can reach.
type inProcess struct {
	server   *grpc.Server
	listener *bufconn.Listener
}

func newInProcess(options []grpc.ServerOption) inProcess {
	return inProcess{server: grpc.NewServer(options...), listener: bufconn.Listen(int(inProcessBuffer))}
}

// serve serves until the server is stopped.
func (p inProcess) serve() error { return p.server.Serve(inProcessListener{p.listener}) }

// DialInProcess returns a connection to the server that does not leave the process. Its calls go through what every
// call goes through, so they need a token too. They wait for Run to begin, and fail with Unavailable after it ended.
// The caller closes the connection.
func (s *Server) DialInProcess() (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///"+InProcess,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return s.inProcess.listener.DialContext(ctx)
		}),
		// The server bounds its answers; a second bound here would only make them fail late.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
		grpc.WithDisableServiceConfig(),
	)
	if err != nil {
		return nil, fmt.Errorf("dialing inside the process: %w", err)
	}
	return conn, nil
}

// inProcessListener gives connections an address that can be told from others.
type inProcessListener struct{ *bufconn.Listener }

// Accept implements net.Listener.
func (l inProcessListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return inProcessConn{conn}, nil
}

// Addr implements net.Listener.
func (inProcessListener) Addr() net.Addr { return inProcessAddr{} }

type inProcessConn struct{ net.Conn }

func (inProcessConn) LocalAddr() net.Addr  { return inProcessAddr{} }
func (inProcessConn) RemoteAddr() net.Addr { return inProcessAddr{} }

type inProcessAddr struct{}

func (inProcessAddr) Network() string { return InProcess }
func (inProcessAddr) String() string  { return InProcess }
