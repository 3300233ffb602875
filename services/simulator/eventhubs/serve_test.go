package eventhubs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/services/simulator/eventhubs"
	wire "github.com/entraflow/entraflow/services/simulator/internal/amqp"
)

// serve runs a listener with the test and returns its address.
func serve(t *testing.T, s *eventhubs.Server, wrap func(net.Listener) net.Listener) string {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, wrap(ln)) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return ln.Addr().String()
}

// sendAndRead does a whole round with clients that connect as the options say.
func sendAndRead(t *testing.T, connection string, p azeventhubs.ProducerClientOptions, c azeventhubs.ConsumerClientOptions) {
	t.Helper()
	ctx := timeout(t)
	producer, err := azeventhubs.NewProducerClientFromConnectionString(connection, "hub", &p)
	require.NoError(t, err)
	defer func() { require.NoError(t, producer.Close(ctx)) }()
	require.NoError(t, send(ctx, t, producer, azeventhubs.EventDataBatchOptions{PartitionID: new("0")}, "hello"))
	consumer, err := azeventhubs.NewConsumerClientFromConnectionString(connection, "hub", eventhubs.DefaultGroup, &c)
	require.NoError(t, err)
	defer func() { require.NoError(t, consumer.Close(ctx)) }()
	reader, err := consumer.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: earliest})
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close(ctx)) }()
	require.Equal(t, []string{"hello"}, bodies(receive(ctx, t, reader, 1)))
}

