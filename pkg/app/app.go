// Package app is the body of every main: flags, config, logger, metrics, clock, signals and
// the exit code. A service copies nothing of it, it hands over its parts.
//
// It reads the arguments, the config file and the environment it is given, writes logs to
// stderr, and listens on the admin address, which is on loopback unless it asks for a token.
// Only Main touches the process itself; all else is callable from a test.
package app

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/entraflow/entraflow/pkg/clock"
	"github.com/entraflow/entraflow/pkg/config"
	"github.com/entraflow/entraflow/pkg/lifecycle"
)

// Exit codes of a program.
const (
	ExitClean   = 0 // it did what it was asked to
	ExitFailure = 1 // it failed while running, or was told to stop twice
	ExitUsage   = 2 // it did not start: wrong arguments or config
)

// Service describes a program that runs one lifecycle.Service with a config of type C.
type Service[C any] struct {
	// Name is the name of the program, of its section in the config file and in its logs.
	Name string
	// Short is a line about it, Long the text of its help.
	Short, Long string
	// Default returns a complete config. A C with a Validate method is validated.
	Default func() C
	// New builds the service; it opens and starts nothing.
	New func(C, Settings) (lifecycle.Service, error)
	// Sections lists the sections of the config file that make up C, for a program that
	// runs several services. By default it is all of C under Name. With a list of its own
	// a program knows every section there may be, so any other in the file is an error.
	Sections func(*C) []config.Section
	// Prepare, if set, completes the config before the program runs, with what its first start makes:
	// such as the token of the admin server.
	Prepare func(C, *Config) error
	// Flags are flags beside those every program has.
	Flags []Flag
}

// Settings is what a program gives to its services.
type Settings struct {
	// Logger names the service in each line.
	Logger *slog.Logger
	// Registry takes the service's metrics; telemetry.NewMetrics makes them.
	Registry prometheus.Registerer
	// Clock tells the time; the zero Clock is the real one.
	Clock clock.Clock
	// Version is the program's.
	Version string
	// Drain is the time from being asked to stop until everything is stopped. Whoever runs
	// a Group of its own gives it this budget.
	Drain time.Duration

	unnamed *slog.Logger // Logger before it was given a name
}

// For returns the settings for a service inside the program: the same, with its name in the
// log instead of the program's.
func (s Settings) For(service string) Settings {
	if s.unnamed == nil {
		s.unnamed = s.Logger
	}
	s.Logger = s.unnamed.With(slog.String("service", service))
	return s
}

// Process is what a program gets from its surroundings.
type Process struct {
	Args           []string // without the program's name
	Env            []string // as of os.Environ
	Stdout, Stderr io.Writer
	// Signals ask to stop: the first lets the program drain, the second ends it at once.
	Signals <-chan os.Signal
}

// Main runs the service as this process and returns the exit code. It is the whole of a main:
//
//	func main() { os.Exit(app.Main(app.Service[streamer.Config]{Name: "streamer", ...})) }
func Main[C any](s Service[C]) int {
	return MainCommand(func(p Process) *cobra.Command { return Command(p, s) })
}

// MainCommand is Main for a program that has commands of its own beside those of Command.
func MainCommand(build func(Process) *cobra.Command) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	p := Process{
		Args: os.Args[1:], Env: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals,
	}
	return Execute(context.Background(), p, build(p))
}
