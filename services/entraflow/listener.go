package entraflow

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/entraflow/entraflow/pkg/clickhouse/embedded"
)

// storeListener serves the ClickHouse HTTP interface of the embedded engine, as a lifecycle.Service.
type storeListener struct {
	address  string
	engine   *embedded.Engine
	drain    time.Duration
	listener net.Listener // set before ready is closed; nil if there is none
	ready    chan struct{}
}

func newStoreListener(address string, engine *embedded.Engine, drain time.Duration) *storeListener {
	return &storeListener{address: address, engine: engine, drain: drain, ready: make(chan struct{})}
}

func (l *storeListener) Name() string { return "clickhouse" }

func (l *storeListener) Ready() <-chan struct{} { return l.ready }

// Run serves until ctx is done, then lets running statements end.
func (l *storeListener) Run(ctx context.Context) error {
	if l.address == "" {
		close(l.ready)
		<-ctx.Done()
		return nil
	}
	var err error
	if l.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", l.address); err != nil {
		return fmt.Errorf("listening for clickhouse clients: %w", err)
	}
	close(l.ready)
	return embedded.Serve(ctx, l.listener, l.engine, l.drain)
}

// addr is where it listens, or nil. It must be ready.
func (l *storeListener) addr() net.Addr {
	if l.listener == nil {
		return nil
	}
	return l.listener.Addr()
}
