package entraflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/entraflow/entraflow/pkg/bus"
	"github.com/entraflow/entraflow/pkg/entra"
	"github.com/entraflow/entraflow/pkg/runs"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	// progressInterval is how often progress is printed.
	progressInterval = 5 * time.Second
	// beginPatience is how long directorysync may take to begin, beginPause how long between two looks.
	beginPatience = 30 * time.Second
	beginPause    = 200 * time.Millisecond
)

var (
	errNotConnected = errors.New("it cannot be read")
	errNotCollected = errors.New("it was not read whole")
	errNotBegun     = errors.New("directorysync does not begin")
)

// followBoth prints the progress of the collector's run and of directorysync's until both have ended. It is an error if
// anything was not read, but for what of the directory the permissions do not open: that is printed.
func (e *Entraflow) followBoth(ctx context.Context, client controlv1.IntegrationServiceClient, of integration, logs *controlv1.Run) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		run, err := e.follow(ctx, client, logs.GetName(), "collecting", windowsOf)
		if err == nil && run.GetState() != controlv1.RunState_RUN_STATE_SUCCEEDED {
			err = notRead("collecting", run)
		}
		return err
	})
	group.Go(func() error {
		for followed := ""; ; {
			name, err := e.directoryRun(ctx, client, of, logs.GetCreateTime().AsTime())
			if err != nil || name == followed {
				return err
			}
			run, err := e.follow(ctx, client, name, "directory", typesOf)
			if err != nil {
				return err
			}
			refused, failed := split(run)
			if failed {
				return notRead("directory", run)
			}
			if len(refused) > 0 {
				e.say("directory: not permitted: %s\n", strings.Join(refused, ", "))
			}
			followed = name
		}
	})
	return group.Wait()
}

// directoryRun returns the run of directorysync to wait for: one that has not ended, or else what reads everything of a
// new tenant, or what was asked for at a time. It waits until there is one.
func (e *Entraflow) directoryRun(ctx context.Context, client controlv1.IntegrationServiceClient, of integration, asked time.Time) (string, error) {
	for began := time.Now(); ; {
		answer, err := client.ListRuns(ctx, &controlv1.ListRunsRequest{Parent: of.name})
		if err != nil {
			return "", fmt.Errorf("looking for the reading of the directory: %w", err)
		}
		wanted := of.reading(answer.GetRuns(), asked)
		switch {
		case wanted != "":
			return wanted, nil
		case time.Since(began) > beginPatience:
			return "", errNotBegun
		}
		if err := e.set.Clock.Sleep(ctx, beginPause); err != nil {
			return "", err
		}
	}
}

// reading returns the name of the run that reads the directory: the one that is under way, else the one that was waited
// for and has ended; empty if there is none.
func (of integration) reading(all []*controlv1.Run, asked time.Time) (name string) {
	for _, run := range all {
		_, id, _ := runs.Parse(run.GetName())
		if !strings.HasPrefix(id, bus.UserDirectorySync+"-") {
			continue
		}
		if !runs.Ended(run.GetState()) {
			return run.GetName()
		}
		initial := run.GetTrigger() == controlv1.RunTrigger_RUN_TRIGGER_INITIAL
		if of.isNew && initial || !of.isNew && !initial && !run.GetCreateTime().AsTime().Before(asked) {
			name = run.GetName()
		}
	}
	return name
}

// split returns the data types of a run that it may not read, and whether it failed otherwise.
func split(run *controlv1.Run) (refused []string, failed bool) {
	for _, t := range run.GetDataTypes() {
		switch entra.Cause(t.GetProblem().GetCause()) {
		case entra.CausePermissionMissing, entra.CauseLicenceMissing:
			refused = append(refused, t.GetDataType())
		default:
			failed = failed || t.GetState() != controlv1.RunState_RUN_STATE_SUCCEEDED
		}
	}
	return refused, failed || run.GetProblem() != nil || len(refused) == len(run.GetDataTypes())
}

// follow prints the progress of a run until it has ended, and returns it as it is then.
func (e *Entraflow) follow(
	ctx context.Context, client controlv1.IntegrationServiceClient, name, what string, describe func(*controlv1.Run) string,
) (*controlv1.Run, error) {
	stream, err := client.WatchRun(ctx, &controlv1.WatchRunRequest{Name: name})
	if err != nil {
		return nil, fmt.Errorf("watching %s: %w", what, err)
	}
	var printed time.Time
	for {
		answer, err := stream.Recv()
		if err != nil {
			return nil, fmt.Errorf("watching %s: %w", what, err)
		}
		run := answer.GetRun()
		ended := runs.Ended(run.GetState())
		if ended || time.Since(printed) >= progressInterval {
			printed = time.Now()
			e.say("%s: %s\n", what, describe(run))
		}
		if ended {
			return run, nil
		}
	}
}

// windowsOf says how far the collector's run is.
func windowsOf(run *controlv1.Run) string {
	var rows uint64
	var done, total uint32
	for _, t := range run.GetDataTypes() {
		rows += t.GetRows()
		done, total = done+t.GetWindowsDone(), total+t.GetWindowsTotal()
	}
	return fmt.Sprintf("%d records, %d of %d windows, %.0f records/s", rows, done, total, run.GetRowsPerSecond())
}

// typesOf says how far directorysync's run is: nobody knows how many pages there are to come.
func typesOf(run *controlv1.Run) string {
	var rows uint64
	done := 0
	for _, t := range run.GetDataTypes() {
		rows += t.GetRows()
		if runs.Ended(t.GetState()) {
			done++
		}
	}
	return fmt.Sprintf("%d objects, %d of %d data types, %.0f objects/s", rows, done, len(run.GetDataTypes()), run.GetRowsPerSecond())
}

func notRead(what string, run *controlv1.Run) error {
	return fmt.Errorf("reading the simulated tenant: %s: %w: %s", what, errNotCollected, failures(run))
}

func failures(run *controlv1.Run) string {
	var b strings.Builder
	b.WriteString(run.GetProblem().GetDetail())
	for _, t := range run.GetDataTypes() {
		if t.GetProblem() != nil {
			fmt.Fprintf(&b, " %s: %s (%s).", t.GetDataType(), t.GetProblem().GetDetail(), t.GetProblem().GetCause())
		}
	}
	return b.String()
}

// say prints to the user; whoever does not listen misses nothing that is kept elsewhere.
func (e *Entraflow) say(format string, args ...any) {
	e.saying.Lock()
	defer e.saying.Unlock()
	_, _ = fmt.Fprintf(e.set.Stdout, format, args...)
}
