// Package apptest gives tests what app gives to services.
package apptest

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/app"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/lifecycle"
)

// Settings returns settings whose logs are the test's, from debug on, with a registry of its
// own and the real clock. The service must have stopped when the test ends.
func Settings(tb testing.TB) app.Settings {
	tb.Helper()
	return app.Settings{
		Logger:   slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registry: prometheus.NewRegistry(),
		Clock:    clock.Real(),
		Version:  "test",
		Drain:    lifecycle.DefaultDrain,
	}
}
