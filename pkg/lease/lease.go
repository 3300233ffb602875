// Package lease lets one of several instances of a service do what only one may do.
//
// It reads and writes the KV bucket leases, each service under its own name. A lease expires by the
// bucket's TTL unless it is renewed; its holder stops at half the TTL by its own monotonic clock,
// without asking anyone. A clock can stop with its process, so holding a lease proves nothing
// to others: each write made under one carries its revision as a fence (Cursor), and a holder that was
// stopped and comes back changes nothing.
package lease

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/entraflow/entraflow/pkg/bus"
)

var (
	// ErrTaken is returned by TryAcquire if someone else holds the lease.
	ErrTaken = errors.New("lease taken")
	// ErrLost is returned for what needs a lease that is no longer held.
	ErrLost = errors.New("lease lost")
)

const (
	// renewals is how often a lease is renewed in its TTL; a holder survives two that fail.
	renewals = 6
	// polls is how often whoever waits tries in a TTL.
	polls          = 4
	requestTimeout = 2 * time.Second
)

// Settings say which lease, and for whom.
type Settings struct {
	// Name is the lease's within the service.
	Name string
	// Holder is who holds it, for people who look: the instance's host and process.
	Holder string
}

// Lease is held from Acquire until Release or until it is lost. It is safe for concurrent use. Whoever
// acquired it must release it, held or lost.
type Lease struct {
	kv               jetstream.KeyValue
	key              string
	value            []byte
	ttl              time.Duration
	fence            uint64
	lost             chan struct{}
	stop             chan struct{}
	ended            chan struct{}
	losing, stopping sync.Once

	mu       sync.Mutex
	revision uint64    // of the last renewal
	renewed  time.Time // when that was sent, not when it was answered
}

// Acquire waits until the lease is free, at most a TTL after its holder has died, and takes it.
func Acquire(ctx context.Context, conn *bus.Conn, set Settings) (*Lease, error) {
	for {
		lease, wait, err := try(ctx, conn, set)
		if err == nil {
			return lease, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("acquiring lease %s: %w", set.Name, errors.Join(context.Cause(ctx), err))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// TryAcquire takes the lease if it is free, else it returns ErrTaken.
func TryAcquire(ctx context.Context, conn *bus.Conn, set Settings) (*Lease, error) {
	lease, _, err := try(ctx, conn, set)
	if err != nil {
		return nil, fmt.Errorf("acquiring lease %s: %w", set.Name, err)
	}
	return lease, nil
}

// Run acquires the lease, calls work and releases the lease. Work's context is cancelled with the cause
// ErrLost when the lease is lost; once work has returned Run waits for the lease again. It returns when
// work does so without the lease being lost, or when ctx is done.
func Run(ctx context.Context, conn *bus.Conn, set Settings, work func(context.Context, *Lease) error) error {
	for {
		lease, err := Acquire(ctx, conn, set)
		if err != nil {
			return err
		}
		err = lease.run(ctx, work)
		lease.Release(context.WithoutCancel(ctx)) // it is held until given back, whatever ctx says
		if !errors.Is(err, ErrLost) || ctx.Err() != nil {
			return err
		}
	}
}

func (l *Lease) run(ctx context.Context, work func(context.Context, *Lease) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-l.lost:
			cancel(ErrLost)
		case <-ctx.Done():
		}
	})
	err := work(ctx, l)
	cancel(nil)
	watching.Wait()
	if errors.Is(context.Cause(ctx), ErrLost) {
		return errors.Join(ErrLost, err)
	}
	return err
}

// Held reports whether the lease is held. Ask just before acting, not once for all.
func (l *Lease) Held() bool {
	select {
	case <-l.lost:
		return false
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.renewed) < l.ttl/2
}

// Lost is closed when the lease is no longer held, for whatever reason, release included.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Revision is the fence: greater than that of every holder before, and the same as long as the lease is held.
func (l *Lease) Revision() uint64 { return l.fence }

// Release gives the lease back, so that the next one need not wait for the TTL, and waits for the
// renewal to end. ctx bounds the giving back; if that fails the lease expires.
func (l *Lease) Release(ctx context.Context) {
	l.stopping.Do(func() { close(l.stop) })
	<-l.ended
	held := l.Held()
	l.lose()
	if !held {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_ = l.kv.Delete(ctx, l.key, jetstream.LastRevision(l.revision))
}

// try takes the lease if it can; wait is how long to wait before trying again.
func try(ctx context.Context, conn *bus.Conn, set Settings) (l *Lease, wait time.Duration, err error) {
	kv, err := conn.JetStream().KeyValue(ctx, bus.BucketLeases)
	if err != nil {
		return nil, requestTimeout, err
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return nil, requestTimeout, err
	}
	l = &Lease{
		kv: kv, key: bus.Key(conn.Service(), set.Name), value: []byte(set.Holder + " " + rand.Text()), ttl: status.TTL(),
		lost: make(chan struct{}), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	if l.ttl <= 0 {
		return nil, requestTimeout, errors.New("bucket leases has no ttl")
	}
	wait = l.ttl / polls
	l.renewed = time.Now()
	l.fence, err = kv.Create(ctx, l.key, l.value)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return nil, wait, ErrTaken
	}
	if err != nil {
		return nil, wait, err
	}
	l.revision = l.fence
	go l.renew(context.WithoutCancel(ctx))
	return l, 0, nil
}

// renew keeps the lease until it is lost or released.
func (l *Lease) renew(ctx context.Context) {
	defer close(l.ended)
	ticker := time.NewTicker(l.ttl / renewals)
	defer ticker.Stop()
	for l.Held() {
		select {
		case <-l.stop:
			return
		case <-ticker.C:
		}
		if err := l.renewOnce(ctx); errors.Is(err, ErrLost) {
			break
		}
	}
	l.lose()
}

// renewOnce returns ErrLost if someone else has the lease; any other error may pass.
func (l *Lease) renewOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, min(l.ttl/renewals, requestTimeout))
	defer cancel()
	sent := time.Now()
	revision, err := l.kv.Update(ctx, l.key, l.value, l.revision)
	if bus.WrongRevision(err) {
		return l.reread(ctx)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revision, l.renewed = revision, sent
	return nil
}

// reread finds out who changed the lease: a renewal of ours whose answer was lost, or someone else.
func (l *Lease) reread(ctx context.Context) error {
	entry, err := l.kv.Get(ctx, l.key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return ErrLost
	case err != nil:
		return err
	case !bytes.Equal(entry.Value(), l.value):
		return ErrLost
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revision = entry.Revision() // when it was sent is not known: it counts from the next one
	return nil
}

func (l *Lease) lose() { l.losing.Do(func() { close(l.lost) }) }
