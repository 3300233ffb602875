// Command entractl asks a gateway from the command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/entraflow/entraflow/services/entractl"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	configDir, err := os.UserConfigDir()
	if err != nil {
		configDir = "" // without a home there are no contexts; ENTRACTL_CONFIG can still name a file
	}
	code := entractl.Main(ctx, entractl.Process{
		Args: os.Args[1:], Getenv: os.Getenv, ConfigDir: configDir, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal: entractl.SystemTerminal(os.Stdin, os.Stdout),
	})
	stop()
	os.Exit(code)
}
