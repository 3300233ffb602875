// Package telemetry is what a service shows of itself: logs, metrics, health, its redacted
// config, and the trace context that travels in message headers.
//
// It writes logs to the writer it is given and serves HTTP through a handler its caller
// listens for. It has no global logger, registry or tracer, and never shows a secret.
package telemetry

import (
	"io"
	"log/slog"

	"github.com/entraflow/entraflow/pkg/config"
)

// Log formats.
const (
	FormatJSON = "json"
	FormatText = "text"
)

// LogConfig says what is logged and how.
type LogConfig struct {
	// Level is the lowest level that is logged: debug, info, warn or error.
	Level slog.Level `yaml:"level"`
	// Format is json or text.
	Format string `yaml:"format"`
}

// DefaultLogConfig logs from info on as JSON.
func DefaultLogConfig() LogConfig { return LogConfig{Level: slog.LevelInfo, Format: FormatJSON} }

// Validate checks the format; a wrong level does not decode.
func (c LogConfig) Validate() error {
	var p config.Problems
	p.Check(c.Format == FormatJSON || c.Format == FormatText, "format", "must be json or text")
	return p.Err()
}

// NewLogger returns a logger that writes to w, one line a record.
func NewLogger(w io.Writer, c LogConfig) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == FormatText {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
