// Package fleet reads the Event Hubs that integrations name, beside those of the config, and tests their connections.
//
// It watches the bucket integrations and runs a hub.Hub for each that is an Event Hub and not disabled. It opens
// credentials with the master key, keeps them in memory while their hub is read, and writes nothing.
package fleet

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/integrations"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	"github.com/entraflow/entraflow/services/streamer/internal/hub"
)

// Settings are what a fleet is given. Nothing in it is closed here.
type Settings struct {
	Conn       *bus.Conn
	Keys       *Keys
	Namespaces Namespaces
	Tuning     hub.Tuning
	Shared     hub.Settings
	// Configured are the hubs of the config, which others read; an integration that names one is not read.
	Configured []hub.Config
}

// Fleet is the readers of all integrations. Run may be called once.
type Fleet struct {
	set     Settings
	readers map[string]*reader // by integration; only Run's goroutine touches it
	tasks   sync.WaitGroup
	claims  claims
}

// New returns a fleet. It opens nothing.
func New(set Settings) *Fleet {
	f := &Fleet{set: set, readers: make(map[string]*reader), claims: claims{owners: make(map[[3]string]string)}}
	for _, cfg := range set.Configured {
		f.claims.take(identityOf(cfg), "the config")
	}
	return f
}

// Run reads until ctx is done, and then as hub.Hub's Run waits for what is in flight, for as long as lasting is not
// done. It waits for NATS and tries again whatever goes wrong.
func (f *Fleet) Run(ctx, lasting context.Context) {
	defer f.tasks.Wait()
	for ctx.Err() == nil {
		err := f.watch(ctx, lasting)
		if ctx.Err() != nil {
			return
		}
		f.set.Shared.Logger.Warn("watching integrations failed", slog.Any("err", err))
		pause(ctx, f.set.Tuning.BackOff.Last)
	}
}

func (f *Fleet) watch(ctx, lasting context.Context) error {
	store, err := integrations.Open(ctx, f.set.Conn, nil)
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	return store.Watch(ctx, func(c integrations.Change) {
		switch {
		case c.Err != nil:
			f.set.Shared.Logger.Warn("integration cannot be read", slog.String("integration", c.ID), slog.Any("err", c.Err))
			seen[c.ID] = true
		case c.ID != "":
			seen[c.ID] = true
			f.apply(ctx, lasting, c)
		default:
			// What went while nobody watched is not told.
			for id, reader := range f.readers {
				if !seen[id] && reader.connection != nil {
					f.apply(ctx, lasting, integrations.Change{ID: id})
				}
			}
		}
	})
}

// apply starts, stops or replaces the reader of one integration. It waits for none.
func (f *Fleet) apply(ctx, lasting context.Context, c integrations.Change) {
	old := f.readers[c.ID]
	wanted := c.Record != nil && c.Record.Integration.GetEventHub() != nil && !c.Record.Integration.GetDisabled()
	if old != nil && wanted && old.reads(c.Record) {
		return
	}
	var gone <-chan struct{}
	if old != nil {
		old.stop()
		gone = old.done
	}
	if !wanted {
		if old != nil && old.connection != nil {
			f.set.Shared.Logger.Info("hub of an integration is no longer read", slog.String("integration", c.ID))
			// Whoever takes its place waits until it is gone.
			old.connection = nil
		}
		return
	}
	reading, stop := context.WithCancel(ctx)
	next := &reader{
		fleet: f, record: *c.Record, connection: c.Record.Integration.GetEventHub(), stop: stop, done: make(chan struct{}),
	}
	f.readers[c.ID] = next
	f.tasks.Go(func() {
		defer stop()
		defer close(next.done)
		shared := f.set.Shared
		if gone != nil {
			<-gone
			shared.StepBack = false // the one before did
		}
		next.run(reading, lasting, shared)
	})
}

// reader reads the hub of one integration as it is at one time.
type reader struct {
	fleet      *Fleet
	record     integrations.Record
	connection *controlv1.EventHubConnection // nil once it was told to stop
	stop       context.CancelFunc
	done       chan struct{}
}

// reads reports whether it reads what the record says: a new display name changes nothing.
func (r *reader) reads(record *integrations.Record) bool {
	return r.connection != nil && proto.Equal(r.connection, record.Integration.GetEventHub()) && bytes.Equal(r.record.Sealed, record.Sealed)
}

// run reads until ctx is done. While the hub cannot even be tried, for want of a key or since another reads it, it tries
// again.
func (r *reader) run(ctx, lasting context.Context, shared hub.Settings) {
	set := r.fleet.set
	log := shared.Logger.With(slog.String("integration", r.record.ID))
	said := ""
	for ctx.Err() == nil {
		cfg, err := r.open(ctx)
		if err == nil {
			defer r.fleet.claims.give(identityOf(cfg), r.record.ID)
			log.Info("hub of an integration is read", slog.String("hub", identityOf(cfg)[1]))
			publishing, cancel := r.lasting(ctx, lasting)
			defer cancel()
			hub.New(cfg, set.Tuning, shared).Run(ctx, publishing)
			return
		}
		if ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			log.Warn("hub of an integration cannot be read", slog.Duration("retry_in", set.Tuning.BackOff.Last), slog.Any("err", err))
		}
		pause(ctx, set.Tuning.BackOff.Last)
	}
}

// open opens the credential and claims the hub.
func (r *reader) open(ctx context.Context) (hub.Config, error) {
	sealer, err := r.fleet.set.Keys.sealer(ctx)
	if err != nil {
		return hub.Config{}, err
	}
	credential, err := integrations.OpenCredential(ctx, sealer, r.record.Sealed, integrations.Name(r.record.ID))
	if err != nil {
		return hub.Config{}, err
	}
	cfg, err := r.fleet.set.Namespaces.configOf(r.record.ID, r.record.Integration, credential)
	if err != nil {
		return hub.Config{}, err
	}
	if owner := r.fleet.claims.take(identityOf(cfg), r.record.ID); owner != r.record.ID {
		return hub.Config{}, errors.New("its hub and consumer group are read already, for " + owner)
	}
	return cfg, nil
}

// lasting ends a while after ctx, and with the streamer's own.
func (r *reader) lasting(ctx, lasting context.Context) (context.Context, context.CancelFunc) {
	publishing, cancel := context.WithCancel(lasting)
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(r.fleet.set.Tuning.DrainTimeout, cancel)
		context.AfterFunc(publishing, func() { timer.Stop() })
	})
	return publishing, func() {
		stop()
		cancel()
	}
}

// claims say who reads a hub in a consumer group: two readers of one streamer would take it from each other for ever.
type claims struct {
	mu     sync.Mutex
	owners map[[3]string]string
}

// take returns the owner, who is the new one unless there was another.
func (c *claims) take(identity [3]string, owner string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if taken, ok := c.owners[identity]; ok {
		return taken
	}
	c.owners[identity] = owner
	return owner
}

func (c *claims) give(identity [3]string, owner string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owners[identity] == owner {
		delete(c.owners, identity)
	}
}

// identityOf is namespace, hub and consumer group; Azure's names know no case.
func identityOf(c hub.Config) [3]string {
	namespace, name := c.Name()
	return [3]string{strings.ToLower(namespace), strings.ToLower(name), strings.ToLower(c.ConsumerGroup)}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
