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
	"slices"
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

// CursorPrefix begins the keys of an integration's cursors in the bucket checkpoints. Tenant and data type follow: an
// integration that is made again for another tenant begins anew.
func CursorPrefix(integration string) string { return bus.Key(cursorService, integration) }

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

// Run collects until ctx is done or the lease is lost. Its only error is that somebody else has the lease; what goes
// wrong otherwise is in the integration's status.
func (w *Worker) Run(ctx context.Context, held *lease.Lease) error {
	retry := time.Duration(0)
	for ctx.Err() == nil {
		record, changed := w.current()
		began := w.set.Clock.Now()
		err := w.until(ctx, changed, func(ctx context.Context) error { return w.session(ctx, held, record) })
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errChanged), errors.Is(err, errProbeDue):
			retry = 0
			continue
		case errors.Is(err, lease.ErrLost), errors.Is(err, lease.ErrFenced):
			return err
		}
		if w.set.Clock.Since(began) >= maxRetry {
			retry = 0 // it went well for long
		}
		retry = longer(retry)
		w.set.Logger.Warn("collecting is interrupted", slog.String("integration", w.id), slog.String("cause", causeOf(err)),
			slog.Duration("retry_in", retry), slog.Any("err", err))
		err = w.until(ctx, changed, func(ctx context.Context) error { return w.rest(ctx, held, retry, problemOf(err)) })
		if errors.Is(err, errChanged) {
			retry = 0
		}
	}
	return nil
}

// until does something until it is done, or the integration is another one: then its error is errChanged.
func (w *Worker) until(ctx context.Context, changed <-chan struct{}, work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	watching.Go(func() {
		select {
		case <-changed:
			cancel(errChanged)
		case <-ctx.Done():
		}
	})
	if err := work(ctx); ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

// longer is how long to wait after one more failure.
func longer(retry time.Duration) time.Duration { return min(max(2*retry, minRetry), maxRetry) }

var (
	errChanged  = errors.New("the integration was changed")
	errProbeDue = errors.New("licences and permissions are to be looked at again")
)

// session collects with one credential until ctx is done or something must be looked at anew.
func (w *Worker) session(ctx context.Context, held *lease.Lease, record integrations.Record) error {
	board := w.newBoard(ctx, held)
	if record.Integration.GetDisabled() {
		return w.disabled(ctx, held, board)
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
		DataTypes: Tested(),
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	board.status.Report = Report(found, record.Integration, w.set.Clock.Now())
	if found.Error != nil && !found.Connected && !readsLogs(found) {
		board.fail(ctx, found.Error)
		return found.Error
	}
	credential, err := entra.NewCredential(spec, endpoints, transport)
	if err != nil {
		board.fail(ctx, err)
		return err
	}
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &crew{w: w, board: board, record: record, found: found, held: held, began: w.set.Clock.Now(), ended: cancel}
	err = c.hire(ctx, func(info entra.DataTypeInfo, f *follower) (*entra.Client, error) {
		return entra.NewClient(entra.ClientSettings{
			Credential: credential, Endpoints: endpoints, Transport: pages{transport}, Clock: w.set.Clock, Logger: w.set.Logger,
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
	err = context.Cause(ctx)
	if outer.Err() == nil && endsSession(err) {
		board.fail(outer, err) // at once, and not only when it is tried again
	}
	return err
}

// readsLogs reports whether any log can be read. The tenant's sign-ins may be out of reach and its audits not.
func readsLogs(found probe.Report) bool {
	return slices.ContainsFunc(found.DataTypes, func(t probe.DataTypeResult) bool {
		info, _ := entra.LookupDataType(t.ID)
		return info.Log && t.Availability == probe.Available
	})
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

// ErrCloud says that a cloud is known, but its settings cannot be used.
var ErrCloud = errors.New("the settings of the cloud cannot be used")

// Access returns how an integration signs in, and where. Its errors are *entra.Error.
func Access(
	i *controlv1.Integration, credential *controlv1.Credential, endpoints func(string) (entra.Endpoints, error),
) (entra.CredentialSpec, entra.Endpoints, error) {
	connection := i.GetEntra()
	spec, err := integrations.SignIn(connection.GetTenantId(), connection.GetClientId(), credential)
	if err != nil {
		return entra.CredentialSpec{}, entra.Endpoints{}, err
	}
	at, err := endpoints(connection.GetCloud())
	if errors.Is(err, ErrCloud) {
		return entra.CredentialSpec{}, entra.Endpoints{}, &entra.Error{
			Cause: entra.CauseNetworkTLS, Detail: fmt.Sprintf("The CA file of the cloud %q in the collector's config cannot be read.", connection.GetCloud()),
			Remedy: "Give the collector a PEM file that it can read under clouds in its config.",
		}
	}
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