func TestEmulatorMode(t *testing.T) {
	s, err := eventhubs.New(testConfig(1), eventhubs.Settings{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	connection, err := s.ConnectionString("", serve(t, s, func(ln net.Listener) net.Listener { return ln }), true)
	require.NoError(t, err)
	require.Contains(t, connection, ";UseDevelopmentEmulator=true")
	sendAndRead(t, connection, azeventhubs.ProducerClientOptions{RetryOptions: noRetry}, azeventhubs.ConsumerClientOptions{RetryOptions: noRetry})
}

// testTLS is a server configuration for sim.test and a client configuration that trusts it.
func testTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	h := httptest.NewUnstartedServer(nil)
	h.StartTLS()
	defer h.Close()
	pool := x509.NewCertPool()
	pool.AddCert(h.Certificate())
	// The certificate of httptest is for example.com.
	return &tls.Config{Certificates: h.TLS.Certificates, MinVersion: tls.VersionTLS12}, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// TestTLSRoutesByName has the same hub in two namespaces; the client's namespace chooses, by server name and hostname.
func TestTLSRoutesByName(t *testing.T) {
	cfg := testConfig(1)
	second := cfg.Namespaces[0]
	second.Name, second.Hosts = "second.test", []string{"example.com"}
	cfg.Namespaces = append(cfg.Namespaces, second)
	s, err := eventhubs.New(cfg, eventhubs.Settings{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	server, client := testTLS(t)
	address := serve(t, s, func(ln net.Listener) net.Listener { return tls.NewListener(ln, server) })
	connection, err := s.ConnectionString("second.test", "example.com", false)
	require.NoError(t, err)
	sendAndRead(t, connection,
		azeventhubs.ProducerClientOptions{CustomEndpoint: address, TLSConfig: client, RetryOptions: noRetry},
		azeventhubs.ConsumerClientOptions{CustomEndpoint: address, TLSConfig: client, RetryOptions: noRetry})
	for name, want := range map[string]int64{"sim.test": 0, "second.test": 1} {
		h, err := s.Hub(name, "hub")
		require.NoError(t, err)
		require.Equal(t, want, h.State().Partitions[0].EventsIn, name)
	}
}

func TestWebSocket(t *testing.T) {
	s, err := eventhubs.New(testConfig(1), eventhubs.Settings{})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(eventhubs.WebSocketPath, s.WebSocketHandler())
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	t.Cleanup(s.Close)
	dial := func(ctx context.Context, params azeventhubs.WebSocketConnParams) (net.Conn, error) {
		require.Equal(t, "wss://sim.test"+eventhubs.WebSocketPath, params.Host)
		//nolint:bodyclose // the library closes the body of an upgrade
		ws, _, err := websocket.Dial(ctx, h.URL+eventhubs.WebSocketPath, &websocket.DialOptions{Subprotocols: []string{"amqp"}})
		if err != nil {
			return nil, err
		}
		return websocket.NetConn(context.WithoutCancel(ctx), ws, websocket.MessageBinary), nil
	}
	sendAndRead(t, connectionAll, azeventhubs.ProducerClientOptions{NewWebSocketConn: dial, RetryOptions: noRetry},
		azeventhubs.ConsumerClientOptions{NewWebSocketConn: dial, RetryOptions: noRetry})
	response, err := http.Get(h.URL + eventhubs.WebSocketPath)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusUpgradeRequired, response.StatusCode)
}

func TestConnectionsAreBounded(t *testing.T) {
	cfg := testConfig(1)
	cfg.MaxConnections = 1
	s := newPipeServer(t, cfg, eventhubs.Settings{})
	first := dialRaw(t, s)
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	require.ErrorContains(t, s.ServeConn(t.Context(), server), "the bound")
	require.NoError(t, first.nc.Close())
	require.Eventually(t, func() bool { return s.State().OpenConnections == 0 }, waitFor, tick)
	dialRaw(t, s)
}

func TestClosedServerRefuses(t *testing.T) {
	s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
	c := dialRaw(t, s)
	s.Close()
	c.drain()
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	require.ErrorIs(t, s.ServeConn(t.Context(), server), eventhubs.ErrClosed)
}

// TestBrokenClients sends what no client should; the server answers with a close that says why.
func TestBrokenClients(t *testing.T) {
	begin := &wire.Begin{IncomingWindow: 1, OutgoingWindow: 1}
	frame := func(b []byte) func(*rawConn) { return func(c *rawConn) { c.write(b) } }
	tests := map[string]func(*rawConn){
		"frame too large":        frame([]byte{0x7f, 0, 0, 0, 2, 0, 0, 0}),
		"unknown performative":   frame([]byte{0, 0, 0, 12, 2, 0, 0, 0, 0, 0x53, 0x99, 0x45}),
		"SASL after open":        frame([]byte{0, 0, 0, 12, 2, 1, 0, 0, 0, 0x53, 0x41, 0x45}),
		"garbage":                frame([]byte{0, 0, 0, 12, 2, 0, 0, 0, 1, 2, 3, 4}),
		"attach without session": func(c *rawConn) { c.send(3, &wire.Attach{Name: "x"}) },
		"begin twice": func(c *rawConn) {
			c.send(3, begin)
			c.expect(begin)
			c.send(3, begin)
		},
		"flow for no link": func(c *rawConn) {
			c.send(3, begin)
			c.expect(begin)
			c.send(3, &wire.Flow{Handle: wire.Some[uint32](7), NextIncomingID: wire.Some[uint32](0)})
		},
		"transfer for no link": func(c *rawConn) {
			c.send(3, begin)
			c.expect(begin)
			c.write(wire.AppendDelivery(nil, wire.Delivery{Channel: 3, Handle: 9, Message: []byte{1}}, 512))
		},
		"open twice": func(c *rawConn) {
			c.send(3, begin)
			c.expect(begin)
			c.send(3, &wire.Open{})
		},
	}
	for name, breaks := range tests {
		t.Run(name, func(t *testing.T) {
			s := newPipeServer(t, testConfig(1), eventhubs.Settings{})
			c := dialRaw(t, s)
			breaks(c)
			if name == "frame too large" {
				c.drain() // the stream is lost, there is nothing to answer
				return
			}
			closed, ok := c.expect(&wire.Close{}).(*wire.Close)
			require.True(t, ok)
			require.Equal(t, "amqp:decode-error", closed.Error.Condition)
			c.send(0, &wire.Close{})
			c.drain()
		})
	}
}

// FuzzServe throws bytes at the server, from the first one and after a sound beginning.
func FuzzServe(f *testing.F) {
	var start []byte
	start = append(start, wire.HeaderAMQP...)
	start = wire.AppendFrame(start, wire.FrameAMQP, 0, &wire.Open{Hostname: "sim.test", ChannelMax: 9})
	start = wire.AppendFrame(start, wire.FrameAMQP, 0, &wire.Begin{IncomingWindow: 10, OutgoingWindow: 10, HandleMax: 9})
	attach := wire.AppendFrame(start, wire.FrameAMQP, 0, &wire.Attach{
		Name: "a", Source: wire.Terminus{Present: true, Address: "x"}, Target: wire.Terminus{Present: true, Address: "$cbs"},
	})
	f.Add([]byte("AMQP\x03\x01\x00\x00"))
	f.Add(start)
	f.Add(wire.AppendDelivery(attach, wire.Delivery{Message: wire.AppendDataSection(nil, []byte("x"))}, 512))
	s, err := eventhubs.New(testConfig(1), eventhubs.Settings{})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		client, server := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(context.WithoutCancel(t.Context()), server) }()
		read := make(chan struct{})
		go func() {
			defer close(read)
			buf := make([]byte, 4096)
			for {
				if _, err := client.Read(buf); err != nil {
					return
				}
			}
		}()
		_, _ = client.Write(data)
		_ = client.Close()
		if err := <-done; err != nil {
			t.Log(err)
		}
		<-read
	})
}
