package natsserver

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats-server/v2/server"
)

// plaintextPasswords is said at every start. It is about passwords that people choose and keep in a
// configuration; ours are random, and only in memory and in files that their owner alone can open.
const plaintextPasswords = "Plaintext passwords detected, use nkeys or bcrypt"

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
	if format == plaintextPasswords {
		return
	}
	l.to.Warn("nats-server warns", slog.String("text", fmt.Sprintf(format, args...)))
}

func (l *logger) Errorf(format string, args ...any) {
	if isRefusal(format, args) {
		l.Warnf(format, args...)
		return
	}
	l.to.Error("nats-server reports an error", slog.String("text", fmt.Sprintf(format, args...)))
}

func (l *logger) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.fatal.Store(&text)
	l.to.Error("nats-server gives up", slog.String("text", text))
}

// isRefusal reports whether nats-server says that a client is not who it claims to be: a fault of the
// client, not of the server, and one that whoever reaches the listener can make.
func isRefusal(format string, args []any) bool {
	if len(args) == 0 { // the client named no user
		return strings.HasSuffix(format, server.ErrAuthentication.Error())
	}
	err, ok := args[0].(error)
	return ok && errors.Is(err, server.ErrAuthentication)
}

func (l *logger) Debugf(string, ...any) {}

func (l *logger) Tracef(string, ...any) {}
