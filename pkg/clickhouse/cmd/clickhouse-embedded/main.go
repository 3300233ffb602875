// Command clickhouse-embedded serves the embedded ClickHouse engine as a process of its own, on a
// loopback address, until SIGTERM or SIGINT. It prints one line of JSON once it answers.
//
// It writes its data folder and, if that is absent, the password file. It does what one user asks who
// knows the password, and opens nothing to other machines.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "clickhouse-embedded:", err)
		stop()
		os.Exit(1)
	}
}
