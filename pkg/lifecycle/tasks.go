package lifecycle

import (
	"context"
	"fmt"
	"sync"
)

// Task is a part of a service's work that goes on as long as the service does.
type Task struct {
	// What says what is being done, for errors.
	What string
	Run  func(context.Context) error
}

// RunTasks runs tasks at once until ctx is done or one of them fails, and returns when all have ended: nil if ctx was
// done first, else the first error.
func RunTasks(ctx context.Context, tasks ...Task) error {
	within, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	for _, task := range tasks {
		running.Go(func() {
			if err := task.Run(within); err != nil && within.Err() == nil {
				stop(fmt.Errorf("%s: %w", task.What, err))
			}
		})
	}
	<-within.Done()
	running.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(within)
}
