package runs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/entraflow/entraflow/pkg/clock"
	controlv1 "github.com/entraflow/entraflow/proto/gen/go/entraflow/control/v1"
)

const (
	// flushInterval is how often a run's progress is written.
	flushInterval = time.Second
	// watchAgain is the wait before runs are watched again after an error.
	watchAgain = time.Second
	// patience bounds the last write of a run that is left.
	patience = 2 * time.Second
)

// Keeper keeps the runs of a service for one integration, for whoever has the integration's lease. It is safe for
// concurrent use.
type Keeper struct {
	Store       *Store
	Integration string
	Clock       clock.Clock
	Logger      *slog.Logger
}

// Unfinished returns the newest run of a trigger that is not over, and its revision; nil if there is none. If only
// holders of the lease make runs of that trigger there is at most one: what a holder before left.
func (k *Keeper) Unfinished(ctx context.Context, trigger controlv1.RunTrigger) (*controlv1.Run, uint64, error) {
	var newest *controlv1.Run
	var revision uint64
	err := k.Store.each(ctx, k.Integration, func(run *controlv1.Run, at uint64) {
		if run.GetTrigger() != trigger || Ended(run.GetState()) {
			return
		}
		if newest == nil || newer(run, newest) < 0 {
			newest, revision = run, at
		}
	})
	if err != nil {
		return nil, 0, fmt.Errorf("looking for unfinished runs: %w", err)
	}
	return newest, revision, nil
}

// Create makes a run that begins now, and returns it with its revision. Its id is the service, what, and the time: no
// other service makes the same.
func (k *Keeper) Create(ctx context.Context, trigger controlv1.RunTrigger, what string) (*controlv1.Run, uint64, error) {
	now := k.Clock.Now()
	run := &controlv1.Run{
		Name:    Name(k.Integration, k.Store.service+"-"+what+"-"+strconv.FormatInt(now.UnixMilli(), 10)),
		Trigger: trigger, State: controlv1.RunState_RUN_STATE_PENDING, CreateTime: timestamppb.New(now),
	}
	revision, err := k.Store.Create(ctx, run)
	return run, revision, err
}

// Asked calls begin once for each run that people ask for and that is not over, until ctx is done. begin must not block.
func (k *Keeper) Asked(ctx context.Context, begin func(run *controlv1.Run, revision uint64)) {
	begun := map[string]bool{}
	k.watch(ctx, func(run *controlv1.Run, revision uint64) {
		if run.GetTrigger() != controlv1.RunTrigger_RUN_TRIGGER_ON_DEMAND || Ended(run.GetState()) || begun[run.GetName()] {
			return
		}
		begun[run.GetName()] = true
		begin(run, revision)
	})
}

// watch calls handle with each run whenever it is written, until ctx is done.
func (k *Keeper) watch(ctx context.Context, handle func(*controlv1.Run, uint64)) {
	for ctx.Err() == nil {
		err := k.Store.Watch(ctx, k.Integration, "", func(run *controlv1.Run, revision uint64) bool {
			handle(run, revision)
			return true
		})
		if err != nil && ctx.Err() == nil {
			k.Logger.Warn("watching runs failed", slog.String("integration", k.Integration), slog.Any("err", err))
			_ = k.Clock.Sleep(ctx, watchAgain)
		}
	}
}

// Job is what is done for data types, and the run that shows it.
type Job struct {
	// Run is nil for work that is no run; Revision is its.
	Run      *controlv1.Run
	Revision uint64
	// DataTypes are those to work for. What the run names beside them and has not ended has failed.
	DataTypes []string
	// Work does one data type's part and shows it in the progress by Progress.Update; all parts are done at once. It returns
	// why it failed, nil if it did not. When ctx is done it returns soon, and what it returns does not count.
	Work func(ctx context.Context, dataType string, p *Progress) *controlv1.Problem
}

// Execute does a job and shows it in the run, until it has ended or ctx is done; then all work has returned. What ctx
// ends stays unfinished in the run, for the next session.
func (k *Keeper) Execute(ctx context.Context, j Job) {
	p := NewProgress(j.Run, j.DataTypes, k.Clock.Now())
	var tasks sync.WaitGroup
	for _, id := range j.DataTypes {
		tasks.Go(func() {
			if problem := j.Work(ctx, id, p); ctx.Err() == nil {
				p.End(id, problem)
			}
		})
	}
	if j.Run == nil {
		tasks.Wait()
		return
	}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		tasks.Wait()
	}()
	revision, over := k.show(ctx, p, j.Revision, finished)
	<-finished
	if !over {
		k.leave(ctx, p, revision)
	}
}

// leave writes how far a run came when ctx ended. Whoever takes it up goes on from there.
func (k *Keeper) leave(ctx context.Context, p *Progress, revision uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	p.touch()
	run, _, _ := p.Take(k.Clock.Now())
	_, _ = k.Store.Update(ctx, run, revision) // it is for people to see and no more
}

// show writes the run as it grows, and at once when its work has finished, until it has ended or ctx is done. It returns
// the last revision, and whether the run needs no more writing.
func (k *Keeper) show(ctx context.Context, p *Progress, revision uint64, finished <-chan struct{}) (_ uint64, over bool) {
	for {
		run, changed, ended := p.Take(k.Clock.Now())
		if changed {
			next, err := k.Store.Update(ctx, run, revision)
			switch {
			case errors.Is(err, ErrTaken):
				k.Logger.Warn("a run was taken over", slog.String("run", run.GetName()))
				return revision, true
			case err != nil:
				if ctx.Err() == nil {
					k.Logger.Warn("writing run failed", slog.String("run", run.GetName()), slog.Any("err", err))
				}
				p.touch()
				ended = false
			default:
				revision = next
			}
		}
		if ended {
			if err := k.Store.Prune(ctx, k.Integration); err != nil && ctx.Err() == nil {
				k.Logger.Warn("pruning runs failed", slog.String("integration", k.Integration), slog.Any("err", err))
			}
			return revision, true
		}
		timer := time.NewTimer(flushInterval) // people watch in real time
		select {
		case <-timer.C:
		case <-finished:
			finished = nil
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return revision, false
		}
	}
}
