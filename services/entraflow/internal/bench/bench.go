// Package bench measures the product as its users run it: the simulated hub in a process of its own, the
// product in another, records sent by the unmodified SDK. It prints a table of throughput, CPU, memory and latency.
//
// It talks to loopback only, starts and ends its own processes, and keeps its data in a temporary folder.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/entraflow/entraflow/services/entraflow/internal/proc"
)

const (
	partitions = 4
	hubName    = "bench"
	// tenant is the directory of every record sent.
	tenant = "0b5d4e3c-0000-4000-8000-0000000be9c4"
	// stopBudget is how long a process may take to end.
	stopBudget = 30 * time.Second
	// maxDuration bounds one measurement.
	maxDuration = 10 * time.Minute
)

// ErrTooSlow is returned when a measurement did not end in its time.
var ErrTooSlow = errors.New("not done in time")

// Options say what to measure.
type Options struct {
	// Programs is the folder of the built programs: simulator, entraflow and this one.
	Programs string
	// Self is the path of this program: the streamer alone runs as a child of it.
	Self string
	// Records is how many records a throughput measurement takes; of the large ones a fifth, so that the
	// stream holds them all even where nothing reads it.
	Records int
	// PerMessage is how many records are in one message of the hub.
	PerMessage int
	// LatencyFor is how long latency is measured for, at 100 records a second and partition.
	LatencyFor time.Duration
	// Runs is how often each throughput measurement is repeated.
	Runs int
	// SearchSignIns is how many sign-ins are stored where search/full searches; search/million has a tenth of them.
	SearchSignIns int
	// Searches is how often each filter is searched with by one client, and by several together.
	Searches int
	// SearchData is a folder that keeps the filled stores for the next time. Empty: none is kept.
	SearchData string
	// Only selects measurements by their names: streamer/common, product/common, streamer/large, product/large,
	// latency, subscribe/shared, subscribe/own, collector/small, collector/full, tenants, directory/0ms, directory/100ms,
	// directory/all, directory/million, search/million and search/full. Nil selects all.
	Only *regexp.Regexp
	// Log receives the logs of the processes.
	Log io.Writer
}

// Run measures what is selected and prints the table to out.
func Run(ctx context.Context, o Options, out io.Writer) error {
	var t table
	for _, size := range []recordSize{sizeCommon, sizeLarge} {
		for range o.Runs {
			if err := t.measure(ctx, o, size, out); err != nil {
				return err
			}
		}
	}
	if o.selects("latency") {
		l, err := latency(ctx, o)
		if err != nil {
			return err
		}
		t.latency = l
	}
	if err := t.print(out); err != nil {
		return err
	}
	if err := subscribing(ctx, o, out); err != nil {
		return err
	}
	if err := collecting(ctx, o, out); err != nil {
		return err
	}
	if err := directories(ctx, o, out); err != nil {
		return err
	}
	return searches(ctx, o, out)
}

// measure adds what is selected of a size.
func (t *table) measure(ctx context.Context, o Options, size recordSize, out io.Writer) error {
	if size == sizeLarge {
		o.Records /= 5
	}
	for _, m := range []measurement{{"streamer", streamerAlone}, {"product", endToEnd}} {
		if !o.selects(m.name + "/" + size.name()) {
			continue
		}
		r, err := m.run(ctx, o, size)
		if err != nil {
			return err
		}
		t.rows = append(t.rows, r)
		if _, err := fmt.Fprintln(out, r.progress()); err != nil {
			return err
		}
	}
	return nil
}

type measurement struct {
	name string
	run  func(context.Context, Options, recordSize) (row, error)
}

func (o Options) selects(name string) bool { return o.Only == nil || o.Only.MatchString(name) }

// world is a simulator with a filled hub, and a folder for the product.
type world struct {
	simulator  *proc.Process
	connection string
	dir        string
	log        io.Writer
}

// newWorld starts a simulator. close ends it.
func newWorld(ctx context.Context, o Options) (*world, error) {
	dir, err := os.MkdirTemp("", "entraflow-bench-")
	if err != nil {
		return nil, fmt.Errorf("making folder: %w", err)
	}
	w := &world{dir: dir, log: o.Log}
	w.simulator, err = proc.Start(ctx, proc.Command{
		Path: filepath.Join(o.Programs, "simulator"),
		Args: []string{
			"--listen", "127.0.0.1:0", "--admin", "", "--admin-address", "", "--retention-bytes", "3GiB",
			"--hub", fmt.Sprintf("%s:%d", hubName, partitions),
		},
		Log: o.Log,
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	var announced struct {
		ConnectionString string `json:"connection_string"`
	}
	if err := w.simulator.Announced(ctx, &announced); err != nil {
		return nil, errors.Join(err, w.close())
	}
	w.connection = announced.ConnectionString
	return w, nil
}

func (w *world) close() error {
	err := w.simulator.Stop(stopBudget)
	return errors.Join(err, os.RemoveAll(w.dir))
}

// until polls done until it reports true.
func until(ctx context.Context, every time.Duration, done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, maxDuration, ErrTooSlow)
	defer cancel()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		ok, err := done(ctx)
		if ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
