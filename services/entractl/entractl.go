// Package entractl is the command line client of a gateway.
//
// It reads a token file, files with credentials for the gateway and what the gateway answers, and writes to the
// terminal. It speaks gRPC and nothing else, imports only the proto module, and sends its token in the clear to this
// machine alone.
package entractl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	ExitClean   = 0 // it did what it was asked to
	ExitFailure = 1 // the gateway could not be asked, or refused, or what was asked for failed
	ExitUsage   = 2 // wrong arguments
)

// Process is what the program gets from its surroundings.
type Process struct {
	Args   []string // without the program's name
	Getenv func(string) string
	// ConfigDir is the folder of the user's configuration, as os.UserConfigDir has it. Empty: there is none.
	ConfigDir      string
	Stdin          io.Reader // what answers come from; nil is empty
	Stdout, Stderr io.Writer
	Terminal       Terminal
}

// Main runs the program and returns its exit code. It ends early when ctx is done.
func Main(ctx context.Context, p Process) int {
	root := newRoot(p) //nolint:contextcheck // commands get ctx from ExecuteContext
	root.SetArgs(p.Args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	// What fails before this hook are flags and arguments.
	began := false
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		began = true
		return checkColor(cmd.Flag("color").Value.String())
	}
	err := root.ExecuteContext(ctx)
	_, wrong := errors.AsType[usageError](err)
	switch {
	case err == nil, errors.Is(err, errInterrupted):
		return ExitClean
	case wrong || !began:
		fmt.Fprintf(p.Stderr, "entractl: %v\nRun 'entractl --help' for usage.\n", err)
		return ExitUsage
	default:
		fmt.Fprintf(p.Stderr, "entractl: %v\n", err)
		return ExitFailure
	}
}

// errInterrupted is the end of a command that its user stopped.
var errInterrupted = errors.New("interrupted")

// usageError is a fault of the arguments.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func newRoot(p Process) *cobra.Command {
	target := newTarget(p)
	root := &cobra.Command{
		Use:   "entractl",
		Short: "Ask an Entraflow gateway",
		Long: "Searches sign-ins, follows events, looks into directories and connects tenants at an Entraflow gateway.\n\n" +
			"Where it looks: --server, else " + envServer + ", else the context's, else " + defaultServer + ".\n" +
			"Its token: the file --token-file, else " + envTokenFile + ", else the context's login, else for a gateway on this\n" +
			"machine the file " + defaultTokenFile + ", which `entraflow up` makes in the folder it runs in.\n" +
			"`entractl context` keeps gateways under names, `entractl login` signs in to them.",
		Version:       version(),
		SilenceErrors: true, SilenceUsage: true,
	}
	target.addFlags(root)
	c := &caller{Process: p, target: target}
	root.AddCommand(
		newSignIns(c), newEvents(c), newTail(c), newIntegration(c), newUser(c), newGroup(c), newApp(c),
		newLogin(c), newLogout(c), newWhoami(c), newContext(c), newToken(c), newAudit(c), newStatus(c), newHealth(c), newDocs(),
	)
	for _, cmd := range root.Commands() {
		cmd.Args = cobra.NoArgs
	}
	return root
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}
