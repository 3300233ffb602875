package hub

import (
	"context"
	"runtime"
	"sync"

	"github.com/entraflow/entraflow/pkg/decode"
)

// Decoders lends decoders, and so bounds how many messages are decoded at once. It is safe for concurrent use.
type Decoders struct{ free chan *decode.Decoder }

// NewDecoders returns as many decoders as the tuning says.
func NewDecoders(t Tuning) *Decoders {
	n := t.DecodeWorkers
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	d := &Decoders{free: make(chan *decode.Decoder, n)}
	for range n {
		d.free <- decode.New(decode.Limits{MaxRecords: t.MaxRecords, MaxInflated: int64(t.MaxInflated)})
	}
	return d
}

func (d *Decoders) take(ctx context.Context) (*decode.Decoder, error) {
	select {
	case decoder := <-d.free:
		return decoder, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (d *Decoders) giveBack(decoder *decode.Decoder) { d.free <- decoder }

// maxSuspects bounds what is remembered. A message that was forgotten is refused once more.
const maxSuspects = 1024

// suspects are messages with a record that the stream refused. The zero value has none.
type suspects struct {
	mu       sync.Mutex
	messages map[place]struct{}
}

type place struct {
	partition string
	sequence  int64
}

func (s *suspects) suspect(partition string, sequence int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.messages == nil {
		s.messages = make(map[place]struct{})
	}
	if len(s.messages) >= maxSuspects {
		clear(s.messages)
	}
	s.messages[place{partition, sequence}] = struct{}{}
}

func (s *suspects) isSuspect(partition string, sequence int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.messages[place{partition, sequence}]
	return ok
}

func (s *suspects) acquit(partition string, sequence int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.messages, place{partition, sequence})
}
