package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// abandonGrace is what services have to return in once their draining context was cancelled.
const abandonGrace = time.Second

// Group runs services that stand in one flow of data.
type Group struct {
	budget   time.Duration
	services []Service
	ready    chan struct{}
	used     atomic.Bool
}

// NewGroup returns a group of services, listed left to right along the flow of the data, so
// the one that takes from outside comes first. All of them together drain within budget.
func NewGroup(budget time.Duration, services ...Service) *Group {
	return &Group{budget: budget, services: services, ready: make(chan struct{})}
}

// Ready is closed once every service is ready.
func (g *Group) Ready() <-chan struct{} { return g.ready }

// Run starts the services right to left, each when its right neighbour is ready, and stops
// them left to right, each when its left neighbour has returned: when ctx is done, or as soon
// as one of them returns. It returns nil after a clean stop, else the joined errors of the
// services, each with its name: their own, ErrEnded, ErrDrainBudget, or a panic with its
// stack. All services have returned by then, but for those that failed with ErrDrainBudget.
func (g *Group) Run(ctx context.Context) error {
	if g.used.Swap(true) {
		return ErrReused
	}
	drain, cancel := draining(ctx)
	defer cancel(context.Canceled)

	ended := make(chan struct{}, len(g.services))
	members, started := g.start(context.WithValue(ctx, drainKey{}, drain), ended)
	if started {
		close(g.ready)
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
	expire(drain, cancel, g.budget)
	return stop(drain, members)
}

// start returns what was started, left to right, and whether that is everything.
func (g *Group) start(ctx context.Context, ended chan struct{}) ([]*member, bool) {
	members := make([]*member, len(g.services))
	for i := len(g.services) - 1; i >= 0; i-- {
		members[i] = launch(ctx, g.services[i], ended)
		if !members[i].awaitReady(ctx, ended) {
			return members[i:], false
		}
	}
	return members, true
}

// stop asks each member to stop once its left neighbour has. When drain ends first it asks
// all that remain, and leaves behind those that do not return within the grace.
func stop(drain context.Context, members []*member) error {
	for _, m := range members {
		m.cancel()
		select {
		case <-m.done:
		case <-drain.Done():
		}
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(drain), abandonGrace)
	defer cancel()
	var errs []error
	for _, m := range members {
		errs = append(errs, m.result(grace))
	}
	return errors.Join(errs...)
}

// member is a service that was started.
type member struct {
	service Service
	cancel  context.CancelFunc
	done    chan struct{} // closed when the service has returned
	err     error         // set before done is closed
}

// launch runs s in a goroutine that stop waits for. The context of s is cancelled by its
// member alone, not with ctx: the order of stopping depends on it.
func launch(ctx context.Context, s Service, ended chan<- struct{}) *member {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m := &member{service: s, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer func() { ended <- struct{}{} }()
		defer close(m.done)
		err := runRecovered(own, s)
		if err == nil && own.Err() == nil && ctx.Err() == nil {
			err = ErrEnded
		}
		if err != nil {
			m.err = fmt.Errorf("%s: %w", s.Name(), err)
		}
	}()
	return m
}

// awaitReady reports whether m got ready before ctx was done and before any member ended.
func (m *member) awaitReady(ctx context.Context, ended <-chan struct{}) bool {
	select {
	case <-Ready(m.service):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	case <-ended:
		return false
	}
}

// result waits for m to return, until grace is over, and returns its error.
func (m *member) result(grace context.Context) error {
	select {
	case <-m.done:
		return m.err
	case <-grace.Done():
	}
	// A neighbour may have used up the grace: m can have returned long ago.
	select {
	case <-m.done:
		return m.err
	default:
		return fmt.Errorf("%s: %w", m.service.Name(), ErrDrainBudget)
	}
}

// runRecovered turns a panic of s into an error with its stack.
func runRecovered(ctx context.Context, s Service) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return s.Run(ctx)
}
