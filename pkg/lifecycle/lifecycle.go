// Package lifecycle runs services: it starts them against the flow of the data and stops
// them with it, so that whoever reads is up before whoever writes and everything in flight
// is drained before its reader goes.
//
// It reads and writes nothing itself, it never logs and never ends the process: everything
// that goes wrong is in the error of Group.Run.
package lifecycle

import (
	"context"
	"errors"
	"time"
)

// DefaultDrain is the time a program has from being asked to stop until it is stopped.
// Kubernetes kills after 30 seconds.
const DefaultDrain = 25 * time.Second

var (
	// ErrDrainBudget is the cause of a draining context whose time is over, and the error
	// of a service that did not return in time.
	ErrDrainBudget = errors.New("drain budget exceeded")
	// ErrEnded is the error of a service that returned nil without being asked to stop.
	ErrEnded = errors.New("ended without being asked to")
	// ErrReused is returned by the second call of Group.Run.
	ErrReused = errors.New("group was run before")
)

// Service is a part of a program that runs until it is asked to stop.
type Service interface {
	// Name is a short lower-case word, the same for every instance of the service.
	Name() string
	// Run opens what the service needs, works until ctx is done, then takes nothing new,
	// finishes what it holds under Draining(ctx), closes what it opened, waits for its
	// goroutines and returns nil. It returns an error if it cannot do its work or lost some.
	// It is called once.
	Run(ctx context.Context) error
}

// Readier is implemented by a Service that needs time before it can do its work. Others are
// ready as soon as Run was called.
type Readier interface {
	// Ready is closed once the service does its work. It is the same channel in every call
	// and may be asked for before Run.
	Ready() <-chan struct{}
}

// Ready returns the channel that is closed once s is ready; it is closed already if s is no
// Readier.
func Ready(s Service) <-chan struct{} {
	if readier, ok := s.(Readier); ok {
		return readier.Ready()
	}
	ready := make(chan struct{})
	close(ready)
	return ready
}

type drainKey struct{}

// Draining returns a context for the work left when ctx is done: flushing, acknowledging,
// checkpointing. It has the values of ctx, outlives it, and is cancelled with the cause
// ErrDrainBudget when the budget of the Group that runs the service is used up; outside a
// Group that is DefaultDrain after ctx was done. The caller must call the cancel function.
func Draining(ctx context.Context) (context.Context, context.CancelFunc) {
	drain, cancel := draining(ctx)
	return drain, func() { cancel(context.Canceled) }
}

func draining(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	drain, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var release func() bool
	if budget, ok := ctx.Value(drainKey{}).(context.Context); ok {
		release = context.AfterFunc(budget, func() { cancel(context.Cause(budget)) })
	} else {
		release = context.AfterFunc(ctx, func() { expire(drain, cancel, DefaultDrain) })
	}
	context.AfterFunc(drain, func() { release() })
	return drain, cancel
}

// expire ends drain once the budget is used up; the timer goes with the context.
func expire(drain context.Context, cancel context.CancelCauseFunc, budget time.Duration) {
	timer := time.AfterFunc(budget, func() { cancel(ErrDrainBudget) })
	context.AfterFunc(drain, func() { timer.Stop() })
}

// OrDone turns an error into nil if ctx was done: being stopped early is no failure.
func OrDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
