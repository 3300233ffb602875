// Package tenant collects the logs of one tenant: it looks at what can be read, reads what is missing and then
// what is new, and says how that goes.
//
// It reads Graph through pkg/entra and writes events, dead letters, cursors, runs and the integration's status. A
// window counts as read only when everything in it has its PubAck; whoever holds no lease any more changes no
// cursor.
package tenant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/probe"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// Settings is what all tenants of a process share.
type Settings struct {
	Publisher    *bus.Publisher
	DeadLetters  *bus.DeadLetters
	Gate         *bus.Gate
	Checkpoints  jetstream.KeyValue
	Integrations *integrations.Store
	Runs         *runs.Store
	// Budget is nil for no limits.
	Budget entra.Budget
	// Endpoints returns where a cloud of that name is.
	Endpoints func(cloud string) (entra.Endpoints, error)
	Slots     Slots
	Recent    *Recent
	Decoders  Decoders
	Clock     clock.Clock
	Logger    *slog.Logger
	Metrics   *Metrics
	// Registerer takes the metrics of Graph's clients.
	Registerer prometheus.Registerer
}

// cursorService begins the key of each cursor.
const cursorService = "collector"

// Worker collects one integration.
type Worker struct {
	id  string
	cfg Config
	set Settings

	mu      sync.Mutex
	record  integrations.Record
	changed chan struct{} // closed when record is another one
}

// NewWorker returns the worker of an integration. It opens nothing.
func NewWorker(record integrations.Record, cfg Config, set Settings) *Worker {
	return &Worker{id: record.ID, cfg: cfg, set: set, record: record, changed: make(chan struct{})}
}

// Set says that the integration was changed: a new credential is used at once.
func (w *Worker) Set(record integrations.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if record.Revision == w.record.Revision {
		return
	}
	w.record = record
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Worker) current() (integrations.Record, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.record, w.changed
}

// Run collects until ctx is done or the lease is lost. It returns nil; what goes wrong is in the integration's status.
func (w *Worker) Run(ctx context.Context, held *lease.Lease) error {
	retry := time.Duration(0)
	for ctx.Err() == nil {
		record, changed := w.current()
		session, cancel := context.WithCancelCause(ctx)
		go func() {
			select {
			case <-changed:
				cancel(errChanged)
			case <-session.Done():
			}
		}()
		err := w.session(session, held, record)
		cancel(nil)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errChanged), errors.Is(err, errProbeDue):
			retry = 0
			continue
		case errors.Is(err, lease.ErrLost), errors.Is(err, lease.ErrFenced):
			return err
		}
		retry = min(max(2*retry, minRetry), maxRetry)
		w.set.Logger.Warn("collecting is interrupted", slog.String("integration", w.id), slog.String("cause", causeOf(err)),
			slog.Duration("retry_in", retry), slog.Any("err", err))
		select {
		case <-changed:
			retry = 0
		case <-w.set.Clock.After(retry):
		case <-ctx.Done():
		}
	}
	return nil
}

var (
	errChanged  = errors.New("the integration was changed")
	errProbeDue = errors.New("licences and permissions are to be looked at again")
)

// session collects with one credential until ctx is done or something must be looked at anew.
func (w *Worker) session(ctx context.Context, held *lease.Lease, record integrations.Record) error {
	board := &board{w: w, status: &controlv1.IntegrationStatus{}}
	if record.Integration.GetDisabled() {
		board.write(ctx)
		<-ctx.Done()
		return context.Cause(ctx)
	}
	spec, endpoints, err := w.access(ctx, record)
	if err != nil {
		board.fail(ctx, err)
		return err
	}
	transport := endpoints.Transport()
	defer transport.CloseIdleConnections()
	found := probe.Run(ctx, probe.Settings{
		Credential: spec, Endpoints: endpoints, Budget: w.set.Budget, Transport: transport, Clock: w.set.Clock, UserAgent: userAgent,
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	board.status.Report = Report(found, record.Integration, w.set.Clock.Now())
	if found.Error != nil && !found.Connected {
		board.fail(ctx, found.Error)
		return found.Error
	}
	credential, err := entra.NewCredential(spec, endpoints, transport)
	if err != nil {
		board.fail(ctx, err)
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := crew{w: w, board: board, record: record, found: found, held: held, ended: cancel}
	err = c.hire(ctx, func(info entra.DataTypeInfo, f *follower) (*entra.Client, error) {
		return entra.NewClient(entra.ClientSettings{
			Credential: credential, Endpoints: endpoints, Transport: transport, Clock: w.set.Clock, Logger: w.set.Logger,
			Budget:   metered{w.set.Budget, f.waited, func() int64 { return w.set.Clock.Now().UnixNano() }},
			TenantID: spec.TenantID, AppID: spec.ClientID, UserAgent: userAgent, Service: cursorService,
			Registerer: w.set.Registerer, RequestTimeout: entra.LogTimeout,
		})
	})
	if err != nil {
		board.fail(ctx, err)
		return err
	}
	c.work(ctx)
	return context.Cause(ctx)
}

const userAgent = "entraflow-collector"

// access opens the credential and finds the cloud.
func (w *Worker) access(ctx context.Context, record integrations.Record) (entra.CredentialSpec, entra.Endpoints, error) {
	credential, err := w.set.Integrations.Credential(ctx, record)
	if err != nil {
		return entra.CredentialSpec{}, entra.Endpoints{}, err
	}
	return Access(record.Integration, credential, w.set.Endpoints)
}

// Access returns how an integration signs in, and where. Its errors are *entra.Error.
func Access(
	i *controlv1.Integration, credential *controlv1.Credential, endpoints func(string) (entra.Endpoints, error),
) (entra.CredentialSpec, entra.Endpoints, error) {
	connection := i.GetEntra()
	spec, err := specOf(connection, credential)
	if err != nil {
		return entra.CredentialSpec{}, entra.Endpoints{}, err
	}
	at, err := endpoints(connection.GetCloud())
	if err != nil {
		return entra.CredentialSpec{}, entra.Endpoints{}, &entra.Error{
			Cause: entra.CauseWrongCloud, Detail: fmt.Sprintf("The collector knows no cloud %q.", connection.GetCloud()),
			Remedy: "Choose global, us_gov, us_gov_dod or china, or name the cloud in the collector's config under clouds.",
		}
	}
	return spec, at, nil
}

// kindOf is what decode calls the records of a data type.
func kindOf(id entra.DataType) string {
	kind, _, _ := strings.Cut(string(id), ".")
	return kind
}
