// Command entraflow-bench prints the benchmark tables of the streamer, the whole way, the collector, the directory and searches. See package bench.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/entraflow/entraflow/services/entraflow/internal/bench"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "entraflow-bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	const childArgs = 3
	if len(args) == childArgs && args[0] == "child" {
		return bench.Child(context.Background(), args[1], args[2], os.Stdout, os.Stderr)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	o := bench.Options{Programs: filepath.Dir(self), Self: self}
	flags := flag.NewFlagSet("entraflow-bench", flag.ExitOnError)
	flags.IntVar(&o.Records, "records", 1_000_000, "records of each throughput measurement")
	flags.IntVar(&o.PerMessage, "per-message", 100, "records in one message of the hub")
	flags.IntVar(&o.Runs, "runs", 1, "repeats of each throughput measurement")
	flags.DurationVar(&o.LatencyFor, "latency-for", time.Minute, "how long latency is measured for")
	flags.IntVar(&o.SearchSignIns, "search-sign-ins", 10_000_000, "sign-ins that search/full searches; search/million has a tenth")
	flags.IntVar(&o.Searches, "searches", 200, "searches with each filter")
	flags.StringVar(&o.SearchData, "search-data", "", "folder that keeps the filled stores for the next time; default: none is kept")
	only := flags.String("only", "", "expression for names of measurements: streamer/common, product/common, streamer/large, product/large, latency, subscribe/shared, subscribe/own, collector/small, collector/full, tenants, directory/0ms, directory/100ms, directory/all, directory/million, search/million, search/full")
	logFile := flags.String("log", "", "file for the logs of the processes; default: none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *only != "" {
		if o.Only, err = regexp.Compile(*only); err != nil {
			return fmt.Errorf("reading --only: %w", err)
		}
	}
	o.Log = io.Discard
	if *logFile != "" {
		file, err := os.Create(*logFile)
		if err != nil {
			return fmt.Errorf("opening log: %w", err)
		}
		defer file.Close() //nolint:errcheck // a log
		o.Log = file
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return bench.Run(ctx, o, os.Stdout)
}
