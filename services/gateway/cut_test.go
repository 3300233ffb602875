package gateway_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/gateway"
)

// wire is a way to a server that can be cut.
type wire struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: listener}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to) //nolint:noctx // a test's own
			if err != nil {
				_ = client.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, client, server)
			w.mu.Unlock()
			tasks.Go(func() { _, _ = io.Copy(server, client) })
			tasks.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		w.cut()
		tasks.Wait()
	})
	return w
}

// cut breaks what is open: bytes on the way are lost.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}

// The server counts what it sent into a broken connection as delivered. The subscription notices.
func TestNothingIsLostOnABrokenWire(t *testing.T) {
	var broken *wire
	w := prepareWorld(t)
	broken = newWire(t, strings.TrimPrefix(w.bus.Server.URL(), "nats://"))
	w.cfg.NATS.URL = "nats://" + broken.listener.Addr().String()
	w.cfg.Subscribe = gateway.DefaultConfig().Subscribe
	w.cfg.Subscribe.KeepAlive, w.cfg.Subscribe.Buffer, w.cfg.Subscribe.BatchEvents = 500*time.Millisecond, 20, 5
	w.start(t)
	s := w.subscribe(t, &controlv1.SubscribeRequest{Kinds: []string{"signin"}, IncludeRaw: true})

	const events, cuts = 600, 6
	p := w.publisher(t)
	var want []string
	for n := range events {
		want = append(want, fmt.Sprint(n))
		e := signIn(fmt.Sprint(n), tenantA)
		e.Raw = make([]byte, 4096)
		publish(t, p, e, audit(fmt.Sprint("audit", n), tenantA))
		if n%(events/cuts) == events/cuts/2 {
			// Read some, so that the cut falls into a delivery.
			_, err := s.receive(t)
			require.NoError(t, err)
			broken.cut()
		}
	}
	require.Equal(t, want, s.names(t, events))
}
