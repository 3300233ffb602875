package entractl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	// firstRunWait is how long the collector has to begin with a new integration.
	firstRunWait = 30 * time.Second
	firstRunPoll = 500 * time.Millisecond
	// directoryRuns begins the ids of the runs that directorysync makes by itself.
	directoryRuns = "directorysync-"
	// maxSilence is how long a run is waited for without a word from the gateway.
	maxSilence = 5 * time.Minute
	viewTick   = time.Second
)

// awaitFirstRun returns the name of a new integration's first run: of the logs, or that of the directory if there is no
// other by the end.
func (c *caller) awaitFirstRun(ctx context.Context, s *service, name string) (string, error) {
	for end := time.Now().Add(firstRunWait); ; {
		runs, err := c.listRuns(ctx, s, name, 0)
		if err != nil && !errors.Is(err, errInterrupted) {
			return "", err
		}
		logs := slices.IndexFunc(runs, func(run *controlv1.Run) bool { return !strings.HasPrefix(idOf(run.GetName()), directoryRuns) })
		late := time.Now().After(end)
		switch {
		case logs >= 0:
			return runs[logs].GetName(), nil
		case late && len(runs) > 0:
			return runs[0].GetName(), nil
		case late:
			return "", fmt.Errorf("collecting has not begun within %s: is a collector running? "+
				"It begins by itself; see `entractl integration show %s`", span(firstRunWait), idOf(name))
		}
		if !pause(ctx, firstRunPoll) {
			c.note("collecting begins by itself; see `entractl integration show %s`", idOf(name))
			return "", errInterrupted
		}
	}
}

// view shows a run while it goes. It is used by one goroutine, and not after close.
type view interface {
	// show shows the run as it stands now.
	show(run *controlv1.Run, now time.Time)
	// tick is called each second.
	tick(now time.Time)
	// note shows a line beside the run.
	note(text string)
	// close ends the showing.
	close()
}

// follow shows a run until it has ended, and then in the format. It fails if anything of the run did. An interruption leaves
// the run going.
func (c *caller) follow(ctx context.Context, s *service, name string, f format) error {
	run, err := c.followed(ctx, s, name, f)
	if errors.Is(err, errInterrupted) {
		c.note("the run goes on; follow it with `entractl integration watch %s`", watchArgs(name))
		return err
	}
	if err != nil {
		return err
	}
	if f != formatTable {
		err = writeMessage(c.Stdout, f, run)
	} else {
		_, err = io.WriteString(c.Stdout, c.style().ending(run))
	}
	if err != nil {
		return err
	}
	if run.GetState() != controlv1.RunState_RUN_STATE_SUCCEEDED {
		return fmt.Errorf("run %s %s", idOf(name), stateWord(run.GetState()))
	}
	return nil
}

// followed returns the run as it ended.
func (c *caller) followed(ctx context.Context, s *service, name string, f format) (*controlv1.Run, error) {
	v := c.newView(f)
	defer v.close()
	receiving, cancel := context.WithCancel(ctx)
	updates := make(chan update)
	var failure error
	go func() {
		defer close(updates)
		failure = c.receiveRun(receiving, s, name, updates)
	}()
	defer func() {
		cancel()
		for range updates { // waits for the goroutine above
		}
	}()
	ticker := time.NewTicker(viewTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, errInterrupted
		case now := <-ticker.C:
			v.tick(now)
		case u, ok := <-updates:
			if !ok {
				return nil, failure
			}
			if u.note != "" {
				v.note(u.note)
				continue
			}
			v.show(u.run, time.Now())
			if ended(u.run.GetState()) {
				return u.run, nil
			}
		}
	}
}

// update is what a watch brings: the run, or a line about the watch itself.
type update struct {
	run  *controlv1.Run
	note string
}

// receiveRun sends a run as it changes, over as many connections as it takes, until ctx is done.
func (c *caller) receiveRun(ctx context.Context, s *service, name string, to chan<- update) error {
	send := func(u update) {
		select {
		case to <- u:
		case <-ctx.Done():
		}
	}
	wait, heard := firstWait, time.Time{}
	for {
		alive, err := s.watch(ctx, name, func(run *controlv1.Run) { send(update{run: run}) })
		if alive {
			wait, heard = firstWait, time.Now()
		}
		if ctx.Err() != nil || heard.IsZero() || !c.target.goesOn(err, alive) || time.Since(heard) > maxSilence {
			return c.target.explain(ctx, err)
		}
		send(update{note: fmt.Sprintf("connection lost (%s); trying again in %s", clean(status.Convert(err).Message()), wait)})
		if !pause(ctx, wait) {
			return errInterrupted
		}
		wait = min(2*wait, lastWait)
		s.conn.ResetConnectBackoff()
	}
}

// watch calls each with every state of a run until the stream ends, and reports whether there was any.
func (s *service) watch(ctx context.Context, name string, each func(*controlv1.Run)) (alive bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.WatchRun(ctx, &controlv1.WatchRunRequest{Name: name})
	for err == nil {
		var answer *controlv1.WatchRunResponse
		if answer, err = stream.Recv(); err == nil {
			alive = true
			each(answer.GetRun())
		}
	}
	if errors.Is(err, io.EOF) {
		err = status.Error(codes.Unavailable, "the gateway ended the stream")
	}
	return alive, err
}

func watchArgs(run string) string {
	integration, id := splitRun(run)
	return integration + " " + id
}
