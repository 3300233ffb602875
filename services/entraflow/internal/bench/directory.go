package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/entraflow/entraflow/pkg/bus"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
	directoryv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/directory/v1"
	"github.com/entraflow/entraflow/services/entraflow/internal/proc"
)

const (
	directoryUsers   = 200_000
	directoryGroups  = 10_000
	directoryMembers = 20
	graphLatency     = 100 * time.Millisecond
	// deltaInterval is how often the bench asks what has changed.
	deltaInterval = time.Second
)

// reading is a measurement of a tenant's directory.
type reading struct {
	name    string
	users   int
	latency time.Duration
	// all says that the reports about each user are read too, which are no part of the bounds.
	all bool

	// took is the first run, all data types together, and stored how much later the store held everything.
	took, stored time.Duration
	// types is the first run by data type.
	types map[string]typeReading
	// requests is what the simulator counted in the first run.
	requests                     uint64
	reader, simulation, products proc.Usage
	changes                      latenciesOfChanges
}

// typeReading is the first run of a data type.
type typeReading struct {
	rows  uint64
	pages uint32
	took  time.Duration
}

// directories measures what is selected of directorysync and prints it.
func directories(ctx context.Context, o Options, out io.Writer) error {
	var all []reading
	for _, r := range []reading{
		{name: "directory/0ms", users: directoryUsers},
		{name: "directory/100ms", users: directoryUsers, latency: graphLatency},
		{name: "directory/all", users: directoryUsers, all: true},
		{name: "directory/million", users: hugeUsers},
	} {
		if !o.selects(r.name) {
			continue
		}
		if err := r.measure(ctx, o); err != nil {
			return fmt.Errorf("measuring %s: %w", r.name, err)
		}
		all = append(all, r)
		if err := r.printTypes(out); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		return nil
	}
	return printReadings(out, all)
}

// measure reads a directory without limits. Of Microsoft's, the 8,000 ResourceUnits in 10 s of so large a tenant would
// not bind: there is one page in flight for each data type. Those of reports would: 10 requests a minute make 40 minutes
// for the last sign-ins of 200,000 users, and 5 in 10 s make 7 for their registrations.
func (r *reading) measure(ctx context.Context, o Options) (err error) {
	spec := tenantSpec{id: numbered(1, 0), users: r.users, days: 1, seed: 1, groups: directoryGroups, members: directoryMembers}
	if !r.all {
		spec.without = []string{"AuditLog.Read.All", "Reports.Read.All"}
	}
	w, err := newGraphWorld(ctx, o, graphSpec{
		reader: bus.UserDirectorySync, config: map[string]any{"delta_interval": deltaInterval.String()},
		latency: r.latency, tenants: []tenantSpec{spec},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.integrate(ctx, 0, spec); err != nil {
		return err
	}
	if err := r.first(ctx, w); err != nil {
		return err
	}
	if r.requests, err = w.requests(ctx); err != nil {
		return err
	}
	if r.changes, err = w.change(ctx, spec.id); err != nil {
		return err
	}
	for _, p := range []struct {
		process *proc.Process
		into    *proc.Usage
	}{{w.reader, &r.reader}, {w.product.process, &r.products}, {w.simulator, &r.simulation}} {
		if *p.into, err = p.process.Used(); err != nil {
			return err
		}
	}
	return nil
}

// first waits for the first run and notes when each data type was done.
func (r *reading) first(ctx context.Context, w *graphWorld) error {
	r.types = map[string]typeReading{}
	err := until(ctx, pollRuns, func(ctx context.Context) (bool, error) {
		run, err := w.initialRun(ctx)
		if err != nil || run == nil {
			return false, err
		}
		for _, t := range run.GetDataTypes() {
			_, noted := r.types[t.GetDataType()]
			if noted || t.GetState() == controlv1.RunState_RUN_STATE_RUNNING || t.GetState() == controlv1.RunState_RUN_STATE_PENDING {
				continue
			}
			r.types[t.GetDataType()] = typeReading{
				rows: t.GetRows(), pages: t.GetWindowsDone(), took: run.GetUpdateTime().AsTime().Sub(run.GetStartTime().AsTime()),
			}
		}
		if run.GetEndTime() == nil {
			return false, nil
		}
		r.took = run.GetEndTime().AsTime().Sub(run.GetStartTime().AsTime())
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the first run: %w", err)
	}
	began := time.Now()
	stream, err := w.product.bus.JetStream().Stream(ctx, directoryv1.ObjectStream)
	if err != nil {
		return fmt.Errorf("reading stream: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxDuration, ErrTooSlow)
	defer cancel()
	if err := bus.Stored(ctx, w.product.bus.JetStream(), directoryv1.ObjectStream, stream.CachedInfo().State.LastSeq); err != nil {
		return err
	}
	r.stored = time.Since(began)
	return nil
}

// initialRun returns the first run of the first tenant; nil if it has not begun.
func (w *graphWorld) initialRun(ctx context.Context) (*controlv1.Run, error) {
	answer, err := w.client.ListRuns(w.authorized(ctx), &controlv1.ListRunsRequest{Parent: "integrations/t0"})
	if err != nil {
		return nil, fmt.Errorf("reading runs: %w", err)
	}
	for _, run := range answer.GetRuns() {
		if run.GetTrigger() == controlv1.RunTrigger_RUN_TRIGGER_INITIAL && run.GetStartTime() != nil {
			return run, nil
		}
	}
	return nil, nil //nolint:nilnil // there is none yet
}

// printTypes prints the first run by data type, the slowest first.
func (r *reading) printTypes(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush tells
	line("\n| %s\t| objects\t| pages\t| done after\t|", r.name)
	line("| ---\t| ---:\t| ---:\t| ---:\t|")
	ids := make([]string, 0, len(r.types))
	for id := range r.types {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return int(r.types[b].took - r.types[a].took) })
	const shown = 8
	for _, id := range ids[:min(shown, len(ids))] {
		line("| %s\t| %d\t| %d\t| %s\t|", id, r.types[id].rows, r.types[id].pages, round(r.types[id].took))
	}
	return w.Flush()
}

func printReadings(out io.Writer, all []reading) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush tells
	line("\n| directory, %d groups × %d members\t| users\t| users read in\t| / (pages × latency)\t| all read in\t| stored after\t| requests\t"+
		"| CPU s directorysync\t| CPU s rest\t| CPU s simulator\t| peak RSS directorysync\t|", directoryGroups, directoryMembers)
	line("| ---\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t|")
	for _, r := range all {
		users, ratio := r.types["users"], "-"
		if r.latency > 0 {
			ratio = fmt.Sprintf("%.3f", users.took.Seconds()/(float64(users.pages)*r.latency.Seconds()))
		}
		line("| %s\t| %d\t| %s\t| %s\t| %s\t| + %s\t| %d\t| %.1f\t| %.1f\t| %.1f\t| %d MiB\t|", r.name, r.users, round(users.took), ratio,
			round(r.took), round(r.stored), r.requests, r.reader.CPU.Seconds(), r.products.CPU.Seconds(), r.simulation.CPU.Seconds(),
			r.reader.PeakRSS/mib)
	}
	line("\n| %d changes, asked for every %s\t| p50\t| slowest in DIRECTORY after\t|", changesMade, deltaInterval)
	line("| ---\t| ---:\t| ---:\t|")
	for _, r := range all {
		line("| %s\t| %s\t| %s\t|", r.name, round(percentile(r.changes, 0.5)), round(percentile(r.changes, 1)))
	}
	return w.Flush()
}
