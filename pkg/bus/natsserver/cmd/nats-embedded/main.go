// Command nats-embedded runs the embedded NATS server in a process of its own, for tests that kill it.
//
// It writes one JSON line to stdout when it takes connections, {"url": "nats://127.0.0.1:4222"}, logs
// to stderr, and ends cleanly on SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/bus/natsserver"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/telemetry"
	eventv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/event/v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "nats-embedded:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, logs io.Writer) error {
	cfg := natsserver.DefaultConfig()
	set := natsserver.Settings{Logger: telemetry.NewLogger(logs, telemetry.DefaultLogConfig())}
	var limits bus.Limits
	flags := flag.NewFlagSet("nats-embedded", flag.ContinueOnError)
	flags.SetOutput(logs)
	flags.StringVar(&set.Store, "store", "", "`directory` of the streams")
	flags.StringVar(&set.Credentials, "credentials", "", "`directory` of the password files")
	flags.StringVar(&cfg.Listen, "listen", cfg.Listen, "`address` to listen on; port 0 picks one")
	flags.StringVar((*string)(&cfg.Durability), "durability", string(cfg.Durability), "process or power")
	flags.TextVar(&limits.MaxBytes, "events-max-bytes", config.Bytes(0), "limit of EVENTS; 0 is the topology's")
	flags.DurationVar(&cfg.Topology.LeaseTTL, "lease-ttl", 0, "how long a lease outlives its holder; 0 is the topology's")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if set.Store == "" || set.Credentials == "" || flags.NArg() > 0 {
		return errors.New("needs --store and --credentials and no arguments")
	}
	cfg.Topology.Streams = map[string]bus.Limits{eventv1.EventStream: limits}
	server, err := natsserver.New(cfg, set)
	if err != nil {
		return err
	}
	if err := server.Start(ctx); err != nil {
		return err
	}
	defer server.Shutdown()
	if err := json.NewEncoder(out).Encode(map[string]string{"url": server.URL()}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
