package natsserver_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
)

// A refused client is worth a warning each, and a start is worth none.
func TestLogOfRefusedClients(t *testing.T) {
	var logged bytes.Buffer // its handler locks; it is read after Shutdown
	set := settings(t)
	set.Logger = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg := natsserver.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	server, err := natsserver.New(cfg, set)
	require.NoError(t, err)
	require.NoError(t, server.Start(t.Context()))
	defer server.Shutdown()
	_, err = nats.Connect(server.URL(), nats.UserInfo(bus.UserSink, "wrong"))
	require.ErrorIs(t, err, nats.ErrAuthorization)
	_, err = nats.Connect(server.URL())
	require.ErrorIs(t, err, nats.ErrAuthorization)
	server.Shutdown()

	var levels, texts []string
	for lines := json.NewDecoder(&logged); lines.More(); {
		var line struct{ Level, Text string }
		require.NoError(t, lines.Decode(&line))
		levels, texts = append(levels, line.Level), append(texts, line.Text)
	}
	require.Equal(t, []string{"WARN", "WARN"}, levels, texts)
	require.Regexp(t, `authentication error - User "sink"$`, texts[0])
	require.Regexp(t, `authentication error$`, texts[1])
}
