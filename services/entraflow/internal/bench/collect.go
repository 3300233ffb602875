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
	"github.com/entraflow/entraflow/services/entraflow/internal/proc"
)

const (
	manyTenants = 50
	smallUsers  = 50
	smallDays   = 4
	hugeUsers   = 1_000_000
	// tenantScale keeps to Microsoft's limits: each tenant has its own, and this machine is shared by all.
	tenantScale = 1
	pollRuns    = 250 * time.Millisecond
)

// backfill is a measurement of one tenant's first run.
type backfill struct {
	what                        string
	rows                        uint64
	took                        time.Duration
	collector, rest, simulation proc.Usage
}

// collecting measures what is selected of the collector and prints it.
func collecting(ctx context.Context, o Options, out io.Writer) error {
	var all []backfill
	for _, m := range []struct {
		name string
		rows int
	}{{"collector/small", o.Records / 10}, {"collector/full", o.Records}} {
		if !o.selects(m.name) {
			continue
		}
		for range o.Runs {
			b, err := measureBackfill(ctx, o, uint64(m.rows)) //nolint:gosec // positive
			if err != nil {
				return err
			}
			all = append(all, b)
		}
	}
	if len(all) > 0 {
		if err := printBackfills(out, all); err != nil {
			return err
		}
	}
	if o.selects("tenants") {
		return fairness(ctx, o, out)
	}
	return nil
}

// measureBackfill collects a tenant without limits, until every sign-in can be queried.
func measureBackfill(ctx context.Context, o Options, rows uint64) (_ backfill, err error) {
	const rowsPerUser = 240
	spec := tenantSpec{id: numbered(1, 0), users: max(int(rows/rowsPerUser), smallUsers), signIns: rows, days: month, seed: 1} //nolint:gosec // some thousands
	w, err := newGraphWorld(ctx, o, graphSpec{reader: bus.UserCollector, tenants: []tenantSpec{spec}})
	if err != nil {
		return backfill{}, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.integrate(ctx, 0, spec); err != nil {
		return backfill{}, err
	}
	err = until(ctx, pollStore, func(ctx context.Context) (bool, error) {
		count, err := w.product.rows(ctx)
		return count >= rows, err
	})
	ended := time.Now()
	if err != nil {
		return backfill{}, fmt.Errorf("measuring a backfill: %w", err)
	}
	began, err := w.product.first(ctx)
	if err != nil {
		return backfill{}, err
	}
	b := backfill{what: "Graph → queryable row", rows: rows, took: ended.Sub(began)}
	for _, p := range []struct {
		process *proc.Process
		into    *proc.Usage
	}{{w.reader, &b.collector}, {w.product.process, &b.rest}, {w.simulator, &b.simulation}} {
		if *p.into, err = p.process.Used(); err != nil {
			return backfill{}, err
		}
	}
	return b, nil
}

func printBackfills(out io.Writer, all []backfill) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush tells
	line("\n| backfill without limits\t| sign-ins\t| rows/s\t| CPU s/M collector\t| CPU s/M rest\t| CPU s/M simulator\t| peak RSS collector\t|")
	line("| ---\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t|")
	for _, b := range all {
		perMillion := func(u proc.Usage) float64 { return u.CPU.Seconds() / float64(b.rows) * 1e6 }
		line("| %s\t| %d\t| %.0f\t| %.1f\t| %.1f\t| %.1f\t| %d MiB\t|", b.what, b.rows, float64(b.rows)/b.took.Seconds(),
			perMillion(b.collector), perMillion(b.rest), perMillion(b.simulation), b.collector.PeakRSS/mib)
	}
	return w.Flush()
}

// fairness collects a small tenant alone, fifty of them at once, and forty-nine beside a huge one.
func fairness(ctx context.Context, o Options, out io.Writer) error {
	small := make([]tenantSpec, manyTenants)
	for i := range small {
		small[i] = tenantSpec{id: numbered(1, i), users: smallUsers, days: smallDays, seed: uint64(i + 1)} //nolint:gosec // small
	}
	alone, err := firstRuns(ctx, o, small[:1], 0)
	if err != nil {
		return err
	}
	equal, err := firstRuns(ctx, o, small, 0)
	if err != nil {
		return err
	}
	beside := slices.Clone(small)
	beside[0] = tenantSpec{id: numbered(1, 0), users: hugeUsers, days: smallDays, seed: 1}
	rest, err := firstRuns(ctx, o, beside, 1)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush tells
	line("\n| first run of a tenant of %d users, %d days\t| tenants\t| fastest\t| median\t| slowest\t| slowest / median\t| slowest / alone\t|", smallUsers, smallDays)
	line("| ---\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t|")
	for _, r := range []struct {
		what string
		all  []time.Duration
	}{{"alone", alone}, {"equal ones at once", equal}, {fmt.Sprintf("beside one of %d users", hugeUsers), rest}} {
		slices.Sort(r.all)
		slowest, median := r.all[len(r.all)-1], r.all[len(r.all)/2]
		line("| %s\t| %d\t| %s\t| %s\t| %s\t| %.2f\t| %.2f\t|", r.what, len(r.all), round(r.all[0]), round(median), round(slowest),
			slowest.Seconds()/median.Seconds(), slowest.Seconds()/alone[0].Seconds())
	}
	return w.Flush()
}

// firstRuns connects tenants at once and returns how long the first run of each took, from when it was saved; but
// for the first skip, which are not waited for.
func firstRuns(ctx context.Context, o Options, tenants []tenantSpec, skip int) (_ []time.Duration, err error) {
	w, err := newGraphWorld(ctx, o, graphSpec{reader: bus.UserCollector, scale: tenantScale, tenants: tenants})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	began := make([]time.Time, len(tenants))
	for i, spec := range tenants {
		began[i] = time.Now()
		if err := w.integrate(ctx, i, spec); err != nil {
			return nil, err
		}
	}
	took := make([]time.Duration, len(tenants))
	err = until(ctx, pollRuns, func(ctx context.Context) (bool, error) {
		left := 0
		for i := skip; i < len(tenants); i++ {
			if took[i] > 0 {
				continue
			}
			ended, err := w.firstRunEnd(ctx, i)
			if err != nil {
				return false, err
			}
			if ended.IsZero() {
				left++
				continue
			}
			took[i] = ended.Sub(began[i])
		}
		return left == 0, nil
	})
	if err != nil {
		return nil, fmt.Errorf("measuring %d tenants: %w", len(tenants), err)
	}
	return took[skip:], nil
}

var errFirstRun = errors.New("the first run failed")

// firstRunEnd returns when the first run of a tenant ended; zero if it goes on.
func (w *graphWorld) firstRunEnd(ctx context.Context, i int) (time.Time, error) {
	answer, err := w.client.ListRuns(w.authorized(ctx), &controlv1.ListRunsRequest{Parent: fmt.Sprintf("integrations/t%d", i)})
	if err != nil {
		return time.Time{}, fmt.Errorf("reading runs: %w", err)
	}
	for _, run := range answer.GetRuns() {
		switch {
		case run.GetTrigger() != controlv1.RunTrigger_RUN_TRIGGER_INITIAL || run.GetEndTime() == nil:
		case run.GetState() != controlv1.RunState_RUN_STATE_SUCCEEDED:
			return time.Time{}, fmt.Errorf("tenant %d: %w: %s", i, errFirstRun, run.GetState())
		default:
			return run.GetEndTime().AsTime(), nil
		}
	}
	return time.Time{}, nil
}
