// Command topology writes what is generated from the topology: its page for people and the
// permissions for nats-server. With -apply it makes the streams and buckets on a server, as a cluster's
// set-up job; the embedded server does that itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/config"
)

const fileMode = 0o644

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "topology:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("topology", flag.ContinueOnError)
	flags.SetOutput(out)
	docs := flags.String("docs", "", "write the page about the streams to this `file`")
	permissions := flags.String("permissions", "", "write nats-server's users to this `file`")
	apply := flags.String("apply", "", "make streams and buckets on the server at this `url`, as operator")
	password := flags.String("password-file", "", "`file` with the operator's password")
	replicas := flags.Int("replicas", 0, "servers that have each stream")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for path, text := range map[string]string{*docs: bus.StreamsDoc(), *permissions: bus.PermissionsConf()} {
		if path == "" {
			continue
		}
		if err := os.WriteFile(path, []byte(text), fileMode); err != nil {
			return err
		}
	}
	if *apply == "" {
		return nil
	}
	cfg := bus.DefaultConfig()
	cfg.URL, cfg.User = *apply, bus.UserOperator
	var err error
	if cfg.Password, err = config.ReadSecret(*password); err != nil {
		return err
	}
	conn, err := bus.Connect(ctx, cfg, bus.Settings{Service: bus.UserOperator})
	if err != nil {
		return err
	}
	defer conn.Close()
	return bus.Ensure(ctx, conn.JetStream(), bus.Options{Replicas: *replicas})
}
