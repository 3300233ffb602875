package streamer_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/stretchr/testify/require"
)

type azeventhubsParams = azeventhubs.WebSocketConnParams

// freezer holds back every byte of its connections, both ways, while it is frozen.
type freezer struct {
	mu   sync.Mutex
	warm chan struct{} // closed while not frozen
}

func newFreezer() *freezer {
	f := &freezer{warm: make(chan struct{})}
	close(f.warm)
	return f
}

func (f *freezer) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.warm = make(chan struct{})
}

func (f *freezer) thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.warm)
}

func (f *freezer) wait() {
	f.mu.Lock()
	warm := f.warm
	f.mu.Unlock()
	<-warm
}

func (f *freezer) dial(next func(context.Context, azeventhubsParams) (net.Conn, error)) func(context.Context, azeventhubsParams) (net.Conn, error) {
	return func(ctx context.Context, p azeventhubsParams) (net.Conn, error) {
		f.wait()
		c, err := next(ctx, p)
		return frozenConn{c, f}, err
	}
}

type frozenConn struct {
	net.Conn
	ice *freezer
}

func (c frozenConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.ice.wait()
	return n, err
}

func (c frozenConn) Write(p []byte) (int, error) {
	c.ice.wait()
	return c.Conn.Write(p)
}

// proxy stands between a client and a server on loopback.
type proxy struct {
	*freezer
	listener net.Listener
	target   string
	done     sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func newProxy(tb testing.TB, url string) *proxy {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	p := &proxy{freezer: newFreezer(), listener: listener, target: strings.TrimPrefix(url, "nats://")}
	p.done.Go(p.accept)
	tb.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		p.done.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.done.Go(func() { p.copy(server, client) })
		p.done.Go(func() { p.copy(client, server) })
	}
}

func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.wait()
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}
