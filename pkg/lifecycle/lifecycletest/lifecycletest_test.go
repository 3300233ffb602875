package lifecycletest_test

import (
	"context"
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/lifecycle/lifecycletest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listener is the smallest service that opens something.
type listener struct{ ready chan struct{} }

func (l *listener) Name() string           { return "listener" }
func (l *listener) Ready() <-chan struct{} { return l.ready }

func (l *listener) Run(ctx context.Context) error {
	var config net.ListenConfig
	socket, err := config.Listen(context.WithoutCancel(ctx), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	close(l.ready)
	<-ctx.Done()
	return socket.Close()
}

func TestASoundServicePasses(t *testing.T) {
	lifecycletest.Run(t, func(*testing.T) lifecycle.Service {
		return &listener{ready: make(chan struct{})}
	})
}
