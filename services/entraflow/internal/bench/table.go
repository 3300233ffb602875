package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

const mib = 1 << 20

// table is everything measured.
type table struct {
	rows    []row
	latency latencies
}

// print writes the table as Markdown.
func (t *table) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush tells
	if len(t.rows) == 0 && len(t.latency.queryable) == 0 {
		return nil
	}
	line("\n| what\t| record\t| records\t| records/s\t| CPU s/M product\t| CPU s/M simulator\t| peak RSS product\t|")
	line("| ---\t| ---\t| ---:\t| ---:\t| ---:\t| ---:\t| ---:\t|")
	for _, r := range t.rows {
		line("| %s\t| %s\t| %d\t| %.0f\t| %.1f\t| %.1f\t| %d MiB\t|", r.what, r.size, r.records, r.rate(),
			r.cpuPerMillion(), r.simulator.CPU.Seconds()/float64(r.records)*1e6, r.product.PeakRSS/mib)
	}
	if len(t.latency.queryable) == 0 {
		return w.Flush()
	}
	line("\n| latency at %d × %d records/s\t| p50\t| p99\t| records\t|", partitions, perPartition)
	line("| ---\t| ---:\t| ---:\t| ---:\t|")
	for _, l := range []struct {
		what string
		all  []time.Duration
	}{{"hub → PubAck", t.latency.pubAck}, {"hub → queryable row", t.latency.queryable}} {
		line("| %s\t| %s\t| %s\t| %d\t|", l.what, round(percentile(l.all, 0.5)), round(percentile(l.all, 0.99)), len(l.all))
	}
	return w.Flush()
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
