package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

const natsChild = "E2E_NATS_CHILD"

func runNATS(out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var o struct {
		Dir, Listen string
		Bytes       int
	}
	if err := json.Unmarshal([]byte(os.Getenv(natsChild)), &o); err != nil {
		return err
	}
	cfg := natsserver.DefaultConfig()
	cfg.Listen = o.Listen
	if o.Bytes > 0 {
		cfg.Topology.Streams = map[string]bus.Limits{eventv1.EventStream: {MaxBytes: config.Bytes(o.Bytes)}}
	}
	s, err := natsserver.New(cfg, natsserver.Settings{Store: filepath.Join(o.Dir, "nats"), Credentials: filepath.Join(o.Dir, "credentials"), Logger: slog.New(slog.NewJSONHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "{}\n")
	<-ctx.Done()
	s.Shutdown()
	return nil
}

func (w *world) configureNATS(t *testing.T, o options) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	text, err := json.Marshal(map[string]any{"Dir": w.dir, "Listen": w.natsAddress, "Bytes": o.eventBytes})
	require.NoError(t, err)
	w.nats.command.Path = self
	w.nats.command.Env = []string{natsChild + "=" + string(text)}
}
