package subscribe

import (
	"fmt"
	"runtime/debug"
)

// panicked is a panic of something that works in a goroutine of its own, where no frame recovers.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

// recovered makes a panic of work its error, a *panicked.
func recovered(work func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{value: v, stack: debug.Stack()}
		}
	}()
	return work()
}
