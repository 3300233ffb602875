package natsserver

import (
	"fmt"
	"log/slog"
	"sync/atomic"
)

// logger passes on what nats-server has to say to people: its notices are ours to make. It keeps the last
// thing that nats-server calls fatal, which Start reports.
type logger struct {
	to    *slog.Logger
	fatal atomic.Pointer[string]
}

func (l *logger) Noticef(format string, args ...any) {
	l.to.Debug("nats-server notes", slog.String("text", fmt.Sprintf(format, args...)))
}

func (l *logger) Warnf(format string, args ...any) {
	l.to.Warn("nats-server warns", slog.String("text", fmt.Sprintf(format, args...)))
}

func (l *logger) Errorf(format string, args ...any) {
	l.to.Error("nats-server reports an error", slog.String("text", fmt.Sprintf(format, args...)))
}

func (l *logger) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.fatal.Store(&text)
	l.to.Error("nats-server gives up", slog.String("text", text))
}

func (l *logger) Debugf(string, ...any) {}

func (l *logger) Tracef(string, ...any) {}
