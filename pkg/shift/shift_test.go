package shift_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/bustest"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/seal"
	"github.com/entraflow/entraflow/pkg/shift"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const patience = 20 * time.Second

// happening is what a worker or the shift was told to do.
type happening struct{ what, id string }

// worker tells what happens to it.
type worker struct {
	record integrations.Record
	told   chan<- happening
}

func (w *worker) Set(r integrations.Record) { w.told <- happening{"set", r.ID} }

func (w *worker) Run(ctx context.Context, held *lease.Lease) error {
	if !held.Held() {
		w.told <- happening{"no lease", w.record.ID}
	}
	w.told <- happening{"begun", w.record.ID}
	<-ctx.Done()
	w.told <- happening{"ended", w.record.ID}
	return nil
}

func entraOf(name string) *controlv1.Integration {
	return &controlv1.Integration{DisplayName: name, Connection: &controlv1.Integration_Entra{Entra: &controlv1.EntraConnection{TenantId: "t"}}}
}

func hubOf() *controlv1.Integration {
	return &controlv1.Integration{Connection: &controlv1.Integration_EventHub{EventHub: &controlv1.EventHubConnection{}}}
}

func TestShiftWorksForWhatConcernsIt(t *testing.T) {
	b := bustest.New(t)
	sealer, err := seal.Open(t.Context(), seal.Config{KeyFile: filepath.Join(t.TempDir(), "seal.key")})
	require.NoError(t, err)
	defer sealer.Close()
	store, err := integrations.Open(t.Context(), b.Connect(t, bus.UserGateway), sealer)
	require.NoError(t, err)
	secret := &controlv1.Credential{Kind: &controlv1.Credential_ClientSecret{ClientSecret: "s"}}
	make1 := func(id string, i *controlv1.Integration) integrations.Record {
		record, err := store.Create(t.Context(), id, i, secret)
		require.NoError(t, err)
		return record
	}
	first := make1("first", entraOf("1"))
	make1("hub", hubOf())

	told := make(chan happening, 100)
	begin := func(user string) (stop func()) {
		conn := b.Connect(t, user)
		known, err := integrations.Open(t.Context(), conn, sealer)
		require.NoError(t, err)
		s := shift.New(shift.Settings{
			Conn: conn, Instance: "one", Integrations: known, Logger: slog.New(slog.DiscardHandler),
			Concerns:  func(r integrations.Record) bool { return r.Integration.GetEntra() != nil },
			NewWorker: func(r integrations.Record) shift.Worker { return &worker{r, told} },
			Forget:    func(_ context.Context, id string) error { told <- happening{"forget", id}; return nil },
			Known:     func() { told <- happening{what: "known"} },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var ended error
		running.Go(func() { ended = s.Run(ctx) })
		return func() {
			cancel()
			running.Wait()
			require.NoError(t, ended)
		}
	}
	next := func() happening {
		select {
		case h := <-told:
			return h
		case <-time.After(patience):
			require.FailNow(t, "nothing happens")
			return happening{}
		}
	}
	stop := begin(bus.UserCollector)
	require.Equal(t, happening{what: "known"}, next())
	require.Equal(t, happening{"begun", "first"}, next())

	// Another service does its own work for the same integration, under a lease of its own.
	stopOther := begin(bus.UserStreamer)
	require.Equal(t, happening{what: "known"}, next())
	require.Equal(t, happening{"begun", "first"}, next())
	stopOther()
	require.Equal(t, happening{"ended", "first"}, next())

	first, err = store.Update(t.Context(), first, entraOf("2"), nil)
	require.NoError(t, err)
	require.Equal(t, happening{"set", "first"}, next())
	second := make1("second", entraOf("3"))
	require.Equal(t, happening{"begun", "second"}, next())
	_, err = store.Update(t.Context(), second, hubOf(), nil)
	require.NoError(t, err)
	require.Equal(t, happening{"ended", "second"}, next(), "it concerns the shift no more")
	require.NoError(t, store.Delete(t.Context(), first))
	require.Equal(t, happening{"ended", "first"}, next())
	require.Equal(t, happening{"forget", "first"}, next(), "after the worker has ended")
	make1("third", entraOf("4"))
	require.Equal(t, happening{"begun", "third"}, next())
	stop()
	require.Equal(t, happening{"ended", "third"}, next())
	require.Empty(t, told)
}

func TestInstance(t *testing.T) {
	require.Equal(t, "mine", shift.Instance("mine", "collector"))
	require.Regexp(t, "-[0-9]+$", shift.Instance("", "collector"))
}
