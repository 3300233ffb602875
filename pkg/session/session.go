// Package session works for one Entra integration in sessions: it signs in, looks at what can be read, and lets the service
// work until the credential, the permissions or the lease must be looked at anew; after a failure it waits and begins
// again. It says how that goes in the integration's status, and ends the runs that nobody can work at.
//
// It reads Graph through pkg/entra and writes the service's statuses and runs. What is read, and what becomes of it, is the
// service's. Credentials stay in memory.
package session

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/entra/probe"
	"github.com/entraflow/entraflow/pkg/entra/slots"
	"github.com/entraflow/entraflow/pkg/integrations"
	"github.com/entraflow/entraflow/pkg/lease"
	"github.com/entraflow/entraflow/pkg/runs"
)

// probeAgain is the least time between two looks at permissions because a data type was refused.
const probeAgain = 15 * time.Minute

var (
	// ErrProbeDue ends a session so that licences and permissions are looked at again at once.
	ErrProbeDue = errors.New("licences and permissions are to be looked at again")

	errChanged = errors.New("the integration was changed")
	errEnded   = errors.New("the work ended by itself")
)

// Settings is what all sessions of a service share.
type Settings struct {
	// Service is the service's name. It stands in texts, in the user agent and in the names of the metrics of Graph's clients.
	Service      string
	Integrations *integrations.Store
	Runs         *runs.Store
	// Budget is nil for no limits.
	Budget entra.Budget
	// Endpoints returns where a cloud of that name is: see Clouds.
	Endpoints func(cloud string) (entra.Endpoints, error)
	// DataTypes are what a session asks for when it begins, in one small read each; nil is all.
	DataTypes []entra.DataType
	// Reads reports whether the service reads a data type. What it only tests never counts as enabled.
	Reads func(entra.DataType) bool
	// ProbeInterval is how often licences and permissions are looked at.
	ProbeInterval time.Duration
	Clock         clock.Clock
	Logger        *slog.Logger
	// Registerer takes the metrics of Graph's clients.
	Registerer prometheus.Registerer
}

func (s Settings) userAgent() string { return "entraflow-" + s.Service }

// Session is the work with one credential. It is over when the work that it was given to has returned.
type Session struct {
	// Record is the integration as it is in this session.
	Record integrations.Record
	// Found is what can be read.
	Found probe.Report
	// Lease is the fence of what is written to buckets.
	Lease *lease.Lease
	Board *Board
	Runs  *runs.Keeper
	// Began is when the session began.
	Began time.Time

	set        Settings
	spec       entra.CredentialSpec
	endpoints  entra.Endpoints
	transport  http.RoundTripper
	credential azcore.TokenCredential
	end        context.CancelCauseFunc
}

// Client returns a client of Graph for the tenant, whose requests take the slot of a slots.Hold in their context. Waited is
// told how long the budget makes each wait; nil is nobody. change may set what else a client has. The client ends with
// the session and needs no closing.
func (s *Session) Client(waited func(time.Duration), change ...func(*entra.ClientSettings)) (*entra.Client, error) {
	set := entra.ClientSettings{
		Credential: s.credential, Endpoints: s.endpoints, Transport: slots.Transport{Next: s.transport},
		Budget: slots.Budget{Next: s.set.Budget, Waited: waited, Clock: s.set.Clock},
		Clock:  s.set.Clock, Logger: s.set.Logger, Registerer: s.set.Registerer,
		TenantID: s.spec.TenantID, AppID: s.spec.ClientID, UserAgent: s.set.userAgent(), Service: s.set.Service,
	}
	for _, f := range change {
		f(&set)
	}
	return entra.NewClient(set)
}

// End ends the session: the context of its work is cancelled with that cause. The next session begins at once after
// ErrProbeDue, and after a growing wait otherwise; a lost lease gives the integration up. The first cause counts. It is
// safe for concurrent use.
func (s *Session) End(cause error) { s.end(cause) }

// Failed is to be told of each read that failed. What concerns the credential or the lease ends the session; what concerns
// one data type does not stop the others, but has the permissions looked at again before long. It is safe for concurrent
// use.
func (s *Session) Failed(err error) {
	switch {
	case errors.Is(err, lease.ErrFenced), errors.Is(err, lease.ErrLost), EndsSession(err):
		s.end(err)
	case WasRefused(err) && s.set.Clock.Since(s.Began) >= probeAgain:
		s.end(ErrProbeDue)
	}
}

// session works with one credential until ctx is done or something must be looked at anew.
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
		Credential: spec, Endpoints: endpoints, Budget: w.set.Budget, Transport: transport, Clock: w.set.Clock, UserAgent: w.set.userAgent(),
		DataTypes: w.set.DataTypes,
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	board.status.Report = Report(found, record.Integration, w.set.Reads, w.set.Clock.Now())
	if found.Error != nil && !found.Connected && !w.readsAny(found) {
		board.fail(ctx, found.Error)
		return found.Error
	}
	credential, err := entra.NewCredential(spec, endpoints, transport)
	if err != nil {
		board.fail(ctx, err)
		return err
	}
	return w.run(ctx, &Session{
		Record: record, Found: found, Lease: held, Board: board, Runs: w.runs, Began: w.set.Clock.Now(),
		set: w.set, spec: spec, endpoints: endpoints, transport: transport, credential: credential,
	})
}

// run lets the service work.
func (w *Worker) run(outer context.Context, s *Session) error {
	ctx, cancel := context.WithCancelCause(outer)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	s.end = cancel
	watching.Go(func() {
		select {
		case <-w.set.Clock.After(w.set.ProbeInterval):
			cancel(ErrProbeDue)
		case <-ctx.Done():
		}
	})
	err := w.work(ctx, s)
	if ctx.Err() == nil {
		if err == nil {
			err = errEnded
		}
		s.Board.fail(ctx, err)
		return err
	}
	err = context.Cause(ctx)
	if outer.Err() == nil && EndsSession(err) {
		s.Board.fail(outer, err) // at once, and not only when it is tried again
	}
	return err
}

// readsAny reports whether anything that the service reads can be read. The tenant's sign-ins may be out of reach and its
// audits not.
func (w *Worker) readsAny(found probe.Report) bool {
	return slices.ContainsFunc(found.DataTypes, func(t probe.DataTypeResult) bool {
		return w.set.Reads(t.ID) && t.Availability == probe.Available
	})
}
