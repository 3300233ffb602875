package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
	"github.com/entraflow/entraflow/pkg/telemetry"
)

var errInterrupted = errors.New("stopped by a second signal")

// run builds and runs the service until it ends or is asked to stop. It logs everything about
// that; the error is for the exit code.
func run[C any](ctx context.Context, p Process, s Service[C], l *loaded[C]) error {
	if s.Prepare != nil {
		if err := s.Prepare(l.own, &l.app); err != nil {
			return UsageError{fmt.Errorf("preparing to run: %w", err)}
		}
	}
	registry := telemetry.NewRegistry()
	set := Settings{
		Logger:   telemetry.NewLogger(p.Stderr, l.app.Log),
		Registry: registry,
		Clock:    l.app.Clock.clock(),
		Version:  Version(),
		Drain:    l.app.DrainTimeout,
	}.For(s.Name)
	service, err := s.New(l.own, set)
	if err != nil {
		return UsageError{err}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := runner{log: set.Logger, began: time.Now(), about: []any{
		slog.String("version", set.Version), slog.String("config_hash", config.Hash(l.rendered)),
	}}
	// Data flows from the service to whoever watches it: the admin server is up first, and
	// last.
	r.admin = newAdmin(l.app.Admin.Address, telemetry.Admin{
		Gatherer: registry, Ready: func() bool { return ctx.Err() == nil && isClosed(lifecycle.Ready(service)) },
		Config: l.rendered, ConfigDiff: l.diff, Token: l.app.Admin.Token,
	})
	r.group = lifecycle.NewGroup(set.Drain, finite{service, stop}, r.admin)
	r.log.Info("started", r.about...)
	if len(l.report.UnknownEnv) > 0 {
		r.log.Warn("environment variables set no key", slog.Any("names", l.report.UnknownEnv))
	}
	return r.watch(ctx, stop, p.Signals)
}

// runner is a service that runs.
type runner struct {
	log   *slog.Logger
	about []any
	began time.Time
	group *lifecycle.Group
	admin *admin
}

// watch runs the group until it ends or a second signal says not to wait for that.
func (r *runner) watch(ctx context.Context, stop func(), signals <-chan os.Signal) error {
	done := make(chan error, 1)
	go func() { done <- r.group.Run(ctx) }()
	ready, stopping := r.group.Ready(), ctx.Done()
	signalled := false
	for {
		select {
		case err := <-done:
			return r.stopped(err)
		case <-ready:
			ready = nil
			r.log.Info("ready", slog.String("admin_address", r.admin.addr()),
				slog.Duration("duration", time.Since(r.began)))
		case <-stopping:
			stopping = nil
			r.log.Info("stopping")
		case <-signals:
			if signalled {
				return r.stopped(errInterrupted)
			}
			signalled = true
			stop()
		}
	}
}

func (r *runner) stopped(err error) error {
	attrs := append(r.about, slog.Duration("duration", time.Since(r.began)))
	if err != nil {
		r.log.Error("stopped", append(attrs, slog.Any("err", err))...)
		return errLogged
	}
	r.log.Info("stopped", attrs...)
	return nil
}

// finite is a service whose clean end is the program's: it asks the rest to stop, too.
type finite struct {
	lifecycle.Service
	stop func()
}

func (f finite) Ready() <-chan struct{} { return lifecycle.Ready(f.Service) }

func (f finite) Run(ctx context.Context) error {
	err := f.Service.Run(ctx)
	if err == nil {
		f.stop()
	}
	return err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
