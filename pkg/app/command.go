package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entraflow/entraflow/pkg/config"
)

// Flag is a flag of the command line that sets a key of the config, like --set key=value but
// with a name of its own.
type Flag struct {
	Name, Key, Usage string
	// Bool makes the flag alone mean true.
	Bool bool
}

// commonFlags are the flags of every program.
func commonFlags() []Flag {
	return []Flag{
		{Name: "log-level", Key: "app.log.level", Usage: "lowest level logged: debug, info, warn, error"},
		{Name: "log-format", Key: "app.log.format", Usage: "format of the log: json, text"},
		{Name: "admin-address", Key: "app.admin.address", Usage: "host:port of health, metrics and config"},
		{Name: "clock-offset", Key: "app.clock.offset", Usage: "how far the clock is ahead, for tests: 36h, 7d, -2h"},
		{Name: "clock-speed", Key: "app.clock.speed", Usage: "how fast the clock runs, for tests"},
		{Name: "clock-anchor", Key: "app.clock.anchor", Usage: "real time from which the speed counts, RFC 3339"},
	}
}

// Command returns the command that runs the service with what p holds. The caller may rename
// it and put it under another.
func Command[C any](p Process, s Service[C]) *cobra.Command {
	var (
		file  string
		sets  []string
		check bool
		flags = append(commonFlags(), s.Flags...)
	)
	cmd := &cobra.Command{
		Use:     s.Name,
		Short:   s.Short,
		Long:    s.Long,
		Version: Version(),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := load(s, config.Source{
				File: file, Env: p.Env, Set: append(sets, changed(cmd.Flags(), flags)...),
			})
			if err != nil {
				return UsageError{err}
			}
			if check {
				_, err := io.WriteString(p.Stdout, l.rendered)
				return err
			}
			return run(cmd.Context(), p, s, l)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML file with the sections app and "+s.Name)
	cmd.Flags().StringArrayVar(&sets, "set", nil, "set a key of the config: section.key.path=value (repeatable)")
	cmd.Flags().BoolVar(&check, "check-config", false, "check the config, print it without secrets, and exit")
	for _, flag := range flags {
		flag.add(cmd.Flags())
	}
	return cmd
}

func (f Flag) add(flags *pflag.FlagSet) {
	flags.String(f.Name, "", fmt.Sprintf("%s (%s)", f.Usage, f.Key))
	if f.Bool {
		flags.Lookup(f.Name).NoOptDefVal = "true"
	}
}

// changed returns what the flags given set, in the form of --set.
func changed(given *pflag.FlagSet, flags []Flag) []string {
	var sets []string
	for _, flag := range flags {
		if f := given.Lookup(flag.Name); f.Changed {
			sets = append(sets, flag.Key+"="+f.Value.String())
		}
	}
	return sets
}

// UsageError is an error of a command that did not start its work for a fault in its arguments
// or config: the program ends with ExitUsage.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the fault.
func (e UsageError) Unwrap() error { return e.Err }

// errLogged is a failure whose details are in the log.
var errLogged = errors.New("failed; see the log")

// Execute runs the command with the arguments of p and returns the exit code. It stops the
// command when ctx is done, as on the first signal.
func Execute(ctx context.Context, p Process, root *cobra.Command) int {
	root.SetArgs(p.Args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SilenceErrors, root.SilenceUsage = true, true
	// What fails before this hook are flags and arguments.
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }

	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitClean
	}
	if !errors.Is(err, errLogged) {
		_, _ = fmt.Fprintf(p.Stderr, "%s: %v\n", root.Name(), err)
	}
	var usage UsageError
	if !began || errors.As(err, &usage) {
		return ExitUsage
	}
	return ExitFailure
}
