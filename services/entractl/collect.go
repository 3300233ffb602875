package entractl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

// defaultRuns is how many runs are listed unless told otherwise.
const defaultRuns = 20

// collectFlags are the flags of `entractl integration collect`.
type collectFlags struct {
	types  []string
	since  string
	output string
	noWait bool
}

func newCollect(c *caller) *cobra.Command {
	var f collectFlags
	cmd := c.onID(&cobra.Command{
		Use:   "collect ID",
		Short: "Collect now, and follow it",
		Long: "Asks for a run and follows it until it has ended; Ctrl-C leaves it going. It reads what is missing and the\n" +
			"newest; with --since it reads again what happened since then. The directory is read as well, by another run;\n" +
			"--type chooses.\n\n" +
			"The exit code is 1 if any data type failed.",
		Example: "  entractl integration collect contoso\n" +
			"  entractl integration collect contoso --type audit,risk_detection --since 48h",
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), c, args[0]) },
	})
	flags := cmd.Flags()
	flags.StringSliceVar(&f.types, "type", nil, "data types such as audit, with commas; all that are enabled by default")
	flags.StringVar(&f.since, "since", "", "read again from then on: 30m, 48h, 7d, a date or a time")
	flags.BoolVar(&f.noWait, "no-wait", false, "do not follow the run")
	complete(cmd, "type", dataTypes()...)
	addFormat(cmd, &f.output)
	return cmd
}

func (f *collectFlags) run(ctx context.Context, c *caller, id string) error {
	name, err := integrationName(id)
	if err != nil {
		return err
	}
	out, err := parseFormat(f.output)
	if err != nil {
		return err
	}
	since, err := parseTime("since", f.since, time.Now())
	if err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	defer s.close()
	answer, err := call(ctx, c, s.CollectNow, &controlv1.CollectNowRequest{Name: name, DataTypes: f.types, Since: since})
	if errors.Is(err, errInterrupted) {
		return fmt.Errorf("interrupted: the run may have been asked for; see `entractl integration runs %s`", idOf(name))
	}
	if err != nil {
		return err
	}
	run := answer.GetRun().GetName()
	if both(f.types) {
		c.note("the directory is read, too, by a run of its own; see `entractl integration runs %s`", idOf(name))
	}
	if f.noWait && out != formatTable {
		return writeMessage(c.Stdout, out, answer.GetRun())
	}
	if f.noWait {
		fmt.Fprintf(c.Stdout, "Run %s was asked for; follow it with `entractl integration watch %s`.\n", idOf(run), watchArgs(run))
		return nil
	}
	return c.follow(ctx, s, run, out)
}

// both reports whether data types are of the logs and of the directory, as all are.
func both(types []string) bool {
	isLog := func(id string) bool { return slices.Contains(logTypes, id) }
	isOther := func(id string) bool { return !isLog(id) }
	return len(types) == 0 || slices.ContainsFunc(types, isLog) && slices.ContainsFunc(types, isOther)
}

func newWatch(c *caller) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "watch ID RUN",
		Short: "Follow a run",
		Long: "Follows a run until it has ended; Ctrl-C leaves it going. The exit code is 1 if any data type failed. With -o json or\n" +
			"yaml the progress goes to the standard error, and the run as it ended to the standard output.",
		Example: "  entractl integration watch contoso 5k2…",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := runName(args[0], args[1])
			if err != nil {
				return err
			}
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			s, err := c.open()
			if err != nil {
				return err
			}
			defer s.close()
			return c.follow(cmd.Context(), s, name, f)
		},
	}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		const two = 2
		if len(args) != two {
			return errors.New("the ids of an integration and of a run are needed; see `entractl integration runs ID`")
		}
		return nil
	}
	cmd.ValidArgsFunction = c.completeRun
	addFormat(cmd, &output)
	return cmd
}

func newRuns(c *caller) *cobra.Command {
	var output string
	limit := defaultRuns
	cmd := c.onID(&cobra.Command{
		Use:     "runs ID",
		Short:   "List the runs of an integration, newest first",
		Example: "  entractl integration runs contoso\n  entractl integration runs contoso -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := integrationName(args[0])
			if err != nil {
				return err
			}
			f, err := parseFormat(output)
			if err != nil {
				return err
			}
			if limit < 0 {
				return usageError{fmt.Errorf("--limit %d must not be negative", limit)}
			}
			s, err := c.open()
			if err != nil {
				return err
			}
			defer s.close()
			runs, err := c.listRuns(cmd.Context(), s, name, limit)
			switch {
			case err != nil:
				return err
			case f != formatTable:
				return writeMessages(c.Stdout, f, runs)
			case len(runs) == 0:
				c.note("there are no runs yet")
				return nil
			}
			return c.style().table(c.Stdout, runRows(runs))
		},
	})
	addFormat(cmd, &output)
	cmd.Flags().IntVar(&limit, "limit", defaultRuns, "most runs to show; 0: all")
	return cmd
}

func runRows(runs []*controlv1.Run) [][]string {
	rows := [][]string{{"RUN", "TRIGGER", "STATE", "ASKED FOR", "TOOK", "ROWS", "WINDOWS", "FAILED"}}
	for _, run := range runs {
		t, took := sum(run), "-"
		if d, ok := runTime(run); ok {
			took = span(d)
		}
		var failed []string
		for _, p := range run.GetDataTypes() {
			if p.GetState() == controlv1.RunState_RUN_STATE_FAILED {
				failed = append(failed, clean(p.GetDataType()))
			}
		}
		if p := run.GetProblem(); p != nil && len(failed) == 0 {
			failed = append(failed, problemText(p))
		}
		rows = append(rows, []string{
			idOf(run.GetName()), triggerWord(run.GetTrigger()), stateWord(run.GetState()), moment(run.GetCreateTime()),
			took, count(t.rows), windows(t.done, t.windows), first(strings.Join(failed, ", "), "-"),
		})
	}
	return rows
}

// splitRun returns the ids of integration and run in a run's name.
func splitRun(name string) (integration, run string) {
	integration, run, _ = strings.Cut(strings.TrimPrefix(name, "integrations/"), "/runs/")
	return clean(integration), clean(run)
}
