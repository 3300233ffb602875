package subscribe

import (
	"errors"
	"fmt"
	"sync"
)

// shares is into how many parts the slots are divided: one caller has one part at most.
const shares = 5

var (
	errFull    = errors.New("too many consumers")
	errOwnFull = fmt.Errorf("%w of this caller", errFull)
)

// slots counts the consumers of subscriptions that catch up. It is safe for concurrent use.
type slots struct {
	limit, share int

	mu       sync.Mutex
	taken    int
	byCaller map[string]int // by subject, as other bounds of a caller: over all its credentials
}

func newSlots(limit int) *slots {
	return &slots{limit: limit, share: max(1, limit/shares), byCaller: map[string]int{}}
}

// take takes a slot for a caller, who must release it once. It fails with errFull, which errOwnFull is too, if the
// caller must wait for another, or for one of its own.
func (s *slots) take(subject string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.byCaller[subject] >= s.share:
		return errOwnFull
	case s.taken >= s.limit:
		return errFull
	}
	s.taken++
	s.byCaller[subject]++
	return nil
}

func (s *slots) release(subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.byCaller[subject]--; s.byCaller[subject] == 0 {
		delete(s.byCaller, subject)
	}
}
